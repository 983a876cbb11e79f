"""Mailbox clients: retrieval and deletion of messages by POP3 (RFC 1939) or IMAP (RFC 3501), with poplib and imaplib.

    with open_mailbox(Access("imap", "mail.example.com", 143, "bob", "secret")) as mailbox:
        mailbox.list_messages()          numbers, sizes and headers
        mailbox.message(1)               the octets of a message
        mailbox.part(1, "2")             one part; IMAP transfers only this part (RFC 3501 section 6.4.5)
        mailbox.delete(1)

POP3 transfers whole messages and needs a TOP per listed message; IMAP fetches all headers with one command.
"""

import imaplib
import poplib
import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from lab7.services.mail.agent.errors import AgentError, failure_reason
from lab7.services.mail.agent.limits import LISTED_MAX, POP3_LINE_OCTETS, TIMEOUT_S
from lab7.services.mail.agent.terminal import MessageSummary
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.mime.header import parse_header
from lab7.services.mail.mime.words import decode_transfer

PORTS = {"imap": 143, "pop3": 110}
_FIELDS = "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]"
_NUMBER = re.compile(rb"(\d+) \(")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_SECTION = re.compile(r"[1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,99}\Z")


@dataclass(frozen=True, slots=True)
class Access:
    """Address of a POP3 or IMAP server, and credentials.

    `tls` is the TLS context for STARTTLS or STLS, None for a cleartext session.
    """

    protocol: str
    host: str
    port: int
    user: str
    password: str
    folder: str = "INBOX"
    tls: ssl.SSLContext | None = None
    timeout_s: float = TIMEOUT_S


class Mailbox(Protocol):
    """Interface to a mailbox opened by POP3 or IMAP; messages are numbered from 1."""

    def list_messages(self) -> Iterator[MessageSummary]:
        """Yield number, size in octets, sender and subject of each of the first LISTED_MAX messages."""

    def message(self, number: int) -> bytes:
        """Return the octets of a message with CRLF line ends."""

    def part(self, number: int, section: str) -> bytes:
        """Return a MIME part, given its section number (`2.1`), with its transfer encoding decoded."""

    def delete(self, number: int) -> None:
        """Mark a message for deletion, which close() carries out."""

    def close(self) -> None:
        """Delete the marked messages and end the session (POP3 QUIT; IMAP EXPUNGE, LOGOUT)."""

    def abort(self) -> None:
        """Close the connection without deleting the marked messages."""


@contextmanager
def open_mailbox(access: Access) -> Iterator[Mailbox]:
    """Open a mailbox as a context manager; raise AgentError for protocol and connection errors."""
    try:
        mailbox: Mailbox = _Pop3(access) if access.protocol == "pop3" else _Imap(access)
        try:
            yield mailbox
        except BaseException:
            mailbox.abort()
            raise
        mailbox.close()
    except (poplib.error_proto, imaplib.IMAP4.error) as error:
        raise AgentError(f"{access.host} said: {_error_text(error)}") from error
    except (OSError, UnicodeError) as error:
        raise AgentError(f"Cannot use {access.host} port {access.port}: {failure_reason(error)}.") from error


def fetch_messages(access: Access, numbers: Iterable[int] | None = None, delete: bool = False) -> list[bytes]:
    """Fetch the messages with these numbers (default: all); return their octets. Delete them if `delete` is True.

    Raises AgentError.
    """
    with open_mailbox(access) as mailbox:
        chosen = [summary.number for summary in mailbox.list_messages()] if numbers is None else list(numbers)
        contents = [mailbox.message(number) for number in chosen]
        if delete:
            for number in chosen:
                mailbox.delete(number)
    return contents


