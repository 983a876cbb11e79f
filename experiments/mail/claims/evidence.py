"""Common checks of the mail claims: validity of traffic as evidence, and counts of octets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from experiments.harness.judge.tcp import Connection
from experiments.harness.judge.verdict import Contradiction, Verdict, failed, shown, undecided

Found = tuple[str, list[int]]


class Session(Protocol):
    """A session of SMTP, POP3 or IMAP."""

    @property
    def connection(self) -> Connection:
        """The connection that carries it."""

    @property
    def problem(self) -> str | None:
        """A violation of the grammar, if any."""


class Traffic(Protocol):
    """The sessions captured at one interface."""

    @property
    def sessions(self) -> Sequence[Session]:
        """In the order of their SYNs."""

    @property
    def dropped(self) -> int:
        """The number of packets that the capture lost."""


class InconclusiveError(Exception):
    """The capture has too little to decide by; carries what is missing."""


def decide_mail(claim_id: str, traffic: Iterable[Traffic], check: Callable[[], Found]) -> Verdict:
    """Run a check, which returns evidence and frames or raises Contradiction or InconclusiveError, on fit traffic."""
    every = list(traffic)
    unfit = _why_not_evidence(every)
    if unfit is not None:
        return undecided(claim_id, f"Nothing can be said: {unfit}.")
    try:
        for session in (session for one in every for session in one.sessions):
            if session.problem is not None:
                frame = session.connection.syn.frame
                raise Contradiction(f"On the connection opened in frame {frame}: {session.problem}.", frame)
        evidence, frames = check()
    except InconclusiveError as missing:
        return undecided(claim_id, str(missing))
    except Contradiction as found:
        return failed(claim_id, found.evidence, found.frames)
    return shown(claim_id, evidence, frames)


def _why_not_evidence(every: Sequence[Traffic]) -> str | None:
    if any(one.dropped for one in every):
        return f"the capture dropped {max(one.dropped for one in every)} packets"
    if not every or not all(one.sessions for one in every):
        return "a session of mail is not in the capture"
    for session in (session for one in every for session in one.sessions):
        if not session.connection.whole:
            return f"the capture of the connection opened in frame {session.connection.syn.frame} has a hole"
    return None


def digest(octets: bytes) -> str:
    """Return the beginning of the SHA-256, for evidence texts."""
    return hashlib.sha256(octets).hexdigest()[:12]


def octets_of(session: Session) -> int:
    """Count the octets of a session in both directions, without packet headers."""
    return connection_octets(session.connection)


def connection_octets(connection: Connection) -> int:
    """Count the octets of a connection in both directions, without packet headers."""
    return len(connection.from_client.stream.data) + len(connection.from_server.stream.data)
