"""Delivery status notifications (DSN) of failures, and of deliveries on request (RFC 3461, 3464, 6522, 3834).

From: Mail delivery <postmaster@mx.example.com>          envelope: the null reverse-path, against bounce loops
Content-Type: multipart/report; report-type=delivery-status
    text/plain                 for the sender
    message/delivery-status    for programs: Final-Recipient, Action, Status, Diagnostic-Code
    message/rfc822             the original message; or text/rfc822-headers if it is long or not 7-bit text

The parameters RET, ENVID and ORCPT of the SMTP envelope (RFC 3461 section 4) choose what is returned, and are repeated
in Original-Envelope-Id and Original-Recipient. A DSN is 7-bit text with lines of at most 998 octets (RFC 2045 section
2.7), so that every server accepts it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from lab7.services.mail.address import POSTMASTER, Mailbox
from lab7.services.mail.delivery.trace import address_literal, date_time
from lab7.services.mail.queue.entry import Recipient
from lab7.services.mail.smtp.content import header_section
from lab7.services.mail.smtp.short_lines import has_long_line, quoted_printable
from lab7.services.mail.smtp.syntax import NO_MESSAGE_REQUEST, MessageRequest, Reply, decode_xtext

# Maximum octets of a message that its bounce returns whole; of a larger message, only the header (as in Postfix).
RETURNED_OCTETS_MAX = 50_000
_UNKNOWN = Reply(554, "Delivery failed", "5.0.0")
# Maximum lines of a reply that a DSN quotes, and characters per line.
_QUOTED_LINES = 10
_QUOTED_CHARACTERS = 400
# RFC 3463 section 3.5: status "delivery time expired".
_EXPIRED = "4.4.7"
_WHOLE = "Content-Type: message/rfc822\r\n"
_HEADER = "Content-Type: text/rfc822-headers\r\n"
# RFC 1428 section 3: character set of octets beyond ASCII whose character set is not known.
_UNKNOWN_CHARSET = "unknown-8bit"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """A message and some of its recipients to report in one notification, who all failed or all succeeded.

    `accepted_s`: seconds since 1970 UTC.
    """

    queue_id: str
    accepted_s: float
    reverse_path: Mailbox
    recipients: Sequence[Recipient]
    content: bytes
    request: MessageRequest = NO_MESSAGE_REQUEST

    @property
    def is_success(self) -> bool:
        """True if the message was delivered or relayed to the recipients."""
        return all(recipient.last is not None and recipient.last.is_positive for recipient in self.recipients)


def notification(message: ReportedMessage, hostname: str, now_s: float, boundary: str) -> bytes:
    """Return the DSN as a message with CRLF line ends; `boundary` must not occur in the original message."""
    # RFC 3461 section 4.3: RET applies to failures; of a delivered message, only the header is returned.
    header_only = message.request.returned == "HDRS" or message.is_success
    kind, returned = _returned_part(message.content, header_only)
    parts = (
        _text_part(message, hostname, "Your message" if kind == _WHOLE else "The header of your message"),
        _status_part(message, hostname),
        f"{kind}\r\n",
    )
    head = _header(message, hostname, now_s, boundary) + "".join(f"--{boundary}\r\n{part}" for part in parts)
    end = f"\r\n--{boundary}--\r\n"
    # Only the field To can be beyond ASCII, for a sender with such an address (RFC 6531).
    return head.encode("utf-8") + returned + end.encode("ascii")


def _header(message: ReportedMessage, hostname: str, now_s: float, boundary: str) -> str:
    return (
        f"From: Mail delivery <{POSTMASTER}@{hostname}>\r\n"
        f"To: {message.reverse_path}\r\n"
        f"Subject: {'Delivered mail' if message.is_success else 'Undelivered mail, returned to its sender'}\r\n"
        f"Date: {date_time(now_s)}\r\n"
        f"Message-ID: <{boundary}@{hostname}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        f'\tboundary="{boundary}"\r\n\r\n'
    )


def _text_part(message: ReportedMessage, hostname: str, attached: str) -> str:
    outcome = "was delivered, or relayed to" if message.is_success else "could not be delivered to"
    lines = [
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is the mail system at host {hostname}. Your message, accepted on",
        f"{date_time(message.accepted_s)}, {outcome} these recipients:",
        "",
    ]
    for recipient in message.recipients:
        reasons = _reasons(recipient.last or _UNKNOWN)
        lines += [f"    {recipient.mailbox}", *(f"        {reason}" for reason in reasons), ""]
    last = "" if message.is_success else "Delivery will not be attempted again. "
    lines += [f"{last}{attached} is attached below.", ""]
    return "\r\n".join(_ascii(line) for line in lines) + "\r\n"


def _status_part(message: ReportedMessage, hostname: str) -> str:
    """Format message/delivery-status: per-message fields, then a block per recipient (RFC 3464 section 2)."""
    envelope_id = message.request.envelope_id
    blocks = [
        (f"Original-Envelope-Id: {decode_xtext(envelope_id)}\r\n" if envelope_id else "")
        + f"Reporting-MTA: dns; {hostname}\r\n"
        f"X-Queue-ID: {message.queue_id}\r\n"
        f"Arrival-Date: {date_time(message.accepted_s)}\r\n",
        *(_recipient_block(recipient) for recipient in message.recipients),
    ]
    body = "\r\n".join(_ascii(block) for block in blocks)
    return f"Content-Type: message/delivery-status\r\n\r\n{body}\r\n"


def _recipient_block(recipient: Recipient) -> str:
    """Format the fields of one recipient (RFC 3464 section 2.3)."""
    reply = recipient.last or _UNKNOWN
    kind, _, address = decode_xtext(recipient.request.original).partition(";")
    original = f"{kind}; {address}" if address else recipient.original and _typed(recipient.original)
    # RFC 3464 section 2.3.3: `relayed`, if the next server does not report on the delivery itself.
    action = "failed" if not reply.is_positive else "relayed" if reply.server else "delivered"
    return (
        (f"Original-Recipient: {original}\r\n" if original else "")
        + f"Final-Recipient: {_typed(recipient.mailbox)}\r\n"
        f"Action: {action}\r\n"
        f"Status: {_status(reply)}\r\n"
        f"{_diagnostic(reply)}"
    )


def _typed(mailbox: Mailbox) -> str:
    r"""Format an address with its address type: rfc822, or utf-8 with `\x{E9}` for characters beyond ASCII.

    RFC 6533.
    """
    text = str(mailbox)
    return f"rfc822; {text}" if text.isascii() else f"utf-8; {_ascii(text)}"


def _status(reply: Reply) -> str:
    """Return a recipient's Status (RFC 3464 section 2.3.4): the enhanced status code of the last reply.

    Without an enhanced code, a permanent failure gets `5.0.0`, and a temporary failure, of which the message has
    expired, the code for expiry: RFC 3463 section 3.5 (X.4.7) prefers the code of the actual problem, if it is known.
    """
    return reply.enhanced or (_EXPIRED if reply.is_temporary else f"{reply.code // 100}.0.0")


def _diagnostic(reply: Reply) -> str:
    """Return the fields Remote-MTA and Diagnostic-Code (RFC 3464 sections 2.3.5 and 2.3.6).

    The type `smtp` is for replies of SMTP servers (RFC 3461 section 9.2). A failure that this program found has a type
    of its own, and no Remote-MTA.
    """
    text = "\r\n ".join(_quoted(reply))
    if not reply.server:
        return "" if reply.is_positive else f"Diagnostic-Code: X-Lab7; {text}\r\n"
    return f"Remote-MTA: dns; {_mta_name(reply.server)}\r\nDiagnostic-Code: smtp; {text}\r\n"


def _mta_name(server: str) -> str:
    """Return the name of an MTA: a domain name, or an address literal for an IP address (RFC 3464 section 2.1.2)."""
    try:
        return address_literal(str(ip_address(server)))
    except ValueError:
        return server


def _reasons(reply: Reply) -> list[str]:
    """Return the reason of a delivery failure, as lines of text for the sender of the message."""
    # Delivery fails after a temporary reply only if the message has expired.
    expired = [] if not reply.is_temporary else ["Delivery time expired. The last failure was:"]
    server = [f"{_mta_name(reply.server)} replied:"] if reply.server else []
    return [*expired, *server, *_quoted(reply)]


def _quoted(reply: Reply) -> list[str]:
    """Return the lines of a reply as SMTP sends them, in printable ASCII.

    Only the first and last ones of a long reply.
    """
    *first, last = (line[:_QUOTED_CHARACTERS] for line in reply.to_wire().decode("ascii").splitlines())
    return [*first[: _QUOTED_LINES - 1], last]


def _ascii(text: str) -> str:
    return _BEYOND_ASCII.sub(lambda match: f"\\x{{{ord(match[0]):X}}}", text)


def _returned_part(content: bytes, header_only: bool) -> tuple[str, bytes]:
    """Return the MIME header fields and the body of the DSN's last part: the original message or only its header.

    message/rfc822 permits no encoding (RFC 2046 section 5.2.1), but text/rfc822-headers may be encoded as
    quoted-printable (RFC 6522 section 4).
    """
    if not header_only and len(content) <= RETURNED_OCTETS_MAX and _is_7bit(content):
        return _WHOLE, content
    header = header_section(content)[:RETURNED_OCTETS_MAX]
    if _is_7bit(header):
        return _HEADER, header
    charset = "us-ascii" if header.isascii() else "utf-8" if _is_utf_8(header) else _UNKNOWN_CHARSET
    fields = f"{_HEADER.rstrip()}; charset={charset}\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    return fields, quoted_printable(header)


def _is_7bit(octets: bytes) -> bool:
    return octets.isascii() and not has_long_line(octets)


def _is_utf_8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
