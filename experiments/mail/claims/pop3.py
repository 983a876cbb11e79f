"""Verdict on claim M1 of the course: POP3 authorizes the user, then downloads messages, and keeps or deletes them.

Source: RFC 1939 sections 4 (AUTHORIZATION), 5 (TRANSACTION) and 6 (UPDATE: marked messages are deleted by QUIT).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides
from lab7.experiments.mail.claims.evidence import digest
from lab7.experiments.mail.wire.pop3 import Pop3Exchange, Pop3Session, Pop3Traffic

# Commands permitted in the TRANSACTION state only (RFC 1939 section 5).
TRANSACTIONS = ("STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL")


@dataclass(frozen=True)
class Pop3Course:
    """Captured POP3 sessions on one maildrop, in order of time; each attribute is named after a session's purpose.

    refused: tries a wrong password, then TRANSACTION commands; keeps: downloads without deletion; drops: marks a
    message for deletion and ends without QUIT; between: counts the messages; deletes: downloads and deletes; after:
    counts again and downloads the rest.
    """

    refused: Pop3Traffic
    keeps: Pop3Traffic
    drops: Pop3Traffic
    between: Pop3Traffic
    deletes: Pop3Traffic
    after: Pop3Traffic

    @property
    def every(self) -> tuple[Pop3Traffic, ...]:
        """Return the captured traffic of all sessions in order of time."""
        return self.refused, self.keeps, self.drops, self.between, self.deletes, self.after


@decides("M1")
def decide_pop3(claim: str, course: Pop3Course, contents: Sequence[bytes]) -> Verdict:
    """Decide claim M1: POP3 authorizes the user, then downloads messages, and keeps or deletes them.

    `course`: the captured sessions. `contents`: the messages in the maildrop before the sessions, with CRLF line ends.
    """

    def check() -> Finding:
        for session in (session for one in course.every for session in one.sessions):
            _nothing_before_proof(session)
        refused = _refused(course.refused.sessions[0])
        kept = _kept(course, contents)
        dropped = _dropped(course.drops.sessions[0])
        deleted = _deleted(course, contents)
        proof = course.keeps.sessions[0].proof
        assert proof is not None
        return (
            f"AUTHORIZATION: a wrong password gets {_text(refused)} (frame {refused.frames[-1]}), the right "
            f"one {_text(proof)} (frame {proof.frames[-1]}), and no message is sent before. Keep: {len(kept)} "
            f"messages are downloaded unaltered (RETR from frame {kept[0].frames[0]} on) and are all in the "
            f"maildrop in the next session, also after a DELE without QUIT (frame {dropped.frames[0]}). "
            f"Delete: {len(deleted)} messages are downloaded and marked (DELE from frame "
            f"{deleted[0].frames[0]} on), and removed after QUIT: the {len(contents) - len(deleted)} others "
            "remain, with the sizes in the reply to LIST."
        ), [refused.frames[-1], proof.frames[-1], kept[0].frames[0], deleted[0].frames[0]]

    return decide(claim, course.every, check)


def _text(exchange: Pop3Exchange) -> str:
    return repr(exchange.final.text) if exchange.final is not None else "nothing"


def _nothing_before_proof(session: Pop3Session) -> None:
    """Raise Contradiction if the server executes a TRANSACTION command before the user is authenticated."""
    proof = session.proof
    last = session.exchanges.index(proof) if proof is not None else len(session.exchanges)
    for exchange in session.exchanges[:last]:
        if exchange.verb in TRANSACTIONS and exchange.ok:
            raise Contradiction(
                f"{exchange.described} in frame {exchange.frames[0]}, before the user is authenticated.",
                *exchange.frames,
            )


def _refused(session: Pop3Session) -> Pop3Exchange:
    """Check that logins with a wrong password leave a POP3 session in the AUTHORIZATION state.

    Returns the last login command of the session with its response.
    """
    attempts = session.exchanges_of("PASS", "APOP", "AUTH")
    if not attempts or not session.exchanges_of(*TRANSACTIONS):
        raise Inconclusive("No session requests messages after a wrong password.")
    if (proof := session.proof) is not None:
        raise Contradiction(f"The server accepts a wrong password in frame {proof.frames[-1]}.", *proof.frames)
    return attempts[-1]


def _dropped(session: Pop3Session) -> Pop3Exchange:
    """Return the successful DELE command of a session that ends without QUIT. Raises Inconclusive if there is none."""
    marked = next((exchange for exchange in session.exchanges_of("DELE") if exchange.ok), None)
    if marked is None or session.exchanges_of("QUIT"):
        raise Inconclusive("No session marks a message for deletion and ends without QUIT.")
    return marked


def count(traffic: Pop3Traffic, contents: Sequence[bytes] | None = None) -> tuple[int, Pop3Exchange]:
    """Check that STAT returns the number and total size of the messages in `contents` (None: not checked).

    Returns (number, STAT with its response). The size counts CRLF line ends (RFC 1939 section 11).
    """
    asked = traffic.sessions[0].exchanges_of("STAT")
    if not asked:
        raise Inconclusive(f"The session of frame {traffic.sessions[0].frame} has no STAT.")
    words = asked[0].final.message.split() if asked[0].ok and asked[0].final is not None else []
    # RFC 1939 section 5: servers are required to reply to STAT in the format "+OK nn mm".
    if len(words) < 2 or not words[0].isdigit():
        raise Contradiction(
            f"{asked[0].described} in frame {asked[0].frames[-1]}, without the number of messages.", *asked[0].frames
        )
    octets = sum(map(len, contents or ()))
    if contents is not None and int(words[0]) == len(contents) and words[1] != str(octets):
        raise Contradiction(
            f"{asked[0].described} in frame {asked[0].frames[-1]}, but the messages have {octets} octets.",
            *asked[0].frames,
        )
    return int(words[0]), asked[0]


def downloaded(traffic: Pop3Traffic) -> list[Pop3Exchange]:
    """Check that all RETR commands of a session succeed; return these commands with their responses."""
    asked = traffic.sessions[0].exchanges_of("RETR")
    for exchange in asked:
        if not exchange.ok:
            raise Contradiction(f"{exchange.described} in frame {exchange.frames[-1]}.", *exchange.frames)
    return asked


def _kept(course: Pop3Course, contents: Sequence[bytes]) -> list[Pop3Exchange]:
    """Check that the session `keeps` retrieves all messages, and that all remain in the maildrop.

    Returns the RETR commands with their responses.
    """
    asked = downloaded(course.keeps)
    _are(asked, contents)
    if len(asked) != len(contents):
        raise Contradiction(
            f"The session of frame {course.keeps.sessions[0].frame} downloads {len(asked)} of {len(contents)} "
            "messages.",
            course.keeps.sessions[0].frame,
        )
    left, said = count(course.between, contents)
    if left != len(contents):
        raise Contradiction(
            f"{len(contents)} messages were downloaded and none was deleted, but the maildrop has {left} "
            f"messages in frame {said.frames[-1]}.",
            *said.frames,
        )
    return asked


def _are(asked: Sequence[Pop3Exchange], contents: Sequence[bytes]) -> None:
    """Raise Contradiction unless each downloaded message is in the maildrop, and is downloaded only once."""
    left = Counter(contents)
    for one in asked:
        if not left[one.content]:
            raise Contradiction(
                f"{one.command.text!r} in frame {one.frames[0]} returns {len(one.content)} octets (SHA-256 "
                f"{digest(one.content)}) that are not a message of the maildrop.",
                *one.frames,
            )
        left[one.content] -= 1


def _deleted(course: Pop3Course, contents: Sequence[bytes]) -> list[Pop3Exchange]:
    """Check that the session `deletes` deletes exactly these messages; return the DELE commands with responses."""
    session = course.deletes.sessions[0]
    asked, got = session.exchanges_of("DELE"), {one.command.argument for one in downloaded(course.deletes)}
    _are(downloaded(course.deletes), contents)
    if not asked:
        raise Inconclusive("No session has a DELE.")
    for one in asked:
        if not one.ok or one.command.argument not in got:
            raise Contradiction(
                f"{one.described} in frame {one.frames[0]}: the command failed, or its message was not downloaded.",
                *one.frames,
            )
    if not any(exchange.ok for exchange in session.exchanges_of("QUIT")):
        raise Contradiction(f"The session of frame {session.frame} has no successful QUIT.", session.frame)
    gone = [
        one.content for one in downloaded(course.deletes) if one.command.argument in {d.command.argument for d in asked}
    ]
    rest = list((Counter(contents) - Counter(gone)).elements())
    left, said = count(course.after, rest)
    if left != len(contents) - len(asked):
        raise Contradiction(
            f"{len(asked)} of {len(contents)} messages were deleted, but the maildrop has {left} messages in "
            f"frame {said.frames[-1]}.",
            *said.frames,
        )
    _left(course.after, rest)
    return asked


def _left(traffic: Pop3Traffic, rest: Sequence[bytes]) -> None:
    """Raise Contradiction if a session downloads a message that is not in `rest`, or if LIST reports a wrong size.

    `rest`: the messages that must have remained in the maildrop. Raises Inconclusive if the session does not download
    all of them.
    """
    session, got = traffic.sessions[0], downloaded(traffic)
    if len(got) != len(rest):
        raise Inconclusive(f"{len(got)} of the {len(rest)} remaining messages were downloaded.")
    strange = Counter(one.content for one in got) - Counter(rest)
    for one in got:
        if one.content in strange:
            raise Contradiction(
                f"{one.command.text!r} in frame {one.frames[0]} returns a message that was deleted, was "
                f"downloaded before, or is not in the maildrop (SHA-256 {digest(one.content)}).",
                *one.frames,
            )
    sizes = _sizes(session)
    for one in got:
        said = sizes.get(one.command.argument.decode())
        if said is not None and said != len(one.content):
            raise Contradiction(
                f"LIST reports {said} octets for the message, but {one.command.text!r} in frame "
                f"{one.frames[0]} returns {len(one.content)}.",
                *one.frames,
            )


def _sizes(session: Pop3Session) -> dict[str, int]:
    """Return message number -> size in octets, from the scan listing of LIST (RFC 1939 section 5)."""
    asked = next((exchange for exchange in session.exchanges_of("LIST") if not exchange.command.argument), None)
    if asked is None or not asked.ok:
        raise Inconclusive(f"The session of frame {session.frame} has no LIST.")
    lines = [line.split() for line in asked.content.decode(errors="replace").splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) >= 2 and words[1].isdigit()}
