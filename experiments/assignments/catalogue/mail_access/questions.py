"""Questions of the assignment mail-access, on a mailbox read by POP3 and IMAP: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Listing, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.mail.lab import RECEIVER_ADDRESS, UserAgent, mailbox, wait_for_messages
from lab7.experiments.mail.mailboxes import Reader
from lab7.experiments.mail.wire.imap import ImapExchange, ImapSession
from lab7.experiments.mail.wire.imap_grammar import Response, Value
from lab7.experiments.mail.wire.pop3 import Pop3Session

HERE, THERE = "example.org", "example.com"
# Last letters of the subjects, all different, so that no two subjects are equal.
ENDINGS = "bdfgklmnprst"
IMAP, POP3 = "imap", "pop3"
# Indexes of the IMAP sessions in the capture.
FIRST, LAST = 0, -1
SUBJECT_ITEM = "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
# Time in seconds after the session for the capture of the connection's last segments.
CLOSE_S = 1.0


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: user, messages, and the commands of the three POP3 and IMAP sessions."""
    user, password = draw.word("user"), f"{draw.word('password-1')}-{draw.number('password-2', 10, 99)}"
    count = draw.number("messages", 5, 8)
    subjects = [f"{draw.word(f'subject-{at}')}{ENDINGS[at]}" for at in range(count)]
    # Deleted before the capture begins, so that UIDs and message numbers differ.
    old = draw.number("old", 1, 4)
    fetched, wanted = draw.sample("fetched", range(1, count + 1), 2)
    first, *others = draw.sample("deleted", [one for one in range(1, count + 1) if one != fetched], 4)
    return {
        "user": user,
        "old": draw.sample("old-places", range(1, count + old), old),
        "messages": [[subject, draw.number(f"lines-{at}", 3, 60)] for at, subject in enumerate(subjects)],
        "password": password,
        "wanted": subjects[wanted - 1],
        "fetched": fetched,
        "item": draw.choice("item", ("BODY[]", "BODY.PEEK[]")),
        "flag": draw.choice("flag", ("\\Flagged", "\\Answered")),
        "retrieved": sorted(draw.sample("retrieved", range(1, count + 1), draw.number("retrieved", 1, 3))),
        "restored": sorted({first, *others[:1]}),
        "deleted": sorted(others[1 : 2 + draw.below("deletions", 2)]),
        "parameters": {
            "accounts_b": f"{user}:{password}\n",
            "receiver": f"{draw.number('receiver', 2, 30)}ms",
        },
    }


def record(lab: Lab) -> None:
    """Produce the traffic: deliver the messages (not captured), then run the user's IMAP, POP3 and IMAP sessions."""
    variant = lab.variant
    _deliver(lab)
    login = ["login", variant["user"], variant["password"]]
    listed = ["uid", "FETCH", "1:*", f"(UID FLAGS RFC822.SIZE {SUBJECT_ITEM})"]
    fetched = str(variant["fetched"])
    store = ["store", fetched, "+FLAGS", f"({variant['flag']})"]
    client = Reader(lab.bed.host("bob"), RECEIVER_ADDRESS)
    client.session(IMAP, [login, ["select"], listed, ["fetch", fetched, f"({variant['item']})"], store, ["logout"]])
    client.session(
        POP3,
        [
            ["user", variant["user"]],
            ["pass_", variant["password"]],
            ["stat"],
            ["list"],
            ["uidl"],
            *(["retr", number] for number in variant["retrieved"]),
            *(["dele", number] for number in variant["restored"]),
            ["rset"],
            *(["dele", number] for number in variant["deleted"]),
            ["quit"],
        ],
    )
    client.session(IMAP, [login, ["select"], listed, ["logout"]])
    time.sleep(CLOSE_S)


def _deliver(lab: Lab) -> None:
    """Deliver the messages by SMTP from Alice's host, in order; then delete some of them by IMAP.

    The drawn parameter `old` has the message numbers of those that are deleted.
    """
    variant = lab.variant
    alice, folder = lab.bed.host("alice"), mailbox(lab.bed.host("mail-b"), THERE, variant["user"])
    agent, drafts = UserAgent(alice), list(variant["messages"])
    places = sorted(variant["old"])
    for place in places:
        drafts.insert(place - 1, [f"old-{place}", 1])
    for count, (subject, lines) in enumerate(drafts, start=1):
        steps = [
            ("say", f"EHLO mail.{HERE}"),
            ("say", f"MAIL FROM:<alice@{HERE}>"),
            ("say", f"RCPT TO:<{variant['user']}@{THERE}>"),
            ("say", "DATA"),
            ("data", _message(variant, subject, lines)),
            ("say", "QUIT"),
        ]
        agent.dialogue(steps, RECEIVER_ADDRESS)
        wait_for_messages(folder, count)
    numbers = ",".join(map(str, places))
    login = ["login", variant["user"], variant["password"]]
    Reader(alice, RECEIVER_ADDRESS).session(
        IMAP, [login, ["select"], ["store", numbers, "+FLAGS", "(\\Deleted)"], ["expunge"], ["logout"]]
    )


