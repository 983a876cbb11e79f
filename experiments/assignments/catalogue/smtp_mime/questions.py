"""Questions of the assignment smtp-mime, on submission and relay of MIME mail: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import base64
import quopri
import textwrap
import time
from collections.abc import Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from random import Random
from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.mail.claims.content import decoded, parts
from lab7.experiments.mail.lab import SENDER_ADDRESS, SUBMISSION_PORT, UserAgent, mailbox, wait_for_messages
from lab7.experiments.mail.wire.smtp import SMTP_PORT, Message, SmtpExchange, SmtpSession

HERE, THERE = "example.org", "example.com"
BASE64, QUOTED = "base64", "quoted-printable"
# Words with octets above 127, each of which quoted-printable encodes as three characters.
PLACES = ("Zürich", "Łódź", "Malmö", "Besançon", "Århus", "Bern", "A Coruña", "Reykjavík", "Oslo", "Győr")
# Time in seconds after the delivery for the servers to end their session.
CLOSE_S = 2.0


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: users, passwords, the message, its attachment and encoding, and the delays."""
    user, to, hidden, refused = (
        draw.word(name) + letter for name, letter in (("user", ""), ("to", "b"), ("hidden", "d"), ("refused", "g"))
    )
    password = f"{draw.word('password-1')}-{draw.word('password-2')}{draw.number('password-3', 10, 99)}"
    encoding = draw.choice("encoding", (BASE64, QUOTED))
    accounts_b = f"{to}:{draw.word('password-to')}\n{hidden}:{draw.word('password-hidden')}\n"
    # The third recipient has no mailbox, or one that accepts no messages for now (hold).
    accounts_b += draw.choice("refusal", ("", f"{refused}:{draw.word('password-refused')}::hold\n"))
    return {
        "user": user,
        "password": password,
        "author": f"{draw.word('author')}-desk@{HERE}",
        "to": f"{to}@{THERE}",
        "recipients": draw.shuffled("recipients", [f"{name}@{THERE}" for name in (to, hidden, refused)]),
        "shown": draw.shuffled("shown", [f"{to}@{THERE}", f"{refused}@{THERE}"]),
        "local": [to, hidden],
        "client": f"{draw.word('client')}.{HERE}",
        "subject": f"The {draw.word('subject')} of {draw.word('subject-2')}",
        "boundary": f"{draw.word('boundary')}-{draw.hex('boundary', 16)}",
        "file": f"{draw.word('file')}.{'bin' if encoding == BASE64 else 'csv'}",
        "encoding": encoding,
        "attachment_size": draw.number("attachment", 900, 9_000),
        "lines": draw.shuffled(
            "lines", [".hidden"] * draw.number("dots", 1, 6) + ["in the open"] * draw.number("plain", 3, 9)
        ),
        "parameters": {
            "accounts_a": f"{user}:{password}\n",
            "accounts_b": accounts_b,
            "flags_b": f"--max-size {draw.number('max-size', 100_000, 9_000_000)}",
            "sender": f"{draw.number('sender', 2, 20)}ms",
            "between": f"{2 * draw.number('between', 5, 60)}ms",
        },
    }


def attachment(variant: Mapping[str, Any]) -> bytes:
    """Return the content of the attached file: octets of any value, or a table in UTF-8 with CRLF."""
    random, size = Random(variant["nonce"]), variant["attachment_size"]
    if variant["encoding"] == BASE64:
        return random.randbytes(size)
    rows = b""
    while len(rows) < size:
        rows += f"{random.choice(PLACES)};{random.randrange(10_000)}\r\n".encode()
    return rows


