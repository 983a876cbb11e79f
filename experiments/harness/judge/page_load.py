"""A page load: the HTTP connections that one client opened within a window of time, as one interface saw
them.

This is what the HTTP checks look at. Best taken at the client's own interface, where "before" means what
the client did before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from experiments.harness.judge.frames import CaptureFile
from experiments.harness.judge.http2 import converse_http2, is_http2
from experiments.harness.judge.messages import Conversation, Exchange, converse
from experiments.harness.judge.tcp import Connection, connections

# What an origin was given to serve: octets by path, the page before the objects that it names.
Files = Mapping[bytes, bytes]


@dataclass(frozen=True)
class PageLoad:
    """Conversations in the order of their SYNs, how many packets the capture dropped there, and the files of the page.

    `files` None: what the origin was given is not known.
    """

    conversations: tuple[Conversation, ...]
    dropped: int = 0
    files: Files | None = field(default=None, compare=False, repr=False)

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every exchange on every connection, in the order in which the requests were sent."""
        every = (exchange for conversation in self.conversations for exchange in conversation.exchanges)
        return tuple(sorted(every, key=lambda exchange: exchange.request.first_ns))

    def between(self, start_ns: int, end_ns: int, files: Files | None = None) -> PageLoad:
        """Return the part whose connections begin within [start_ns, end_ns), a load of the page with these files."""
        return PageLoad(
            tuple(one for one in self.conversations if start_ns <= one.connection.syn.time_ns < end_ns),
            self.dropped,
            self.files if files is None else files,
        )


def page_load(capture: CaptureFile, interface: str, ports: Iterable[int] = (80,)) -> PageLoad:
    """Return the HTTP/1 and HTTP/2 connections to these server ports that began while `interface` was captured.

    Raises KeyError if the capture has no such interface.
    """
    wanted = set(ports)
    every = connections(capture.at(interface))
    return PageLoad(
        tuple(_converse(connection) for connection in every if connection.server.port in wanted),
        capture.dropped(interface),
    )


def _converse(connection: Connection) -> Conversation:
    return converse_http2(connection) if is_http2(connection) else converse(connection)


def why_not_evidence(loads: Iterable[PageLoad]) -> str | None:
    """Return why nothing can be concluded from these page loads, or None if something can."""
    loads = list(loads)
    if any(load.dropped for load in loads):
        return f"the capture dropped {max(load.dropped for load in loads)} packets"
    if not loads or not all(load.conversations for load in loads):
        return "no HTTP connection in the capture"
    for load in loads:
        for conversation in load.conversations:
            if not conversation.connection.whole:
                syn = conversation.connection.syn.frame
                return f"the capture of the connection opened in frame {syn} has a hole"
    return None
