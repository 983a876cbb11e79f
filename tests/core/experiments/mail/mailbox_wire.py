"""Build captures of POP3 and IMAP sessions packet by packet, as the client's interface would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.mail.wire.imap import ImapTraffic, imap_traffic
from lab7.experiments.mail.wire.pop3 import Pop3Traffic, pop3_traffic
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire

RTT_MS = 40.0


def letter(number: int, subject: str = "", lines: int = 3) -> bytes:
    """A message as protocols carry it; some lines begin with a dot."""
    body = b"".join(b".line %d of %d\r\n" % (line, number) for line in range(lines))
    return b"Subject: " + (subject or f"letter {number}").encode() + b"\r\nTo: bob@example.com\r\n\r\n" + body


LETTERS = [letter(1), letter(2, "a picture"), letter(3)]


def stuffed(content: bytes) -> bytes:
    """Lines as POP3 sends them, and the end."""
    lines = content.split(b"\r\n")[:-1]
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


@dataclass
class Pop3Wire:
    """One POP3 session; its methods are exchanges, in the order in which they are called."""

    wire: Wire = field(default_factory=Wire)
    port: int = 40000
    rtt_ms: float = RTT_MS

    def __post_init__(self) -> None:
        self.tcp = Tcp(self.wire, port=self.port, server_port=110)

    def begin(self, greeting: bytes = b"+OK ready") -> Pop3Wire:
        self.tcp.open(self.rtt_ms)
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", greeting + b"\r\n")
        return self

    def say(self, command: str, response: bytes = b"+OK", content: bytes | None = None) -> Pop3Wire:
        """A command, and a round trip later its response, with lines behind it where `content` is given."""
        self.tcp.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", response + b"\r\n" + (b"" if content is None else stuffed(content)))
        return self

    def log_in(self) -> Pop3Wire:
        return self.begin().say("USER bob").say("PASS secret", b"+OK hello")

    def count(self, number: int) -> Pop3Wire:
        return self.say("STAT", b"+OK %d 1000" % number)

    def retrieve(self, *contents: bytes, delete: bool = False) -> Pop3Wire:
        for number, content in enumerate(contents, start=1):
            self.say(f"RETR {number}", b"+OK", content)
            if delete:
                self.say(f"DELE {number}")
        return self

    def quit(self) -> Pop3Wire:
        self.say("QUIT", b"+OK bye")
        self.tcp.close()
        self.wire.after(10)
        return self

    def traffic(self, folder: Path, dropped: int = 0) -> Pop3Traffic:
        folder.mkdir(parents=True, exist_ok=True)
        return pop3_traffic(self.wire.capture(folder, dropped), INTERFACE)


@dataclass
class ImapWire:
    """One IMAP session; its methods are exchanges, in the order in which they are called."""

    wire: Wire = field(default_factory=Wire)
    port: int = 41000
    rtt_ms: float = RTT_MS
    tag: int = 0

    def __post_init__(self) -> None:
        self.tcp = Tcp(self.wire, port=self.port, server_port=143)

    def begin(self, greeting: bytes = b"* OK ready") -> ImapWire:
        self.tcp.open(self.rtt_ms)
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", greeting + b"\r\n")
        return self

    def say(self, command: str, *data: bytes, status: str = "OK") -> ImapWire:
        """A command, and a round trip later untagged data and the completion."""
        self.tag += 1
        self.tcp.client("PA", f"a{self.tag} {command}\r\n".encode())
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", b"".join(b"* " + one + b"\r\n" for one in data) + f"a{self.tag} {status} x\r\n".encode())
        return self

    def log_in(self, count: int = 3, verb: str = "SELECT") -> ImapWire:
        return self.begin().say("LOGIN bob secret").say(f"{verb} INBOX", b"%d EXISTS" % count, b"0 RECENT")

    def fetch(self, item: str, *contents: bytes, first: int = 1) -> ImapWire:
        """FETCH of all messages, each string a literal."""
        data = [literal(number, item, content) for number, content in enumerate(contents, start=first)]
        return self.say(f"FETCH 1:* ({item})", *data)

    def quit(self) -> ImapWire:
        self.say("LOGOUT", b"BYE")
        self.tcp.close()
        self.wire.after(10)
        return self

    def traffic(self, folder: Path, dropped: int = 0) -> ImapTraffic:
        folder.mkdir(parents=True, exist_ok=True)
        return imap_traffic(self.wire.capture(folder, dropped), INTERFACE)


def literal(number: int, item: str, content: bytes) -> bytes:
    """One FETCH response."""
    return b"%d FETCH (%s {%d}\r\n%s)" % (number, item.encode(), len(content), content)
