"""Collapsed request: one forwarded request (single flight) that several clients wait for (RFC 9111 section 4).

A cache may collapse concurrent requests for one URI: the response to one may satisfy all of them, if it is stored and
each of them may be satisfied by the stored response. The exchange runs as its own task, so that the first client can
disconnect without failing the others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.http.cache.decisions import Forward, ResponseActions
from services.http.intermediary.cache_fill import CacheFill
from services.http.intermediary.upstream_connection import UpstreamError
from services.http.messages import HTTP_1_1, Response, StreamedBody, Version


@dataclass(slots=True)
class Outcome:
    """Result of a forwarded request, its effects on the store applied.

    forward   the Forward that was sent last
    received  the cache's decision about the response
    content   the content of `received.response`, for the client whose request was forwarded
    fill      the cache fill, where the content is stored
    version   the HTTP version of the origin's response
    served    the response built from a stored one that was removed afterwards
    """

    forward: Forward
    received: ResponseActions
    content: StreamedBody
    fill: CacheFill | None = None
    version: Version = HTTP_1_1
    served: Response | None = None

    def discard(self) -> None:
        """Close the unused content."""
        self.content.close()
        if self.served is not None and not isinstance(self.served.body, bytes):
            self.served.body.close()


class CollapsedRequest:
    """One collapsed request; the result of `outcome` is an UpstreamError where there is no response."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, unregister: Callable[["CollapsedRequest"], None], is_background: bool
    ) -> None:
        """`unregister` is called when no further client may join."""
        self.outcome: asyncio.Future[Outcome | UpstreamError] = loop.create_future()
        self.task: asyncio.Task[None] | None = None
        self.is_background = is_background
        self.is_revoked = False
        """The URI was invalidated meanwhile: the response may be outdated and is not stored."""
        self._unregister = unregister
        self._waiting = 0

    @property
    def is_wanted(self) -> bool:
        """True while a client waits for the outcome."""
        return self._waiting > 0

    @property
    def fill(self) -> CacheFill | None:
        """The cache fill, once there is a response that is stored."""
        if not self.outcome.done() or self.outcome.cancelled():
            return None
        outcome = self.outcome.result()
        return outcome.fill if isinstance(outcome, Outcome) else None

    async def join(self) -> Outcome | UpstreamError:
        """Wait for the outcome; cancelling the last waiting client cancels a request that is not for the background."""
        self._waiting += 1
        try:
            return await asyncio.shield(self.outcome)
        finally:
            self._waiting -= 1
            # Check in the next iteration of the loop, after the clients have registered their readers.
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        if self._waiting:
            return
        if self.fill is not None:
            self.fill.check()
        elif not self.outcome.done() and not self.is_background and self.task is not None:
            self._unregister(self)
            self.task.cancel()
