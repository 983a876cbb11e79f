"""Trace fields: where a message came through, and where its bounces go (RFC 5321 section 4.4, RFC 5322 section 3.3).

Received: from client.example.org (client.example.org [192.0.2.7])
        by mx.example.com with ESMTPS id 6f3a...
        for <bob@example.com>; Tue, 23 Nov 2026 13:20:00 +0000
"""

import re
from time import gmtime

from services.mail.address import Mailbox
from services.mail.smtp.content import header_section

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A field by its name, with the lines that it is folded over.
_RETURN_PATH = re.compile(rb"^return-path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


def date_time(seconds: float) -> str:
    """Return a date-time of RFC 5322 section 3.3, in UTC, for seconds since 1970 UTC."""
    year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    return f"{_DAYS[weekday]}, {day} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} +0000"


def address_literal(address: str) -> str:
    """Return an address as a literal of RFC 5321 section 4.1.3."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def received_field(
    hello: str, address: str, hostname: str, protocol: str, queue_id: str, recipient: Mailbox | None, seconds: float
) -> bytes:
    """Return a Received field; a recipient only where it is alone, for a field shows it to all (section 7.2)."""
    lines = [
        f"Received: from {hello or 'unknown'} ({address_literal(address)})",
        f"\tby {hostname} with {protocol} id {queue_id}",
    ]
    if recipient is not None:
        lines.append(f"\tfor <{recipient}>")
    return ("\r\n".join(lines) + f"; {date_time(seconds)}\r\n").encode("ascii", "replace")


def return_path_field(reverse_path: Mailbox | None) -> bytes:
    """Return the field that final delivery puts on top (section 4.4)."""
    return f"Return-Path: <{reverse_path or ''}>\r\n".encode("ascii", "replace")


def without_return_path(content: bytes) -> bytes:
    """Return a message without Return-Path fields: there is one reverse_path, and final delivery writes it."""
    header = header_section(content)
    if b"eturn-" not in header and b"ETURN-" not in header:
        return content
    return _RETURN_PATH.sub(b"", header) + content[len(header) :]


def has_field(content: bytes, name: str) -> bool:
    """Tell whether the header section has a field, by its name in any case."""
    pattern = rb"^" + re.escape(name.encode("ascii")) + rb"[ \t]*:"
    return re.search(pattern, header_section(content), re.IGNORECASE | re.MULTILINE) is not None


def completed(content: bytes, message_id: str, seconds: float) -> bytes:
    """Return a submitted message with the Date and Message-ID that it lacks (RFC 6409 sections 8.2 and 8.3)."""
    fields = []
    if not has_field(content, "Date"):
        fields.append(f"Date: {date_time(seconds)}\r\n")
    if not has_field(content, "Message-ID"):
        fields.append(f"Message-ID: <{message_id}>\r\n")
    if not fields:
        return content
    added = "".join(fields).encode("ascii")
    # A message that has no header section at all begins with its empty line, or with its body.
    is_headed = re.match(rb"[!-9;-~]+[ \t]*:", content) is not None or content.startswith(b"\r\n")
    return added + (content if is_headed else b"\r\n" + content)
