"""Simulated dialogue over one TCP connection: alternating messages, and the delays that a closed form leaves out.

    path = Path((Hop(rate_bps=10e6, delay_s=0.05),))
    turns = [Turn.of_client(120), Turn.of_server(4200)]    # numbers of octets
    omitted_terms(path, turns)                             # {"window": 0.0, "acknowledgements": 0.0000528}, in s

A turn is all that one side sends before the other side continues; it starts when all of the previous turn has been
received. This models every protocol of commands and replies (SMTP, POP3, IMAP, FTP's control connection), and HTTP/1.1
without pipelining. The delays are waits for the congestion window, and transmission times of acknowledgements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.harness.pathmodel.events import Application, Clock
from lab7.experiments.harness.pathmodel.links import NS, Link, Route
from lab7.experiments.harness.pathmodel.tcp import Connection, Options

FULL, ANY_WINDOW, IDEAL = Options(), Options(window=False), Options(window=False, acknowledgements=False)


@dataclass(frozen=True)
class Hop:
    """Link with equal rate and delay in both directions: `rate_bps` (None: unlimited), one-way delay `delay_s`."""

    rate_bps: float | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Path:
    """Sequence of links from the client to the server."""

    hops: tuple[Hop, ...]

    def routes(self, clock: Clock) -> tuple[Route, Route]:
        """Return (route to the server, route to the client) over newly created links."""
        there, back = ([Link(hop.rate_bps, hop.delay_s) for hop in self.hops] for _ in range(2))
        return Route(clock, there), Route(clock, back[::-1])


@dataclass(frozen=True)
class Turn:
    """Turn of a dialogue: all that one side sends before the other continues, as the number of octets of each write."""

    by_client: bool
    writes_bytes: tuple[int, ...]

    @classmethod
    def of_client(cls, *writes_bytes: int) -> Turn:
        """Return a Turn in which the client writes these numbers of octets."""
        return cls(True, writes_bytes)

    @classmethod
    def of_server(cls, *writes_bytes: int) -> Turn:
        """Return a Turn in which the server writes these numbers of octets."""
        return cls(False, writes_bytes)


def session_s(path: Path, turns: Sequence[Turn], options: Options = FULL, connect: bool = True) -> float:
    """Return the simulated time in s of a dialogue, from the SYN until the last message has been received.

    With `connect=False` the connection is already established, and the time starts with the first turn.
    """
    clock = Clock()
    connection = Connection(clock, *path.routes(clock), options)
    began_ns = 0

    def converse() -> Application:
        nonlocal began_ns
        yield connection.connect()
        if not connect:
            yield connection.server.established
            began_ns = clock.now_ns
        sent = {True: 0, False: 0}
        for turn in turns:
            speaker, listener = connection.client, connection.server
            if not turn.by_client:
                speaker, listener = listener, speaker
                yield connection.server.established
            speaker.write(*turn.writes_bytes)
            sent[turn.by_client] += sum(turn.writes_bytes)
            yield listener.received(sent[turn.by_client])

    ended_ns = 0

    def end() -> None:
        nonlocal ended_ns
        ended_ns = clock.now_ns

    clock.start(converse()).when_met(end)
    clock.run()
    return (ended_ns - began_ns) / NS


def omitted_terms(path: Path, turns: Sequence[Turn], connect: bool = True) -> dict[str, float]:
    """Return the delays in s, by name, that a dialogue has in addition to round trips and transmission times.

    `window`: waits of the sender for the congestion window. `acknowledgements`: transmission time of acknowledgements
    that precede application data on a link.
    """
    full, windowless, ideal = (session_s(path, turns, options, connect) for options in (FULL, ANY_WINDOW, IDEAL))
    return {"window": full - windowless, "acknowledgements": windowless - ideal}
