"""Decide M2 from packets: IMAP works on messages where they are stored.

Four things are done in one session and looked for in a later one, since what the server only says may not be so: a
folder, a copy in it, a flag; and a part of a message and a search are compared with the messages themselves. Then the
octets that "the headers of all messages" takes, against a download by POP3.

Source: RFC 3501 sections 6.3 (folders), 6.4.4 (SEARCH), 6.4.5 (FETCH, partial), 6.4.6 (STORE), 6.4.7 (COPY), 7.2, 7.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.judge.http import Contradiction
from experiments.harness.judge.imap import Exchange, ImapSession, ImapTraffic
from experiments.harness.judge.imap_grammar import ImapGrammarError, Value
from experiments.harness.judge.mail_evidence import Found, InconclusiveError, decide_mail, digest, octets_of
from experiments.harness.judge.pop3 import Pop3Traffic
from experiments.harness.judge.pop3_claims import downloaded
from experiments.harness.judge.verdict import Verdict

WHOLE = "BODY[]"
# RFC 3501 section 6.4.5: items that have two names.
SAME = {"RFC822": WHOLE, "RFC822.HEADER": "BODY[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}


@dataclass(frozen=True)
class ImapCourse:
    """Sessions on one mailbox: one that fetches everything, one that works on it, a later one that looks; and one that
    fetches the headers of all messages, by IMAP, by POP3's TOP, and by a download by POP3."""

    everything: ImapTraffic
    works: ImapTraffic
    looks: ImapTraffic
    headers: ImapTraffic
    top: Pop3Traffic
    download: Pop3Traffic


@dataclass(frozen=True)
class Asked:
    """What the working session is to do: to find the one message with this in its Subject, and put it into a folder."""

    subject: bytes
    folder: str


def m2(course: ImapCourse, contents: Sequence[bytes], asked: Asked) -> Verdict:
    """Decide M2; `contents`: the messages of the mailbox, lines ending in CRLF."""
    imap = (course.everything, course.works, course.looks, course.headers)

    def check() -> Found:
        try:
            return _check(course, contents, asked)
        except ImapGrammarError as error:
            raise Contradiction(f"A response is not as the grammar has it: {error}.") from None

    return decide_mail("M2", [*imap, course.top, course.download], check)


def _check(course: ImapCourse, contents: Sequence[bytes], asked: Asked) -> Found:
    stored = _stored(course.everything.sessions[0], contents)
    works, looks = course.works.sessions[0], course.looks.sessions[0]
    found = _search(works, stored, asked)
    part = _partial(works, stored)
    folder = _folder(looks, asked.folder, of=_one(works, "COPY"))
    flagged = _flagged(looks, found, of=_one(works, "STORE"))
    there = _exists(looks, len(contents))
    volume = _volume(course, stored)
    return (
        f"Folder {asked.folder}: made in frame {_one(works, 'CREATE').frames[0]}, and in a later session it is there "
        f"with the copy in it ({folder.frames[-1]}). Flag: set in {_one(works, 'STORE').frames[0]}, found in "
        f"{flagged.frames[-1]}. Search: {found} is the one message with {asked.subject.decode()!r}. Part: "
        f"{part} octets of {len(stored[found])}. All {len(contents)} messages stay where they are "
        f"({there.frames[-1]}). {volume}"
    ), [_one(works, "CREATE").frames[0], folder.frames[-1], flagged.frames[-1], there.frames[-1]]


def _one(session: ImapSession, verb: str) -> Exchange:
    """The first exchange of this name, which must succeed."""
    every = session.asked(verb)
    if not every:
        raise InconclusiveError(f"The session of frame {session.frame} has no {verb}.")
    if not every[0].ok:
        raise Contradiction(f"{every[0].text!r} in frame {every[0].frames[-1]}.", *every[0].frames)
    return every[0]


def whole_messages(session: ImapSession) -> dict[int, bytes]:
    """The whole messages that a session fetched, by number, at once or header and text. Raises ImapGrammarError."""
    parts: dict[int, dict[str, bytes]] = {}
    for exchange in session.asked("FETCH"):
        for number, items in exchange.fetched().items():
            strings = {name: value for name, value in items.items() if isinstance(value, bytes)}
            parts.setdefault(number, {}).update({SAME.get(name, name): value for name, value in strings.items()})
    found = {}
    for number, each in parts.items():
        if WHOLE in each:
            found[number] = each[WHOLE]
        elif "BODY[HEADER]" in each and "BODY[TEXT]" in each:
            found[number] = each["BODY[HEADER]"] + each["BODY[TEXT]"]
    return found


def _stored(session: ImapSession, contents: Sequence[bytes]) -> dict[int, bytes]:
    """The messages by their numbers; Contradiction unless they are those that are known."""
    found = whole_messages(session)
    strange = Counter(found.values()) - Counter(contents)
    for number, octets in found.items():
        if octets in strange:
            raise Contradiction(
                f"Message {number} in the session of frame {session.frame} has {len(octets)} octets (SHA-256 "
                f"{digest(octets)}), and is no message of the mailbox.",
                session.frame,
            )
    if len(found) != len(contents):
        raise Contradiction(
            f"{len(found)} of {len(contents)} messages are handed out in the session of frame {session.frame}.",
            session.frame,
        )
    return found


