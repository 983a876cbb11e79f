"""Verdicts on claims S8, S9 and S11 of the course: 7-bit mail data, MIME multipart messages, and dot-stuffing.

    S8   content is 7-bit ASCII, and MIME carries everything else, such as a picture in base64
    S9   one multipart message contains several objects, whereas HTTP needs a response for each
    S11  a line that starts with a dot arrives as it was written

`wire.smtp` parses the messages in captured SMTP streams. Python's email package, which is independent of lab7, parses
the MIME structure of the messages. Decoded parts are compared with Alice's files by SHA-256.

Source: RFC 5321 section 4.5.2, RFC 5322 section 2.1, RFC 2045 sections 4 to 6, RFC 2046 section 5.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from lab7.experiments.harness.judge.reassembly import Stream
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    in_frames,
    insufficiency,
    undecided,
)
from lab7.experiments.http.wire.http1 import converse
from lab7.experiments.mail.claims.delivery import Arrival, arrivals
from lab7.experiments.mail.claims.transfer import MailLegs
from lab7.experiments.mail.wire.smtp import Message, SmtpSession, SmtpTraffic

# A base64 line has at most 76 characters of the base64 alphabet (RFC 2045 section 6.8).
BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=]{0,76}\Z")
LINE_WITH_DOT = re.compile(rb"(?m)^\.")


def digest(octets: bytes) -> str:
    """Return the SHA-256 of octets in hexadecimal, for comparison and for evidence texts."""
    return hashlib.sha256(octets).hexdigest()


def parts(content: bytes) -> Iterator[EmailMessage]:
    """Yield the MIME parts of a message that are not multipart, as parsed by Python's email package."""
    parsed = BytesParser(policy=policy.SMTP).parsebytes(content)
    for part in parsed.walk():
        if isinstance(part, EmailMessage) and not part.is_multipart():
            yield part


def decoded(part: EmailMessage) -> bytes:
    """Return the octets of a MIME part, decoded according to its Content-Transfer-Encoding."""
    octets = part.get_payload(decode=True)
    return octets if isinstance(octets, bytes) else b""


@decides("S8")
def decide_mime_picture(claim: str, legs: MailLegs, picture: bytes) -> Verdict:
    """Decide claim S8: all mail data are 7-bit, and an 8-bit JPEG picture arrives unaltered by MIME.

    The picture must also be in the message that the recipient's user agent retrieves.
    """
    traffic = legs.relayed

    def check() -> Finding:
        for message in traffic.messages:
            _seven_bit(message)
        message, part = _picture(traffic)
        if message.content.count(b"MIME-Version: 1.0") < 1 or part["Content-Transfer-Encoding"] != "base64":
            raise Contradiction(
                "The picture has no MIME-Version field, or is not encoded in base64.", message.data.frame
            )
        text = part.get_payload()
        raw = text.encode() if isinstance(text, str) else b""
        if any(BASE64_LINE.match(line.rstrip(b"\r")) is None for line in raw.split(b"\n")):
            raise Contradiction(
                "A line of the picture is not base64, or longer than 76 characters.", message.data.frame
            )
        if digest(decoded(part)) != digest(picture):
            raise Contradiction(
                f"The relayed picture has the SHA-256 {digest(decoded(part))[:16]}, not {digest(picture)[:16]}.",
                message.data.frame,
            )
        read = _read_picture(legs, picture, message)
        high = sum(octet > 127 for octet in picture)
        count, size = len(traffic.messages), sum(len(one.data.octets) for one in traffic.messages)
        return (
            f"{count} messages of {size} octets have no octet above 127. The picture ({len(picture)} octets, "
            f"{high} of them above 127) is transferred as Content-Type: image/jpeg in base64 ({len(raw)} "
            f"octets), and decodes to the same SHA-256, {digest(picture)[:16]}..., between the servers (frame "
            f"{message.data.frame}) and at the receiver's agent (frame {read.frame})."
        ), [message.data.frame, read.frame]

    return decide(claim, [legs.retrieval, traffic], check)


def _read_picture(legs: MailLegs, picture: bytes, sent: Message) -> Arrival:
    """Check that the recipient gets the picture unaltered; return the retrieved message with the picture."""
    first = None
    for arrival in (arrival for connection in legs.reading for arrival in arrivals(connection)):
        for part in (part for part in parts(arrival.content) if part.get_content_type() == "image/jpeg"):
            if not arrival.content.isascii():
                raise Contradiction(
                    f"The message retrieved in frame {arrival.frame} has octets above 127.", arrival.frame
                )
            if digest(decoded(part)) != digest(picture):
                raise Contradiction(
                    f"The picture retrieved in frame {arrival.frame} has the SHA-256 "
                    f"{digest(decoded(part))[:16]}, not {digest(picture)[:16]}.",
                    arrival.frame,
                )
            first = first or arrival
    if first is None:
        raise Contradiction("The receiver's agent retrieves no picture.", sent.data.frame)
    return first