def _message(variant: Mapping[str, Any], subject: str, lines: int) -> str:
    header = [
        f"From: alice@{HERE}",
        f"To: {variant['user']}@{THERE}",
        f"Subject: {subject}",
        f"Message-ID: <{subject}.{variant['nonce']}@{HERE}>",
        "Date: Tue, 01 Jan 2030 00:00:05 +0000",
    ]
    return "".join(
        f"{line}\r\n" for line in (*header, "", *(f"Line {number} of {subject}." for number in range(lines)))
    )


def _imap(seen: CaptureView, place: int) -> ImapSession:
    return seen.imap.sessions[place]


def _exchange(session: ImapSession, verb: str, by_uid: bool = False) -> ImapExchange:
    return next(one for one in session.exchanges_of(verb) if one.command.by_uid == by_uid)


def _listed(session: ImapSession) -> dict[int, dict[str, Value]]:
    """Return the FETCH data items that a session's UID FETCH command returns: UID -> item name -> value."""
    found = _exchange(session, "FETCH", by_uid=True).fetched().values()
    return {int(str(items["UID"])): items for items in found}


def _row(session: ImapSession, uid: int) -> Response:
    """Return the untagged FETCH response about the message with this UID in an IMAP session."""
    rows = _exchange(session, "FETCH", by_uid=True).data("FETCH")
    numbers = {int(str(items["UID"])): number for number, items in _exchange(session, "FETCH", True).fetched().items()}
    return next(row for row in rows if row.number == numbers[uid])


def _subject(items: Mapping[str, Value]) -> str:
    header = next(value for value in items.values() if isinstance(value, bytes))
    return str(BytesHeaderParser().parsebytes(header)["Subject"]).strip()


def _whole(seen: CaptureView) -> tuple[Response, bytes]:
    """Return (untagged FETCH response with the complete message, octets of the message) of the first IMAP session."""
    exchange = _exchange(_imap(seen, FIRST), "FETCH")
    (response,) = (one for one in exchange.data("FETCH") if b"BODY[]" in one.rest)
    (content,) = (value for value in exchange.fetched()[response.number or 0].values() if isinstance(value, bytes))
    return response, content


def _pop3(seen: CaptureView) -> Pop3Session:
    (session,) = seen.pop3.sessions
    return session


def _uid_of_whole(seen: CaptureView) -> int:
    response, _ = _whole(seen)
    listed = _exchange(_imap(seen, FIRST), "FETCH", by_uid=True).fetched()
    return int(str(listed[response.number or 0]["UID"]))


def _gone(seen: CaptureView) -> list[int]:
    return sorted(_listed(_imap(seen, FIRST)).keys() - _listed(_imap(seen, LAST)).keys())


def _server_octets(session: ImapSession | Pop3Session) -> Key:
    sent = session.connection.from_server
    frames = tuple(segment.frame for segment in sent.segments)
    size = len(sent.stream.data)
    explanation = (
        f"The segments of the server from frame {frames[0]} to frame {frames[-1]} carry {size} octets; *Follow TCP "
        "stream* shows the number for one direction."
    )
    return Key(Number(size, "size", "bytes"), frames, explanation)