def compose(variant: Mapping[str, Any]) -> str:
    """Return the message with CRLF line ends as the user agent composes it, without dot-stuffing."""
    octets = attachment(variant)
    if variant["encoding"] == BASE64:
        kind, body = "application/octet-stream", "\r\n".join(textwrap.wrap(base64.b64encode(octets).decode(), 76))
    else:
        quoted = quopri.encodestring(octets.replace(b"\r\n", b"\n")).decode()
        kind, body = "text/csv; charset=utf-8", quoted.rstrip("\n").replace("\n", "\r\n")
    delimiter = f"--{variant['boundary']}"
    lines = [
        f"From: The desk <{variant['author']}>",
        f"To: {', '.join(variant['shown'])}",
        f"Subject: {variant['subject']}",
        f"Message-ID: <{variant['nonce']}@{variant['client']}>",
        "Date: Tue, 01 Jan 2030 00:00:05 +0000",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{variant["boundary"]}"',
        "",
        delimiter,
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        *variant["lines"],
        "",
        delimiter,
        f"Content-Type: {kind}",
        f"Content-Transfer-Encoding: {variant['encoding']}",
        f'Content-Disposition: attachment; filename="{variant["file"]}"',
        "",
        body,
        f"{delimiter}--",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def record(lab: Lab) -> None:
    """Produce the traffic: submit the message from Alice's host, and wait for delivery to the existing mailboxes."""
    variant = lab.variant
    user = f"{variant['user']}@{HERE}"
    credentials = base64.b64encode(f"\0{variant['user']}\0{variant['password']}".encode()).decode()
    commands = [f"EHLO {variant['client']}", f"AUTH PLAIN {credentials}", f"MAIL FROM:<{user}>"]
    commands += [f"RCPT TO:<{one}>" for one in variant["recipients"]]
    steps = [*(("say", command) for command in (*commands, "DATA")), ("data", compose(variant)), ("say", "QUIT")]
    UserAgent(lab.bed.host("alice")).dialogue(steps, SENDER_ADDRESS, SUBMISSION_PORT)
    for name in variant["local"]:
        wait_for_messages(mailbox(lab.bed.host("mail-b"), THERE, name), 1)
    time.sleep(CLOSE_S)


def _session(seen: CaptureView, port: int) -> SmtpSession:
    return next(one for one in seen.smtp.sessions if one.connection.server.port == port)


def _relayed(seen: CaptureView) -> Message:
    return _session(seen, SMTP_PORT).messages[0]


def _parsed(message: Message) -> EmailMessage:
    return BytesParser(policy=policy.SMTP).parsebytes(message.content)


def _attachment(seen: CaptureView) -> EmailMessage:
    return next(one for one in parts(_relayed(seen).content) if one.get_filename() == seen.variant["file"])


def _refused(seen: CaptureView) -> SmtpExchange:
    return next(one for one in _session(seen, SMTP_PORT).exchanges_of("RCPT") if one.code >= 400)


def _path(exchange: SmtpExchange) -> str:
    return exchange.command.text.partition("<")[2].partition(">")[0]


@question(points=2, filter='smtp.req.command == "AUTH"', hint="Decode base64: NUL, user, NUL, password.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the password in the AUTH PLAIN command."""
    (exchange,) = _session(seen, SUBMISSION_PORT).exchanges_of("AUTH")
    _, user, password = base64.b64decode(exchange.command.text.split()[-1]).decode().split("\0")
    frame = exchange.command.frame
    explanation = (
        f"Frame {frame} has `{exchange.command.text}`: base64, which is no encryption, of NUL, `{user}`, NUL, "
        f"`{password}` (RFC 4616 section 2)."
    )
    return Key(Text(password, case=True), (frame,), explanation)


@question(points=2, filter='smtp.req.command == "RCPT" || imf', hint="Compare the RCPT commands with To and Cc.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the recipient that is in the envelope but not in the header section (Bcc)."""
    (message,) = _session(seen, SUBMISSION_PORT).messages
    shown = str(_parsed(message)["To"])
    hidden = next(one for one in message.recipients if _path(one) not in shown)
    frame = hidden.command.frame
    explanation = (
        f"`{hidden.command.text}` is in frame {frame}, and the header has only `To: {shown}` (frame "
        f"{message.data.frame}). Servers deliver by the envelope (RFC 5321 section 2.3.1), as for Bcc."
    )
    return Key(Text(_path(hidden), name=True), (frame, message.data.frame), explanation)


@question(points=1, filter='smtp.rsp.parameter contains "SIZE"', hint="The reply to EHLO has several lines.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the maximum message size that the relay's EHLO reply announces (SIZE)."""
    (exchange,) = _session(seen, SMTP_PORT).exchanges_of("EHLO")
    assert exchange.final is not None
    line = next(one for one in exchange.final.lines if one.upper().startswith("SIZE "))
    frame = exchange.final.frame
    explanation = f"The reply in frame {frame} has the line `{line}` (RFC 1870 section 4)."
    return Key(Number(int(line.split()[1]), "size", "bytes"), (frame,), explanation)


@question(
    points=1, filter="smtp.response.code >= 400", hint="Replies answer the commands in order, also pipelined ones."
)
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the recipient that the receiving server refuses."""
    refused = _refused(seen)
    asked, answered = refused.frames
    explanation = (
        f"`{refused.command.text}` in frame {asked} gets {refused.code} in frame {answered}. With PIPELINING several "
        "commands are in one segment; replies come in their order (RFC 2920 section 3.2)."
    )
    return Key(Text(_path(refused), name=True), (asked, answered), explanation)


@question(points=1, filter="smtp.response.code >= 400", hint="Negative replies begin with 4 or 5.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the reply code to the RCPT of the refused recipient."""
    refused = _refused(seen)
    assert refused.final is not None
    line = refused.final.text
    explanation = (
        f"The reply is `{line}`: 4yz is transient, and the sender tries again later; 5yz is permanent (RFC 5321 "
        "section 4.2.1)."
    )
    return Key(Number(refused.code), (refused.final.frame,), explanation)


@question(
    points=2, filter="smtp.response.code == 250 && ip.src == 10.25.2.25", hint="Which reply follows the final dot?"
)
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the reply to the mail data, on the connection between the servers."""
    sent = _relayed(seen).sent
    assert sent.final is not None
    frame = sent.final.frame
    explanation = (
        f"The mail data end in frame {sent.command.frame}, and frame {frame} has `{sent.final.text}`: from then on the "
        "server must deliver the message or report the failure (RFC 5321 section 6.1)."
    )
    return Key(Frames((frame,)), (frame,), explanation)


@question(points=1, filter="imf.received", hint="Compare the header in the submission with that in the relay.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the name after `from` in the Received field that the sender's server has added."""
    message = _relayed(seen)
    field = str(_parsed(message)["Received"])
    frame = message.data.frame
    explanation = (
        f"The header in frame {frame} begins with `Received: {' '.join(field.split())}` (RFC 5321 section 4.4)."
    )
    return Key(Text(field.split()[1], name=True), (frame,), explanation)


@question(points=1, filter="mime_multipart", hint="The boundary is a parameter of the header field Content-Type.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the boundary of the multipart message."""
    message = _relayed(seen)
    boundary = _parsed(message).get_boundary()
    frame = message.data.frame
    explanation = f'The header of the message in frame {frame} has `boundary="{boundary}"` (RFC 2046 section 5.1.1).'
    return Key(Text(str(boundary), case=True), (frame,), explanation)


@question(points=1, filter="mime_multipart", hint="Each part has header fields of its own.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the Content-Transfer-Encoding of the attachment."""
    encoding = str(_attachment(seen)["Content-Transfer-Encoding"])
    frame = _relayed(seen).data.frame
    explanation = f"The second part of the message in frame {frame} has `{encoding}` (RFC 2045 section 6)."
    return Key(Text(encoding), (frame,), explanation)


@question(
    points=2, filter="mime_multipart", hint="base64: four characters for three octets; or save and decode the part."
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the size in octets of the attachment after decoding."""
    part = _attachment(seen)
    size, encoded = len(decoded(part)), len(str(part.get_payload()))
    frame = _relayed(seen).data.frame
    section = "6.8" if part["Content-Transfer-Encoding"] == BASE64 else "6.7"
    explanation = (
        f"The part in the message of frame {frame} has {encoded} octets with its line ends, and {size} after decoding "
        f"(RFC 2045 section {section}); the CRLF before the boundary belongs to the boundary (RFC 2046 section 5.1.1)."
    )
    return Key(Number(size, "size", "bytes"), (frame,), explanation)


@question(points=2, filter='smtp contains "\\r\\n.."', hint="Follow the TCP stream of the relay.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the number of lines that dot-stuffing has changed."""
    data = _relayed(seen).data
    stuffed = len(data.stuffed_at)
    frames = tuple(sorted({piece.frame for piece in data.pieces}))
    explanation = (
        f"{stuffed} lines of the mail data (frames {frames[0]} to {frames[-1]}) begin with two dots, of which the "
        "receiver removes one (RFC 5321 section 4.5.2)."
    )
    return Key(Number(stuffed), frames, explanation)


@question(points=1, filter="imf.message_id", hint="Servers leave this field as it is.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the Message-ID, which contains the student's nonce."""
    message = _relayed(seen)
    field = str(_parsed(message)["Message-ID"]).strip()
    frame = message.data.frame
    return Key(
        Text(field.strip("<>")), (frame,), f"`Message-ID: {field}` is in frame {frame} (RFC 5322 section 3.6.4)."
    )