@decides("S9")
def decide_multipart(claim: str, legs: MailLegs, objects: Mapping[str, bytes]) -> Verdict:
    """Decide claim S9: one multipart message contains all objects; by HTTP each object has a separate response."""
    if insufficiency([legs.retrieval]) is not None or any(not one.whole for one in legs.web):
        return undecided(claim, "Not decidable: the capture at the receiver's agent is incomplete.")
    if len(objects) < 2 or not legs.web:
        return undecided(claim, "The experiment needs at least two objects, and requests for them by HTTP.")

    def check() -> Finding:
        message = _with_all(legs.relayed, objects)
        read = [arrival for connection in legs.reading for arrival in arrivals(connection)]
        whole = next((arrival for arrival in read if not _missing(arrival.content, objects)), None)
        if whole is None:
            frame = message.data.frame
            raise Contradiction("No message that the receiver's agent retrieves contains all objects.", frame)
        answers = []
        for exchange in (exchange for connection in legs.web for exchange in converse(connection).exchanges):
            if exchange.response is not None and exchange.response.start_line[1] == b"200":
                answers.append(exchange.response)
        for name, octets in objects.items():
            alone = [answer for answer in answers if digest(answer.body) == digest(octets)]
            if len(alone) != 1:
                frame = legs.web[0].syn.frame
                raise Contradiction(f"{len(alone)} HTTP responses contain {name}, not exactly one.", frame)
        frames = [answer.frames[0] for answer in answers]
        return (
            f"One message with a single end-of-data line and a single 250 (frame {message.sent.frames[-1]}) "
            f"contains {', '.join(objects)}, also when it is retrieved (frame {whole.frame}); by HTTP the "
            f"same {len(objects)} objects are transferred in {len(answers)} responses, each with its own "
            f"status line and header ({in_frames(frames)})."
        ), [*message.sent.frames, *frames]

    return decide(claim, [legs.relayed], check)


@decides("S11")
def decide_dot_stuffing(claim: str, legs: MailLegs, body: bytes) -> Verdict:
    """Decide claim S11: a body with lines that begin with dots arrives unaltered over SMTP and POP3."""
    dotted = len(LINE_WITH_DOT.findall(body))

    def check() -> Finding:
        if not dotted:
            raise Contradiction(
                "The message has no line that begins with a dot.", legs.submitted.sessions[0].connection.syn.frame
            )
        found = [_with_body(traffic, body) for traffic in (legs.submitted, legs.relayed)]
        edges = sum(_at_edges(session, message) for session, message in found)
        for _, message in found:
            if len(message.data.stuffed_at) != dotted:
                raise Contradiction(
                    f"{len(message.data.stuffed_at)} lines have a dot added, but {dotted} lines begin with a dot.",
                    message.data.frame,
                )
        read = next((one for one in legs.reading if any(arrival.body == body for arrival in arrivals(one))), None)
        if read is None:
            raise Contradiction(
                "The receiver's agent does not retrieve the text of the message.", found[1][1].data.frame
            )
        if not edges:
            raise Inconclusive("No dot at the beginning of a line is at the edge of a TCP segment.")
        frames = [message.data.frame for _, message in found] + [read.syn.frame]
        return (
            f"{dotted} lines begin with a dot; each of them has one dot added on both SMTP legs, {edges} of "
            "these dots are at the edge of a TCP segment, and the text has the SHA-256 "
            f"{digest(body)[:16]}... at the sender's agent, between the servers and at the receiver's agent "
            f"({in_frames(frames)})."
        ), frames

    return decide(claim, [legs.retrieval, legs.submitted, legs.relayed], check)


def _seven_bit(message: Message) -> None:
    if not message.data.octets.isascii():
        at = next(place for place, octet in enumerate(message.data.octets) if octet > 127)
        frame = message.data.frame
        raise Contradiction(
            f"Octet {at} of the message in frame {frame} is {message.data.octets[at]}, above 127.", frame
        )


def _picture(traffic: SmtpTraffic) -> tuple[Message, EmailMessage]:
    for message in traffic.messages:
        for part in parts(message.content):
            if part.get_content_type() == "image/jpeg":
                return message, part
    raise Contradiction("No message has a part of the type image/jpeg.", traffic.sessions[0].connection.syn.frame)


def _with_all(traffic: SmtpTraffic, objects: Mapping[str, bytes]) -> Message:
    best: list[str] = []
    for message in traffic.messages:
        missing = _missing(message.content, objects)
        if not missing and message.taken:
            return message
        best = missing if not best or len(missing) < len(best) else best
    frame = traffic.sessions[0].connection.syn.frame
    raise Contradiction(f"No message contains all objects; the most complete one lacks {', '.join(best)}.", frame)


def _missing(content: bytes, objects: Mapping[str, bytes]) -> list[str]:
    """Return the names of those objects whose octets are not among the decoded parts of a message."""
    held = [digest(decoded(part)) for part in parts(content)]
    return [name for name, octets in objects.items() if digest(octets) not in held]


def _with_body(traffic: SmtpTraffic, body: bytes) -> tuple[SmtpSession, Message]:
    for session in traffic.sessions:
        for message in session.messages:
            if message.taken and message.body == body:
                return session, message
    frame = traffic.sessions[0].connection.syn.frame
    raise Contradiction(f"No message contains the text with the SHA-256 {digest(body)[:16]}.", frame)


def _at_edges(session: SmtpSession, message: Message) -> int:
    """Return the number of dots inserted by dot-stuffing that are at the start or end of a TCP segment's payload."""
    stream: Stream = session.connection.from_client.stream
    edges = {piece.start for piece in stream.pieces} | {piece.end - 1 for piece in stream.pieces}
    return sum(1 for at in message.data.stuffed_at if at in edges or at + 1 in edges)
