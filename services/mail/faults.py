"""Deliberate protocol violations (faults) of the mail services and the user agent, enabled by `--fault NAME`.

They are for teaching, and for tests of `lab7 judge`, a program that detects protocol violations in packet captures.

    SMTP             FaultyServerSession changes the server's replies and the received message
                     unstuffed() omits the client's dot-stuffing
                     late() replies 250 before the message is on disk
    POP3, IMAP       FaultyAccessSession changes the octets that a correct session sends
    user agent       with_mime_faults() changes the octets of a composed message

The option `--fault` is common to all services (services/faults.py).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from itertools import count
from typing import Any

from lab7.services.mail.access.requests import Output, Outputs, Session
from lab7.services.mail.queue.entry import Entry
from lab7.services.mail.smtp.content import CRLF, ContentReader
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply

MTA_FAULTS: Mapping[str, str] = {
    "no-dot-stuffing": "sends lines of a message that begin with a dot as they are",
    "no-dot-unstuffing": "keeps the dots that the client has put in front of lines that begin with a dot",
    "early-250": "replies 250 to a message 5 s before it is in the queue: the message is lost if the server is killed",
    "space-in-ehlo": "a space in place of the hyphen in all lines of the reply to EHLO",
    "250-to-data": "250 in place of 354 as reply to DATA",
    "lf-in-smtp": "SMTP reply lines that end in LF alone",
}
POP3_FAULTS: Mapping[str, str] = {
    "wrong-list-sizes": "sizes in LIST that count a line end as one octet",
    "no-byte-stuffing": "sends lines of a message that begin with a dot as they are",
    "lf-in-pop3": "lines that end in LF alone",
}
IMAP_FAULTS: Mapping[str, str] = {
    "changing-uidvalidity": "another UIDVALIDITY in every session",
    "wrong-rfc822-size": "an RFC822.SIZE that counts a line end as one octet",
}
AGENT_FAULTS: Mapping[str, str] = {
    "broken-boundary": "a boundary parameter that no line of the message has",
    "open-multipart": "a multipart message without the closing boundary line",
}
# Seconds between the reply 250 and the write to the queue with the fault early-250.
LATE_S = 5.0
_BOUNDARY = re.compile(rb'boundary="([^"\r\n]+)"')
_SCAN_LISTING = re.compile(rb"(?m)^(\+OK )?([0-9]+) ([0-9]+)(?=\r$)")
_UIDVALIDITY = re.compile(rb"(?<=\[UIDVALIDITY )[0-9]+(?=\])")
_SIZE = re.compile(rb"(?<=RFC822\.SIZE )[0-9]+")
# Average octets of a line, to estimate the number of lines: the faults in sizes count one octet less per line.
LINE_OCTETS = 40
_sessions = count(1)


class _StuffedReader(ContentReader):
    """Reader of mail data with a deliberate fault: it keeps the dots of dot-stuffing (RFC 5321 section 4.5.2)."""

    def finish(self) -> bytes | Reply:
        """Return the message with the dots of dot-stuffing still in it, or the reply that rejects the message."""
        raw = bytes(self._octets)
        done = super().finish()
        return done if isinstance(done, Reply) else raw[len(CRLF) :]


class FaultyServerSession(ServerSession):
    """SMTP server session with deliberate faults: it violates the protocol in the ways named in `faults`."""

    def __init__(self, policy: Policy, offer: Offer, client: Client, faults: Collection[str]) -> None:
        super().__init__(policy, offer, client)
        self._faults = faults

    def greeting(self) -> bytes:
        """Return the greeting; with the fault `lf-in-smtp` the line ends in LF alone."""
        return self._line_ends(super().greeting())

    def _data(self, argument: bytes) -> None:
        super()._data(argument)
        if self._content is not None and "no-dot-unstuffing" in self._faults:
            self._content = _StuffedReader(self._offer.size_octets, self._offer.strict_syntax)

    def _flush(self) -> bytes:
        if "space-in-ehlo" in self._faults:
            self._output = [re.sub(rb"(?m)^250-", b"250 ", reply) for reply in self._output]
        if "250-to-data" in self._faults:
            self._output = [re.sub(rb"\A354 ", b"250 ", reply) for reply in self._output]
        return self._line_ends(super()._flush())

    def _line_ends(self, octets: bytes) -> bytes:
        return octets.replace(CRLF, b"\n") if "lf-in-smtp" in self._faults else octets


def unstuffed(octets: bytes) -> bytes:
    """Return a message as mail data without dot-stuffing, in violation of RFC 5321 section 4.5.2."""
    body = octets if octets.endswith(CRLF) or not octets else octets + CRLF
    return body + b".\r\n"


def late(
    loop: asyncio.AbstractEventLoop, accept: Callable[[Entry, bytes], Awaitable[None]]
) -> Callable[[Entry, bytes], Awaitable[None]]:
    """Return a function for the fault `early-250`, which sends 250 to the client before the message is in the queue.

    The returned function returns at once; LATE_S seconds later it calls `accept`, which writes the message.
    """

    async def accept_later(entry: Entry, content: bytes) -> None:
        loop.call_later(LATE_S, lambda: asyncio.ensure_future(accept(entry, content), loop=loop))

    return accept_later


class FaultyAccessSession:
    """POP3 or IMAP session with deliberate faults: it wraps a correct session and changes the octets sent."""

    def __init__(self, session: Session, faults: Collection[str]) -> None:
        self._session = session
        self._faults = faults
        self._number = next(_sessions)
        self._in_listing = self._in_content = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @property
    def ended(self) -> bool:
        """True when the connection must be closed."""
        return self._session.ended

    @property
    def waits(self) -> bool:
        """True while the server may send untagged responses unasked (IDLE, NOTIFY)."""
        return self._session.waits

    @property
    def logged_in(self) -> bool:
        """True once the client has logged in."""
        return self._session.logged_in

    def greeting(self) -> bytes:
        """Return the greeting, changed by the enabled faults."""
        return self._changed(self._session.greeting())

    def receive(self, data: bytes) -> Outputs:
        """Pass received octets to the wrapped session; yield its requests, and its responses with the faults."""
        verb = data[:4].upper()
        self._in_listing, self._in_content = verb == b"LIST", verb == b"RETR"
        outputs = self._session.receive(data)
        answer: object = None
        while True:
            try:
                output: Output = outputs.send(answer)
            except StopIteration:
                return
            answer = yield self._changed(output) if isinstance(output, bytes) else output

    def poll(self) -> Iterator[bytes]:
        """Yield the wrapped session's untagged responses for mailbox changes, unchanged."""
        return self._session.poll()

    def end(self, text: str) -> bytes:
        """End the session from the server's side; return the last response, changed by the enabled faults."""
        return self._changed(self._session.end(text))

    def release(self) -> None:
        """Release the mailbox after the connection has been closed."""
        self._session.release()

    def _changed(self, octets: bytes) -> bytes:
        if "wrong-list-sizes" in self._faults and self._in_listing:
            octets = _SCAN_LISTING.sub(lambda one: b"%b%b %d" % (one[1] or b"", one[2], _counted(one[3])), octets)
        if "no-byte-stuffing" in self._faults and self._in_content and octets != b".\r\n":
            octets = re.sub(rb"(?m)^\.\.", b".", octets)
        if "changing-uidvalidity" in self._faults and octets.startswith(b"* OK ["):
            octets = _UIDVALIDITY.sub(lambda one: b"%d" % (int(one[0]) + self._number), octets)
        if "wrong-rfc822-size" in self._faults:
            octets = _SIZE.sub(lambda one: b"%d" % _counted(one[0]), octets, count=1)
        return octets.replace(CRLF, b"\n") if "lf-in-pop3" in self._faults else octets


def _counted(size: bytes) -> int:
    """Return the wrong size in octets that a server would state if it counted LF instead of CRLF line ends.

    The number of lines is estimated at LINE_OCTETS octets per line.
    """
    return int(size) - max(1, int(size) // LINE_OCTETS)


def with_mime_faults(content: bytes, faults: Collection[str]) -> bytes:
    """Apply the enabled MIME faults to a composed message; a message that is not multipart is unchanged."""
    found = _BOUNDARY.search(content)
    if found is None:
        return content
    if "open-multipart" in faults:
        content = content.replace(b"\r\n--%b--" % found[1], b"")
    if "broken-boundary" in faults:
        content = content.replace(found[0], b'boundary="%b-"' % found[1][:-1], 1)
    return content
