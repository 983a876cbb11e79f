"""Verdict on claim M2 of the course: IMAP works on messages in the server's mailbox (folders, flags, search, parts).

One session creates a folder, copies a message into the folder, and sets a flag. A later session verifies these changes,
independently of the server's replies in the first session. A part of a message and a search are compared with the
messages themselves. Then the octets of "the headers of all messages" are compared with a download by POP3.

Source: RFC 3501 sections 6.3 (folders), 6.4.4 (SEARCH), 6.4.5 (FETCH, partial), 6.4.6 (STORE), 6.4.7 (COPY), 7.2, 7.3.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides
from lab7.experiments.mail.claims.evidence import digest, octets_of
from lab7.experiments.mail.claims.pop3 import downloaded
from lab7.experiments.mail.wire.imap import ImapExchange, ImapSession, ImapTraffic
from lab7.experiments.mail.wire.imap_grammar import ImapGrammarError, Value
from lab7.experiments.mail.wire.pop3 import Pop3Traffic

WHOLE = "BODY[]"
# A partial FETCH has <first octet.number of octets> after the section (RFC 3501 section 6.4.5).
PARTIAL = re.compile(rb"(?i)BODY(?:\.PEEK)?\[\]<(\d+)\.(\d+)>")
PART_NUMBER = re.compile(r"BODY\[[1-9][0-9.]*\]")
# Match the arguments of a STORE command on one message (RFC 3501 section 6.4.6).
STORED = re.compile(rb"(?i)(\d+) ([+-])FLAGS(?:\.SILENT)? \(([^)]*)\)\Z")
# Flags that no command except STORE sets in the captured sessions (RFC 3501 section 2.3.2).
TOUCHED = frozenset(("\\flagged", "\\answered", "\\deleted", "\\draft"))
# FETCH items that have two names (RFC 3501 section 6.4.5).
SAME = {"RFC822": WHOLE, "RFC822.HEADER": "BODY[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}


@dataclass(frozen=True)
class ImapCourse:
    """Captured IMAP and POP3 sessions on one mailbox; each attribute is named after the purpose of the session.

    By IMAP: everything (fetches all messages), works (changes the mailbox), looks (verifies the changes later), folder
    (fetches the messages of the created folder), headers (fetches all headers), attachment (fetches one attachment). By
    POP3, to compare the octets: top (all headers by TOP), download (all messages by RETR).
    """

    everything: ImapTraffic
    works: ImapTraffic
    looks: ImapTraffic
    folder: ImapTraffic
    headers: ImapTraffic
    top: Pop3Traffic
    download: Pop3Traffic
    attachment: ImapTraffic


@dataclass(frozen=True)
class MailboxTask:
    """Task of the IMAP session that changes the mailbox: copy the message with a given Subject into a new folder.

    attachment: the octets of an attachment of that message, after decoding of base64.
    """

    subject: bytes
    folder: str
    attachment: bytes


@decides("M2")
def decide_imap(claim: str, course: ImapCourse, contents: Sequence[bytes], asked: MailboxTask) -> Verdict:
    """Decide claim M2: IMAP works on messages in the server's mailbox.

    `course`: the captured sessions. `contents`: the messages in the mailbox before the sessions, with CRLF line ends.
    """
    imap = (course.everything, course.works, course.looks, course.folder, course.headers, course.attachment)

    def check() -> Finding:
        try:
            return _check(course, contents, asked)
        except ImapGrammarError as error:
            raise Contradiction(f"A response violates the grammar: {error}.") from None

    return decide(claim, [*imap, course.top, course.download], check)


def _check(course: ImapCourse, contents: Sequence[bytes], asked: MailboxTask) -> Finding:
    stored = _stored(course.everything.sessions[0], contents)
    works, looks = course.works.sessions[0], course.looks.sessions[0]
    found = _search(works, stored, asked)
    part = _partial(works, stored)
    folder = _folder(looks, asked.folder, of=_one(works, "COPY"))
    _copied(course.folder.sessions[0], stored[found], of=_one(works, "COPY"))
    flagged = _flagged(looks, found, of=_one(works, "STORE"))
    _flags(works, looks, found)
    attached = _attachment(course.attachment.sessions[0], asked.attachment)
    there = _exists(looks, len(contents))
    volume = _volume(course, stored)
    return (
        f"Folder {asked.folder}: created in frame {_one(works, 'CREATE').frames[0]}; a later session lists it "
        f"with an unaltered copy of the message ({folder.frames[-1]}). Flag: set in frame "
        f"{_one(works, 'STORE').frames[0]}; a later session finds it on this message only "
        f"({flagged.frames[-1]}). Search: message {found} is the only one with {asked.subject.decode()!r}. "
        f"Parts: {part} octets of {len(stored[found])}, and {attached} octets of an attachment. All "
        f"{len(contents)} messages remain in the mailbox ({there.frames[-1]}). {volume}"
    ), [_one(works, "CREATE").frames[0], folder.frames[-1], flagged.frames[-1], there.frames[-1]]


def _one(session: ImapSession, verb: str) -> ImapExchange:
    """Return the first command of an IMAP session with this name (`verb`), and the responses to it.

    Raises Inconclusive if there is none, Contradiction if the command failed.
    """
    every = session.exchanges_of(verb)
    if not every:
        raise Inconclusive(f"The session of frame {session.frame} has no {verb}.")
    if not every[0].ok:
        raise Contradiction(f"{every[0].described} in frame {every[0].frames[-1]}.", *every[0].frames)
    return every[0]


def fetched_messages(session: ImapSession) -> dict[int, bytes]:
    """Return the messages that a session fetched completely, keyed by message number. Raises ImapGrammarError."""
    parts: dict[int, dict[str, bytes]] = {}
    for exchange in session.exchanges_of("FETCH"):
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
    """Check that a session fetches exactly the messages in `contents`; return them keyed by message number."""
    found = fetched_messages(session)
    strange = Counter(found.values()) - Counter(contents)
    for number, octets in found.items():
        if octets in strange:
            raise Contradiction(
                f"Message {number} in the session of frame {session.frame} ({len(octets)} octets, SHA-256 "
                f"{digest(octets)}) is not a message of the mailbox.",
                session.frame,
            )
    if len(found) != len(contents):
        raise Contradiction(
            f"The session of frame {session.frame} fetches {len(found)} of {len(contents)} messages.",
            session.frame,
        )
    return found


def _numbers(exchange: ImapExchange) -> set[int]:
    """Return the message numbers in the untagged SEARCH responses to a command."""
    values = [value for one in exchange.data("SEARCH") for value in one.values]
    return {int(value) for value in values if isinstance(value, str) and value.isdigit()}


def _search(session: ImapSession, stored: Mapping[int, bytes], asked: MailboxTask) -> int:
    _one(session, "SEARCH")
    expected = {number for number, octets in stored.items() if asked.subject in _subject(octets)}
    if len(expected) != 1:
        raise Inconclusive(f"{len(expected)} messages, not one, have {asked.subject!r} in their Subject.")
    others = set(stored) - expected
    for exchange in session.exchanges_of("SEARCH"):
        negated = re.search(rb"(?i)\bNOT SUBJECT ", exchange.command.argument) is not None
        if (found := _numbers(exchange)) != (others if negated else expected) or not exchange.ok:
            raise Contradiction(
                f"SEARCH in frame {exchange.frames[0]} finds {sorted(found)}, but the matching message is "
                f"{sorted(expected)}{', and the search is negated' if negated else ''}.",
                *exchange.frames,
            )
    return expected.pop()


def _header(content: bytes) -> bytes:
    """Return the header of a message, including the empty line that ends it."""
    return content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def _subject(octets: bytes) -> bytes:
    lines = octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return next((line for line in lines if line.lower().startswith(b"subject:")), b"")


def _partial(session: ImapSession, stored: Mapping[int, bytes]) -> int:
    """Check that partial FETCHes (RFC 3501 section 6.4.5) return the right octets; return the number of octets."""
    brought = 0
    for exchange in session.exchanges_of("FETCH"):
        asked = PARTIAL.search(exchange.command.argument)
        if asked is None:
            continue
        start, most = int(asked[1]), int(asked[2])
        parts = [(number, items.get(f"{WHOLE}<{start}>")) for number, items in exchange.fetched().items()]
        if not exchange.ok or not parts:
            raise Contradiction(f"{exchange.described} in frame {exchange.frames[0]}, without data.", *exchange.frames)
        for number, part in parts:
            # A partial FETCH returns at most the requested number of octets (RFC 3501 section 6.4.5).
            if part != stored.get(number, b"")[start : start + most]:
                what = f"{len(part)} octets are returned" if isinstance(part, bytes) else "No part is returned"
                raise Contradiction(
                    f"{what} in frame {exchange.frames[-1]}, but the client requested octets {start} to "
                    f"{start + most} of message {number}.",
                    *exchange.frames,
                )
            brought += most
    if not brought:
        raise Inconclusive("No session fetches a part of a message.")
    return brought


def _copied(session: ImapSession, content: bytes, of: ImapExchange) -> None:
    """Raise Contradiction unless the destination folder of COPY has only the copied message, unaltered."""
    found = list(fetched_messages(session).values())
    if found != [content]:
        what = (
            f"{len(found)} messages" if len(found) != 1 else f"a message of {len(found[0])} octets, not the copied one"
        )
        raise Contradiction(
            f"COPY in frame {of.frames[0]} succeeded, but the folder has {what} (session of frame {session.frame}).",
            *of.frames,
            session.frame,
        )


def _flags(works: ImapSession, looks: ImapSession, number: int) -> None:
    """Raise Contradiction unless FETCH FLAGS in the later session `looks` returns the flags set by STORE."""
    expected: dict[int, set[str]] = {}
    for exchange in (one for one in works.exchanges_of("STORE") if one.ok):
        said = STORED.match(exchange.command.argument)
        if said is None:
            raise Inconclusive(f"{exchange.command.text!r} is not a STORE of +FLAGS or -FLAGS for one message.")
        flags = set(said[3].decode().lower().split())
        have = expected.setdefault(int(said[1]), set())
        expected[int(said[1])] = have | flags if said[2] == b"+" else have - flags
    asked = next((one for one in looks.exchanges_of("FETCH") if b"FLAGS" in one.command.argument.upper()), None)
    if asked is None:
        raise Inconclusive(f"The session of frame {looks.frame} fetches no flags.")
    told = {at: items.get("FLAGS") for at, items in asked.fetched().items()}
    for at, flags_said in told.items():
        have = {str(one).lower() for one in flags_said} if isinstance(flags_said, list) else set()
        # Compare only the flags set by STORE, since reading may have set \Seen.
        if have & TOUCHED != expected.get(at, set()) & TOUCHED:
            stored = sorted(expected.get(at, ()))
            raise Contradiction(
                f"Message {at} has the flags {sorted(have)} in frame {asked.frames[-1]}, but STORE had set {stored}.",
                *asked.frames,
            )
    if number not in told:
        raise Contradiction(f"FETCH in frame {asked.frames[0]} does not return message {number}.", *asked.frames)


def _attachment(session: ImapSession, attachment: bytes) -> int:
    """Check that a fetched MIME part is the attachment; return the number of encoded octets."""
    for exchange in session.exchanges_of("FETCH"):
        for items in exchange.fetched().values():
            for name, part in items.items():
                if PART_NUMBER.fullmatch(name) is None or not isinstance(part, bytes):
                    continue
                try:
                    decoded = base64.b64decode(part, validate=False)
                except ValueError:
                    decoded = b""
                if decoded != attachment:
                    raise Contradiction(
                        f"{name} in frame {exchange.frames[-1]} decodes to {len(decoded)} octets (SHA-256 "
                        f"{digest(decoded)}), which are not the attachment.",
                        *exchange.frames,
                    )
                return len(part)
    raise Contradiction(f"The session of frame {session.frame} fetches no attachment.", session.frame)


def _folder(session: ImapSession, folder: str, of: ImapExchange) -> ImapExchange:
    """Check that the created folder is listed and has one message; return STATUS and its responses."""
    names = [_name(one.values[-1]) for exchange in session.exchanges_of("LIST") for one in exchange.data("LIST")]
    status = _one(session, "STATUS")
    if folder not in names:
        raise Contradiction(f"{folder} is not listed in the session of frame {session.frame}.", *of.frames)
    values = [value for one in status.data("STATUS") for value in one.values if isinstance(value, list)]
    counts = [dict(zip(value[::2], value[1::2], strict=False)).get("MESSAGES") for value in values]
    if counts != ["1"]:
        raise Contradiction(
            f"COPY in frame {of.frames[0]} succeeded, but STATUS in frame {status.frames[-1]} reports "
            f"{counts} messages in {folder}, not one.",
            *of.frames,
            *status.frames,
        )
    return status


def _name(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _flagged(session: ImapSession, number: int, of: ImapExchange) -> ImapExchange:
    exchange = _one(session, "SEARCH")
    if _numbers(exchange) != {number}:
        raise Contradiction(
            f"STORE in frame {of.frames[0]} flagged message {number}, but SEARCH in frame "
            f"{exchange.frames[-1]} finds {sorted(_numbers(exchange))}.",
            *of.frames,
            *exchange.frames,
        )
    return exchange


def _exists(session: ImapSession, count: int) -> ImapExchange:
    """Check that the selected mailbox has `count` messages (EXISTS).

    Return the command SELECT or EXAMINE with its responses.
    """
    opened = next(iter(session.exchanges_of("SELECT", "EXAMINE")), None)
    if opened is None or not opened.ok:
        raise Inconclusive(f"The session of frame {session.frame} selects no mailbox.")
    numbers = [one.number for one in opened.data("EXISTS")]
    if numbers != [count]:
        raise Contradiction(
            f"The mailbox has {numbers} messages in frame {opened.frames[-1]}, not {count}.", *opened.frames
        )
    return opened


def _volume(course: ImapCourse, stored: Mapping[int, bytes]) -> str:
    """Check that IMAP fetches all headers in fewer octets than a POP3 download; return a clause with both numbers."""
    imap, top, download = course.headers.sessions[0], course.top.sessions[0], course.download.sessions[0]
    needed = sum(len(octets.partition(b"\r\n\r\n")[0]) + 4 for octets in stored.values())
    items = [each for exchange in imap.exchanges_of("FETCH") for each in exchange.fetched().items()]
    headers = [(at, value) for at, each in items for name, value in each.items() if name.startswith("BODY[HEADER")]
    for at, value in headers:
        if at in stored and value != _header(stored[at]):
            where = f"in the session of frame {imap.frame}"
            raise Contradiction(f"The header of message {at} {where} differs from the stored one.", imap.frame)
    for exchange in top.exchanges_of("TOP"):
        number = exchange.command.argument.split()[0]
        content = next((each.content for each in downloaded(course.download) if each.command.argument == number), None)
        if content is not None and exchange.content != _header(content):
            raise Contradiction(
                f"{exchange.command.text!r} in frame {exchange.frames[0]} returns a header that differs from "
                "the stored one.",
                *exchange.frames,
            )
    got = sum(len(value) for _, value in headers if isinstance(value, bytes))
    if got != needed or len(downloaded(course.download)) != len(stored) or len(top.exchanges_of("TOP")) != len(stored):
        raise Inconclusive(
            f"The session fetched {got} of {needed} octets of the headers of {len(stored)} "
            "messages, or POP3 did not fetch all messages and headers."
        )
    moved, all_of_it = octets_of(imap), octets_of(download)
    if moved >= all_of_it:
        raise Contradiction(
            f"Fetching the headers by IMAP moves {moved} octets, and downloading all messages by POP3 only "
            f"{all_of_it}.",
            imap.frame,
        )
    return (
        f"For the headers of {len(stored)} messages ({needed} octets) IMAP moves {moved} octets in "
        f"{len(imap.exchanges)} exchanges, a POP3 download {all_of_it} in {len(download.exchanges)}, and "
        f"POP3's optional TOP {octets_of(top)} in {len(top.exchanges)}."
    )
