"""A request to an origin that several clients wait for: one asked first, the others asked the same meanwhile.

RFC 9111 section 4 lets a cache collapse requests: the response to one may answer them all, if it may be stored and each
of them may be answered with what is stored. It is under way on its own, so that the client who asked first may leave.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.http.cache.decisions import Forward, Received
from services.http.intermediary.cache_fill import Fill
from services.http.intermediary.errors import UpstreamError
from services.http.messages import HTTP_1_1, Response, StreamedBody, Version


@dataclass(slots=True)
class Outcome:
    """What became of a forwarded request, all but the answering of clients carried out.

    `forward` is the one that was sent last, `content` what goes with `received.response` for whoever asked first,
    `fill` where it goes into the store, `version` what the origin spoke. `served` is the answer from storage where
    what it is made of was removed since.
    """

    forward: Forward
    received: Received
    content: StreamedBody
    fill: Fill | None = None
    version: Version = HTTP_1_1
    served: Response | None = None

    def drop(self) -> None:
        """Nobody takes the content."""
        self.content.close()
        if self.served is not None and not isinstance(self.served.body, bytes):
            self.served.body.close()


class Flight:
    """One collapsed request. `outcome` is an UpstreamError where there is no response."""

    def __init__(self, loop: asyncio.AbstractEventLoop, land: Callable[["Flight"], None], is_background: bool) -> None:
        """`land` is called when nobody is to join any more."""
        self.outcome: asyncio.Future[Outcome | UpstreamError] = loop.create_future()
        self.task: asyncio.Task[None] | None = None
        self.is_background = is_background
        self.is_revoked = False
        """Whether the URI was invalidated meanwhile: the response may be of before, and is not stored."""
        self._land = land
        self._waiting = 0

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for the outcome."""
        return self._waiting > 0

    @property
    def fill(self) -> Fill | None:
        """Where the response goes, once there is one that may be stored."""
        if not self.outcome.done() or self.outcome.cancelled():
            return None
        outcome = self.outcome.result()
        return outcome.fill if isinstance(outcome, Outcome) else None

    async def join(self) -> Outcome | UpstreamError:
        """Wait for the outcome; when the last who waits gives up, so does the flight, unless it is for the cache."""
        self._waiting += 1
        try:
            return await asyncio.shield(self.outcome)
        finally:
            self._waiting -= 1
            # What is done with the outcome is done before the loop goes on; then it shows who reads.
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        if self._waiting:
            return
        if self.fill is not None:
            self.fill.check()
        elif not self.outcome.done() and not self.is_background and self.task is not None:
            self._land(self)
            self.task.cancel()