def _error_text(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _missing_message(number: int, count: int) -> AgentError:
    return AgentError(f"There is no message {number}: the mailbox has {count}.")


def _no_server(access: Access) -> AgentError:
    return AgentError(f"{access.host} port {access.port} does not respond as a {access.protocol.upper()} server.")


class _LongLineClient(poplib.POP3):
    """POP3 client that accepts lines of up to POP3_LINE_OCTETS; poplib itself ends the session above 2,048 octets."""

    def _getline(self) -> tuple[bytes, int]:
        line = self.file.readline(POP3_LINE_OCTETS + 1)
        if len(line) > POP3_LINE_OCTETS:
            raise poplib.error_proto("line too long")
        if not line:
            raise poplib.error_proto("-ERR EOF")
        return line.removesuffix(b"\n").removesuffix(b"\r"), len(line)


class _Pop3:
    def __init__(self, access: Access) -> None:
        self._deleted = 0
        try:
            self._client = _LongLineClient(access.host, access.port, access.timeout_s)
        except poplib.error_proto as error:
            # RFC 1939 section 3: an error response begins with -ERR; other responses mean that the server is not POP3.
            if _error_text(error).startswith("-ERR"):
                raise
            raise _no_server(access) from error
        try:
            if access.tls is not None:
                self._client.stls(access.tls)
            self._client.user(access.user)
            self._client.pass_(access.password)
        except BaseException:
            self._client.close()
            raise

    def list_messages(self) -> Iterator[MessageSummary]:
        _, lines, _ = self._client.list()
        for line in lines[:LISTED_MAX]:
            number, size = map(int, line.split()[:2])
            yield MessageSummary(number, size, b"\r\n".join(self._client.top(number, 0)[1]) + b"\r\n")

    def message(self, number: int) -> bytes:
        try:
            return b"".join(line + b"\r\n" for line in self._client.retr(number)[1])
        except poplib.error_proto as error:
            count = self._client.stat()[0] + self._deleted
            if number > count:
                raise _missing_message(number, count) from error
            raise

    def part(self, number: int, section: str) -> bytes:
        contents = Contents(self.message(number))
        leaf = contents.leaf(section)
        if leaf is None:
            raise AgentError(f"Message {number} has no part {section}.")
        return contents.decoded(leaf)

    def delete(self, number: int) -> None:
        self._client.dele(number)
        self._deleted += 1

    def close(self) -> None:
        # RFC 1939 section 6: QUIT removes the marked messages.
        self._client.quit()

    def abort(self) -> None:
        self._client.close()


class _Imap:
    def __init__(self, access: Access) -> None:
        self._has_deleted = False
        try:
            self._client = imaplib.IMAP4(access.host, access.port, access.timeout_s)
        except imaplib.IMAP4.error as error:
            # RFC 3501 section 7.1.5: an overloaded server greets with BYE.
            if _error_text(error).startswith("* "):
                raise
            raise _no_server(access) from error
        try:
            if access.tls is not None:
                self._client.starttls(access.tls)
            self._client.login(access.user, access.password)
            self._count = self._select(access.folder)
        except BaseException:
            self.abort()
            raise

    def _select(self, folder: str) -> int:
        """Select the IMAP mailbox (folder) to read; return its number of messages."""
        quoted = folder.replace("\\", "\\\\").replace('"', '\\"')
        return int(self._check(self._client.select(f'"{quoted}"'))[0])

    def list_messages(self) -> Iterator[MessageSummary]:
        if not self._count:
            return
        message_range = f"1:{min(self._count, LISTED_MAX)}"
        for item in self._check(self._client.fetch(message_range, f"(RFC822.SIZE {_FIELDS})")):
            if isinstance(item, tuple):
                number, size = _NUMBER.match(item[0]), _SIZE.search(item[0])
                if number is not None:
                    yield MessageSummary(int(number[1]), int(size[1]) if size else 0, item[1])

    def message(self, number: int) -> bytes:
        return self._body(number, "BODY[]")

    def part(self, number: int, section: str) -> bytes:
        if not _SECTION.match(section):
            raise AgentError(f"{section!r} is not a part number such as 2 or 1.2.")
        # RFC 3501 section 6.4.5: for part 1 of a message that is not multipart, MIME returns the message's header.
        header = self._body(number, f"BODY.PEEK[{section}.MIME]")
        encoding = parse_header(header).first(b"content-transfer-encoding")
        return decode_transfer(self._body(number, f"BODY[{section}]"), encoding)

    def delete(self, number: int) -> None:
        self._check(self._client.store(str(number), "+FLAGS.SILENT", "(\\Deleted)"))
        self._has_deleted = True

    def close(self) -> None:
        if self._has_deleted:
            self._check(self._client.expunge())
        self._client.logout()

    def abort(self) -> None:
        with suppress(OSError, imaplib.IMAP4.error):
            self._client.shutdown()

    def _body(self, number: int, section: str) -> bytes:
        try:
            items = self._check(self._client.fetch(str(number), f"({section})"))
        except imaplib.IMAP4.error as error:
            if number > self._count:
                raise _missing_message(number, self._count) from error
            raise
        for item in items:
            if isinstance(item, tuple):
                return bytes(item[1])
            if isinstance(item, bytes) and item.endswith((b'""', b'"")')):
                return b""
        if number > self._count:
            raise _missing_message(number, self._count)
        raise AgentError(f"There is no message {number}, or it has no such part.")

    @staticmethod
    def _check(answer: tuple[str, list[Any]]) -> list[Any]:
        status, data = answer
        if status != "OK":
            raise imaplib.IMAP4.error(data[0] if data else status)
        return data