def _numbers(exchange: Exchange) -> set[int]:
    """What a SEARCH found."""
    values = [value for one in exchange.named("SEARCH") for value in one.values]
    return {int(value) for value in values if isinstance(value, str) and value.isdigit()}


def _search(session: ImapSession, stored: Mapping[int, bytes], asked: Asked) -> int:
    exchange = _one(session, "SEARCH")
    expected = {number for number, octets in stored.items() if asked.subject in _subject(octets)}
    if len(expected) != 1:
        raise InconclusiveError(f"{len(expected)} messages have {asked.subject!r} in their Subject.")
    if (found := _numbers(exchange)) != expected:
        raise Contradiction(
            f"SEARCH in frame {exchange.frames[0]} finds {sorted(found)}, and {sorted(expected)} has it.",
            *exchange.frames,
        )
    return expected.pop()


def _subject(octets: bytes) -> bytes:
    lines = octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return next((line for line in lines if line.lower().startswith(b"subject:")), b"")


def _partial(session: ImapSession, stored: Mapping[int, bytes]) -> int:
    """How many octets a partial FETCH brought; Contradiction unless they are the message's first ones."""
    for exchange in session.asked("FETCH"):
        for number, items in exchange.fetched().items():
            part = items.get(f"{WHOLE}<0>")
            if not isinstance(part, bytes):
                continue
            if not part or not stored[number].startswith(part) or len(part) >= len(stored[number]):
                raise Contradiction(
                    f"The {len(part)} octets in frame {exchange.frames[-1]} are not the first of message {number}.",
                    *exchange.frames,
                )
            return len(part)
    raise InconclusiveError("No part of a message is fetched.")


def _folder(session: ImapSession, folder: str, of: Exchange) -> Exchange:
    """The STATUS of the folder; Contradiction unless it is listed and has one message."""
    names = [_name(one.values[-1]) for exchange in session.asked("LIST") for one in exchange.named("LIST")]
    status = _one(session, "STATUS")
    if folder not in names:
        raise Contradiction(f"{folder} is not listed in the session of frame {session.frame}.", *of.frames)
    values = [value for one in status.named("STATUS") for value in one.values if isinstance(value, list)]
    counts = [dict(zip(value[::2], value[1::2], strict=False)).get("MESSAGES") for value in values]
    if counts != ["1"]:
        raise Contradiction(
            f"COPY in frame {of.frames[0]} succeeded, and {folder} has {counts} messages in frame {status.frames[-1]}.",
            *of.frames,
            *status.frames,
        )
    return status


def _name(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _flagged(session: ImapSession, number: int, of: Exchange) -> Exchange:
    exchange = _one(session, "SEARCH")
    if _numbers(exchange) != {number}:
        raise Contradiction(
            f"STORE in frame {of.frames[0]} flagged message {number}, and in frame {exchange.frames[-1]} "
            f"{sorted(_numbers(exchange))} are flagged.",
            *of.frames,
            *exchange.frames,
        )
    return exchange


def _exists(session: ImapSession, count: int) -> Exchange:
    """The exchange that opens the mailbox, which must have so many messages still."""
    opened = next(iter(session.asked("SELECT", "EXAMINE")), None)
    if opened is None or not opened.ok:
        raise InconclusiveError(f"The session of frame {session.frame} opens no mailbox.")
    numbers = [one.number for one in opened.named("EXISTS")]
    if numbers != [count]:
        raise Contradiction(f"{numbers} messages are there in frame {opened.frames[-1]}, not {count}.", *opened.frames)
    return opened


def _volume(course: ImapCourse, stored: Mapping[int, bytes]) -> str:
    """What the headers of all messages took, in words; Contradiction unless IMAP moves less than a download."""
    imap, top, download = course.headers.sessions[0], course.top.sessions[0], course.download.sessions[0]
    needed = sum(len(octets.partition(b"\r\n\r\n")[0]) + 4 for octets in stored.values())
    items = [each for one in imap.asked("FETCH") for each in one.fetched().values()]
    headers = [value for each in items for name, value in each.items() if name.startswith("BODY[HEADER")]
    got = sum(len(value) for value in headers if isinstance(value, bytes))
    if got != needed or len(downloaded(course.download)) != len(stored) or len(top.asked("TOP")) != len(stored):
        raise InconclusiveError(f"{got} octets of {needed} in the headers of {len(stored)} messages were fetched.")
    moved, all_of_it = octets_of(imap), octets_of(download)
    if moved >= all_of_it:
        raise Contradiction(
            f"For the headers IMAP moves {moved} octets, and POP3 moves {all_of_it} for everything.", imap.frame
        )
    return (
        f"For the {needed} octets in the headers of {len(stored)} messages IMAP moves {moved} octets in "
        f"{len(imap.exchanges)} exchanges, POP3 {all_of_it} in {len(download.exchanges)} where it downloads, and "
        f"{octets_of(top)} in {len(top.exchanges)} by TOP, which is optional there."
    )