@question(points=1, filter='imap contains "UIDVALIDITY"', hint="Read the responses to SELECT.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the UIDVALIDITY of the mailbox."""
    selected = _exchange(_imap(seen, FIRST), "SELECT")
    found = next(one for one in selected.preliminary if b"[UIDVALIDITY " in one.rest)
    value = int(found.rest.partition(b"[UIDVALIDITY ")[2].partition(b"]")[0])
    explanation = (
        f"Frame {found.frame} has `{found.text}`: UIDs are valid as long as this number stays the same (RFC 3501 "
        "section 2.3.1.1)."
    )
    return Key(Number(value), (found.frame,), explanation)


@question(points=2, filter='imap contains "Subject: "', hint="The number after the asterisk is no UID.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the UID of the message with a given subject."""
    session = _imap(seen, FIRST)
    uid = next(uid for uid, items in _listed(session).items() if _subject(items) == seen.variant["wanted"])
    row = _row(session, uid)
    explanation = (
        f"The response in frame {row.frame} is about message {row.number} and has `UID {uid}`. Message numbers change "
        "when messages are deleted, UIDs do not (RFC 3501 section 2.3.1)."
    )
    return Key(Number(uid), (row.frame,), explanation)


@question(points=1, filter='imap.request contains "STORE"', hint="The tag is the first word of a command.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the tag of the STORE command."""
    stored = _exchange(_imap(seen, FIRST), "STORE")
    asked, answered = stored.frames
    explanation = (
        f"`{stored.command.text}` is in frame {asked}; the response with the same tag in frame {answered} completes it "
        "(RFC 3501 section 2.2.1)."
    )
    return Key(Text(stored.command.tag), (asked, answered), explanation)


@question(points=1, filter='imap contains "BODY[] {"', hint="The number in braces announces a literal.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the size of the IMAP literal with the content of the fetched message."""
    response, content = _whole(seen)
    explanation = (
        f"The response that ends in frame {response.frame} begins with `{response.text}`: {len(content)} octets follow "
        "the line (RFC 3501 section 4.3)."
    )
    return Key(Number(len(content), "size", "bytes"), _frames(response), explanation)


def _frames(response: Response) -> tuple[int, ...]:
    return tuple(dict.fromkeys(piece.frame for piece in response.pieces))


@question(points=1, filter='imap contains "Message-ID: "', hint="The content begins with the header.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the Message-ID of the fetched message, which contains the student's nonce."""
    response, content = _whole(seen)
    field = str(BytesHeaderParser().parsebytes(content)["Message-ID"]).strip()
    frames = _frames(response)
    explanation = f"The header begins in frame {frames[0]} and has `Message-ID: {field}` (RFC 5322 section 3.6.4)."
    return Key(Text(field.strip("<>")), frames, explanation)


@question(points=1, filter="imap && ip.src == 10.25.2.25", hint="Follow the TCP stream, one direction only.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the number of octets that the server sends in the first IMAP session."""
    return _server_octets(_imap(seen, FIRST))


@question(points=1, filter="pop && ip.src == 10.25.2.25", hint="Follow the TCP stream, one direction only.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the number of octets that the server sends in the POP3 session."""
    return _server_octets(_pop3(seen))


@question(points=1, filter='pop.request.command == "STAT" || pop.response', hint="The response has two numbers.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the size of the maildrop in octets, from the reply to STAT."""
    (exchange,) = _pop3(seen).exchanges_of("STAT")
    asked, answered = exchange.frames
    size = int(exchange.outcome.split()[2])
    explanation = (
        f"STAT in frame {asked} gets `{exchange.outcome}` in frame {answered}: number of messages, and octets (RFC "
        "1939 section 5)."
    )
    return Key(Number(size, "size", "bytes"), (answered,), explanation)


@question(points=2, filter="pop.request", hint="DELE only marks a message.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of QUIT, the command that enters POP3's UPDATE state."""
    session = _pop3(seen)
    (quit_,) = session.exchanges_of("QUIT")
    marks = ", ".join(f"{one.command.text} (frame {one.command.frame})" for one in session.exchanges_of("DELE", "RSET"))
    explanation = (
        f"Marks so far: {marks}; RSET removes the marks before it. QUIT in frame {quit_.command.frame} enters the "
        "UPDATE state, in which the server deletes the marked messages (RFC 1939 section 6)."
    )
    return Key(Frames((quit_.command.frame,)), (quit_.command.frame,), explanation)


@question(
    points=2, filter='imap contains "Subject: "', hint="Compare the UIDs of both sessions, not the message numbers."
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the UIDs of the messages that the POP3 session deleted."""
    gone = _gone(seen)
    first, last = (", ".join(map(str, sorted(_listed(_imap(seen, place))))) for place in (FIRST, LAST))
    frames = tuple(sorted({_row(_imap(seen, FIRST), uid).frame for uid in gone}))
    explanation = (
        f"The first session lists the UIDs {first}, the last one {last}. What was retrieved by POP3 and not deleted is "
        "still there."
    )
    return Key(Listing(tuple(map(Number, gone))), frames, explanation)


@question(points=1, filter='imap contains "EXISTS"', hint="Read the untagged responses to SELECT.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the number of messages (EXISTS) in the last IMAP session."""
    (found,) = _exchange(_imap(seen, LAST), "SELECT").data("EXISTS")
    assert found.number is not None
    explanation = f"Frame {found.frame} has `{found.text}` (RFC 3501 section 7.3.1)."
    return Key(Number(found.number), (found.frame,), explanation)


@question(
    points=2, filter='imap contains "FLAGS ("', hint="Find the message by its UID; BODY[] and BODY.PEEK[] differ."
)
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the flags, in the last IMAP session, of the message that the first session fetched."""
    uid = _uid_of_whole(seen)
    flags = _listed(_imap(seen, LAST))[uid]["FLAGS"]
    row = _row(_imap(seen, LAST), uid)
    explanation = (
        f"The response in frame {row.frame} is about UID {uid}. IMAP keeps flags on the server; FETCH of BODY[] sets "
        "\\Seen, of BODY.PEEK[] not (RFC 3501 section 6.4.5)."
    )
    # \Recent is of the session, not of the message (RFC 3501 section 2.3.2).
    names = sorted(str(flag).removeprefix("\\") for flag in flags if flag != "\\Recent")
    return Key(Listing(tuple(Text(name, others=(f"\\{name}",)) for name in names)), (row.frame,), explanation)
