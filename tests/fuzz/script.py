r"""Scripts of fuzzed sessions: the steps of one connection, and the text form in which corpus and faults are kept.

    # A comment.
    session
    wait
    send "a1 LOGIN eve secret\r\n"
    wait
    half-close

Octets are written as in Python's byte literals. `%id%` in a step is the session's number, four digits; each service has
more names of this kind (tests/fuzz/services.py), whose values are known only when the session is played.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Steps with octets, and those without.
SEND, DATAGRAM, DATA, ANSWER = "send", "datagram", "data", "answer"
WAIT, PAUSE, HALF_CLOSE, RESET, DEAF = "wait", "pause", "half-close", "reset", "deaf"
PASSIVE, ACTIVE, DATA_CLOSE, DATA_RESET = "passive", "active", "data-close", "data-reset"
WITH_OCTETS = frozenset((SEND, DATAGRAM, DATA, ANSWER))
VERBS = WITH_OCTETS | {WAIT, PAUSE, HALF_CLOSE, RESET, DEAF, PASSIVE, ACTIVE, DATA_CLOSE, DATA_RESET}
_SESSION = "session"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a session.

    send, datagram   octets to the service by TCP, or one datagram by UDP
    wait             until the service has answered, for a bounded time
    pause            a moment, so that what was sent arrives by itself
    half-close       the end of the sending direction; reset: of the connection, with RST
    deaf             read nothing from here on
    passive, active  open, or listen for, an FTP data connection; data, data-close, data-reset: use it
    answer           what the peer behind the service (origin, name server) says to the next request of this session
    """

    verb: str
    octets: bytes = b""


Session = tuple[Step, ...]


def to_text(sessions: Iterable[Session], comment: str = "") -> str:
    """Return sessions in the text form."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for session in sessions:
        lines.append(_SESSION)
        for step in session:
            octets = step.octets.decode("latin-1").encode("unicode_escape").decode("ascii")
            lines.append(f'{step.verb} "{octets}"' if step.verb in WITH_OCTETS else step.verb)
    return "\n".join(lines) + "\n"


def from_text(text: str) -> list[Session]:
    """Return the sessions of a text; raises ValueError where a line is no step."""
    sessions: list[list[Step]] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line == _SESSION:
            sessions.append([])
            continue
        verb, _, quoted = line.partition(" ")
        if verb not in VERBS or (verb in WITH_OCTETS) != (len(quoted) > 1 and quoted[0] == quoted[-1] == '"'):
            raise ValueError(f"no step: {line!r}")
        octets = quoted[1:-1].encode("latin-1").decode("unicode_escape").encode("latin-1")
        if not sessions:
            raise ValueError(f"no session before {line!r}")
        sessions[-1].append(Step(verb, octets))
    return [tuple(steps) for steps in sessions]


def read(path: Path) -> list[Session]:
    """Return the sessions of a file."""
    return from_text(path.read_text(encoding="ascii"))
