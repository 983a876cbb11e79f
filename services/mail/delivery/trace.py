"""Trace header fields Received and Return-Path (RFC 5321 section 4.4), and missing fields of submissions (RFC 6409).

Received: from client.example.org ([192.0.2.7])
        by mx.example.com with ESMTPS id 6f3a...
        for <bob@example.com>; Mon, 23 Nov 2026 13:20:00 +0000
"""

import re
from time import gmtime

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.content import header_section, with_header_end

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Pattern of a Return-Path field, including its continuation lines.
_RETURN_PATH = re.compile(rb"^return-path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


def date_time(seconds: float) -> str:
    """Format seconds since 1970 UTC as a date-time of RFC 5322 section 3.3, in UTC."""
    year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    return f"{_DAYS[weekday]}, {day} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} +0000"


def address_literal(address: str) -> str:
    """Format an IP address as a literal of RFC 5321 section 4.1.3."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def received_field(
    hello: str, address: str, hostname: str, protocol: str, queue_id: str, recipient: Mailbox | None, seconds: float
) -> bytes:
    """Return a Received field; its `for` clause names the recipient if there is only one (RFC 5321 section 7.2)."""
    lines = [
        f"Received: from {hello or 'unknown'} ({address_literal(address)})",
        f"\tby {hostname} with {protocol} id {queue_id}",
    ]
    if recipient is not None:
        lines.append(f"\tfor <{recipient}>")
    return ("\r\n".join(lines) + f"; {date_time(seconds)}\r\n").encode("utf-8", "replace")


def return_path_field(reverse_path: Mailbox | None) -> bytes:
    """Return the Return-Path field that final delivery adds (RFC 5321 section 4.4)."""
    return f"Return-Path: <{reverse_path or ''}>\r\n".encode("utf-8", "replace")


def without_return_path(content: bytes) -> bytes:
    """Return a message without Return-Path fields, since final delivery adds a new one."""
    header = header_section(content)
    if b"eturn-" not in header and b"ETURN-" not in header:
        return content
    return _RETURN_PATH.sub(b"", header) + content[len(header) :]


def has_field(content: bytes, name: str) -> bool:
    """Return True if a message's header has a field with this name (case-insensitive)."""
    pattern = rb"^" + re.escape(name.encode("ascii")) + rb"[ \t]*:"
    return re.search(pattern, header_section(content), re.IGNORECASE | re.MULTILINE) is not None


def complete_submission(content: bytes, message_id: str, seconds: float) -> bytes:
    """Return a submitted message with Date and Message-ID added if missing (RFC 6409 sections 8.2 and 8.3)."""
    fields = []
    if not has_field(content, "Date"):
        fields.append(f"Date: {date_time(seconds)}\r\n")
    if not has_field(content, "Message-ID"):
        fields.append(f"Message-ID: <{message_id}>\r\n")
    if not fields:
        return content
    return "".join(fields).encode("ascii") + with_header_end(content)
