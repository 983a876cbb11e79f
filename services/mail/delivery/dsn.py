"""Delivery status notifications (DSN, bounces) for failed recipients (RFC 3464, RFC 6522, RFC 3834).

From: Mail delivery <postmaster@mx.example.com>          envelope: the null reverse-path, against bounce loops
Content-Type: multipart/report; report-type=delivery-status
    text/plain                 for the sender
    message/delivery-status    for programs: Final-Recipient, Action, Status, Diagnostic-Code
    message/rfc822             the original message, or text/rfc822-headers if it is long
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab7.services.mail.address import POSTMASTER, Mailbox
from lab7.services.mail.delivery.trace import date_time
from lab7.services.mail.queue.entry import Recipient
from lab7.services.mail.smtp.content import header_section
from lab7.services.mail.smtp.syntax import Reply

# Maximum octets of a message that its bounce returns whole; of a larger message, only the header (as in Postfix).
RETURNED_OCTETS_MAX = 50_000
_UNKNOWN = Reply(554, "Delivery failed", "5.0.0")


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message and the recipients to whom it was not delivered; `accepted_s`: seconds since 1970 UTC."""

    queue_id: str
    accepted_s: float
    reverse_path: Mailbox
    recipients: Sequence[Recipient]
    content: bytes


def bounce(failed: FailedMessage, hostname: str, now_s: float, boundary: str) -> bytes:
    """Return the DSN as a message with CRLF line ends; `boundary` must not occur in the original message."""
    parts = (_text_part(failed, hostname), _status_part(failed, hostname), _message_part_header(failed.content))
    head = _header(failed, hostname, now_s, boundary) + "".join(f"--{boundary}\r\n{part}" for part in parts)
    end = f"\r\n--{boundary}--\r\n"
    return head.encode("ascii", "replace") + _returned_content(failed.content) + end.encode("ascii")


def _header(failed: FailedMessage, hostname: str, now_s: float, boundary: str) -> str:
    return (
        f"From: Mail delivery <{POSTMASTER}@{hostname}>\r\n"
        f"To: {failed.reverse_path}\r\n"
        "Subject: Undelivered mail, returned to its sender\r\n"
        f"Date: {date_time(now_s)}\r\n"
        f"Message-ID: <{boundary}@{hostname}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        f'\tboundary="{boundary}"\r\n\r\n'
    )


def _text_part(failed: FailedMessage, hostname: str) -> str:
    lines = [
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is the mail system at host {hostname}. Your message, accepted on",
        f"{date_time(failed.accepted_s)}, could not be delivered to these recipients:",
        "",
    ]
    for recipient in failed.recipients:
        lines += [f"    {recipient.mailbox}", f"        {_single_line(recipient.last or _UNKNOWN)}", ""]
    lines += ["Delivery will not be attempted again. Your message is attached below.", ""]
    return "\r\n".join(_ascii(line) for line in lines) + "\r\n"


def _status_part(failed: FailedMessage, hostname: str) -> str:
    """Format message/delivery-status: per-message fields, then a block per recipient (RFC 3464 section 2)."""
    blocks = [
        f"Reporting-MTA: dns; {hostname}\r\n"
        f"X-Queue-ID: {failed.queue_id}\r\n"
        f"Arrival-Date: {date_time(failed.accepted_s)}\r\n"
    ]
    for recipient in failed.recipients:
        reply = recipient.last or _UNKNOWN
        original = f"Original-Recipient: rfc822; {recipient.original}\r\n" if recipient.original is not None else ""
        blocks.append(
            f"{original}Final-Recipient: rfc822; {recipient.mailbox}\r\n"
            "Action: failed\r\n"
            f"Status: {_status(reply)}\r\n"
            f"Diagnostic-Code: smtp; {_single_line(reply)}\r\n"
        )
    body = "\r\n".join(_ascii(block) for block in blocks)
    return f"Content-Type: message/delivery-status\r\n\r\n{body}\r\n"


def _status(reply: Reply) -> str:
    """Return a recipient's Status (RFC 3464 section 2.3.4): the reply's enhanced code, else its class as `5.0.0`."""
    return reply.enhanced or f"{reply.code // 100}.0.0"


def _single_line(reply: Reply) -> str:
    return str(reply).replace("\n", " ")[:400]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _is_short(content: bytes) -> bool:
    return len(content) <= RETURNED_OCTETS_MAX


def _message_part_header(content: bytes) -> str:
    """Return the MIME header of the DSN's last part, which has the original message or only its header section."""
    kind = "message/rfc822" if _is_short(content) else "text/rfc822-headers"
    encoding = "" if _returned_content(content).isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    return f"Content-Type: {kind}\r\n{encoding}\r\n"


def _returned_content(content: bytes) -> bytes:
    return content if _is_short(content) else header_section(content)[:RETURNED_OCTETS_MAX]
