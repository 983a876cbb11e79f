"""Build captures of SMTP sessions packet by packet, and of a message on its three legs."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.harness.judge.frames import connections
from lab7.experiments.mail.claims.transfer import Addresses, MailLegs
from lab7.experiments.mail.wire.smtp import SmtpTraffic, smtp_traffic
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire, request, response

RTT_MS = 40.0
ALICE, SENDER, RECEIVER, BOB = "10.0.1.1", "10.0.1.25", "10.0.2.25", "10.0.2.1"
WHO = Addresses(ALICE, SENDER, RECEIVER, BOB)
# Stands in for a picture: every octet, those above 127 among them.
PICTURE = bytes(range(256)) * 3
PAGE = b"<p>Hello\r\n"
HEADER = b"From: alice@example.org\r\nTo: bob@example.com\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
BODY = b"Dear Bob,\r\n.hidden\r\n.\r\n..two\r\nthe end.\r\n"
PLAIN = HEADER + b"\r\n" + BODY
WORDS = {
    211: "you are 10.0.1.1",
    220: "mail.example.com ESMTP",
    221: "Bye",
    250: "OK",
    354: "Go on",
    451: "Error",
    550: "No such user",
    554: "No",
}


def stuffed(content: bytes) -> bytes:
    """Mail data as they go: dots doubled, and the final one."""
    lines = content.split(b"\r\n")[:-1]
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def with_picture(picture: bytes = PICTURE, page: bytes = PAGE, encoding: bytes = b"base64") -> bytes:
    """A message that holds a text and a picture."""
    parts = (
        (b"text/html", b"7bit", page),
        (b"image/jpeg", encoding, base64.encodebytes(picture).replace(b"\n", b"\r\n")),
    )
    head = HEADER + b'Content-Type: multipart/mixed; boundary="=_x"\r\n\r\n'
    made = b"".join(
        b"--=_x\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + how + b"\r\n\r\n" + octets + b"\r\n"
        for kind, how, octets in parts
    )
    return head + made + b"--=_x--\r\n"


@dataclass
class SmtpWire:
    """One SMTP session; its methods are exchanges, in the order in which they are called."""

    wire: Wire = field(default_factory=Wire)
    port: int = 40000
    server_port: int = 25
    client: str = SENDER
    server: str = RECEIVER
    rtt_ms: float = RTT_MS

    def __post_init__(self) -> None:
        self.tcp = Tcp(
            self.wire,
            port=self.port,
            server_port=self.server_port,
            client_address=self.client,
            server_address=self.server,
        )

    def begin(self, greeting: str = "220 mail.example.com ESMTP") -> SmtpWire:
        self.tcp.open(self.rtt_ms)
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", greeting.encode() + b"\r\n")
        return self

    def say(self, command: str, code: int, text: str | None = None) -> SmtpWire:
        """A command, and a round trip later its reply; code 0: none."""
        self.tcp.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        return self.reply(code, text) if code else self

    def group(self, *commands: tuple[str, int]) -> SmtpWire:
        """Several commands in one segment, and a round trip later their replies in one."""
        self.tcp.client("PA", b"".join(command.encode() + b"\r\n" for command, _ in commands))
        self.wire.after(self.rtt_ms)
        self.tcp.server("PA", b"".join(f"{code} {WORDS[code]}\r\n".encode() for _, code in commands))
        return self

    def reply(self, code: int, text: str | None = None) -> SmtpWire:
        lines = (WORDS.get(code, "said") if text is None else text).split("\n")
        octets = "".join(f"{code}-{line}\r\n" for line in lines[:-1]) + f"{code} {lines[-1]}\r\n"
        self.tcp.server("PA", octets.encode())
        return self

    def hello(self, verb: str = "EHLO") -> SmtpWire:
        return self.say(f"{verb} mail.example.org", 250, "mail.example.com\n8BITMIME\nPIPELINING")

    def data(self, octets: bytes, code: int = 250, piece: int = 1000, every_ms: float = 1.0) -> SmtpWire:
        """Mail data as they are on the wire, in segments of `piece` octets, and a round trip later the reply."""
        for start in range(0, len(octets), piece):
            if start:
                self.wire.after(every_ms)
            self.tcp.client("PA", octets[start : start + piece])
        self.wire.after(self.rtt_ms)
        return self.reply(code) if code else self

    def message(self, content: bytes = PLAIN, code: int = 250, piece: int = 1000, rcpt: int = 250) -> SmtpWire:
        """A whole transaction."""
        self.say("MAIL FROM:<alice@example.org>", 250).say("RCPT TO:<bob@example.com>", rcpt).say("DATA", 354)
        return self.data(stuffed(content), code, piece)

    def quit(self, closes: str = "server") -> SmtpWire:
        """QUIT, 221, and who closes first: server, client or nobody."""
        self.say("QUIT", 221)
        if closes == "server":
            self.tcp.close()
        elif closes == "client":
            self.tcp.client("FA")
            self.wire.after(self.rtt_ms)
            self.tcp.server("FA")
        self.wire.after(10)
        return self

    def traffic(self, folder: Path, dropped: int = 0) -> SmtpTraffic:
        folder.mkdir(parents=True, exist_ok=True)
        return smtp_traffic(self.wire.capture(folder, dropped), INTERFACE)


def whole(content: bytes = PLAIN, **session: object) -> SmtpWire:
    """A session with one message, from greeting to QUIT."""
    return SmtpWire(**session).begin().hello().message(content).quit()  # type: ignore[arg-type]


def another(first: SmtpWire, number: int = 1) -> SmtpWire:
    """A later session of the same two in the same capture."""
    return SmtpWire(first.wire, first.port + number, first.server_port, first.client, first.server)


def read_by_pop3(wire: Wire, content: bytes, raw: bytes = b"") -> None:
    """A session in which Bob downloads a message, and deletes it; `raw` goes as it is where there is no content."""
    tcp = Tcp(wire, port=52000, server_port=110, client_address=BOB, server_address=RECEIVER).open()
    tcp.server("PA", b"+OK\r\n")
    for command in (b"USER bob", b"PASS secret", b"RETR 1", b"DELE 1", b"QUIT"):
        wire.after(RTT_MS)
        tcp.client("PA", command + b"\r\n")
        octets = b"+OK\r\n"
        if command == b"RETR 1":
            octets += stuffed(content) if content else raw + b".\r\n"
        for start in range(0, len(octets), 1000):
            tcp.server("PA", octets[start : start + 1000])
    tcp.close()


def read_by_imap(wire: Wire, _: bytes, content: bytes) -> None:
    """A session in which Bob fetches a message."""
    tcp = Tcp(wire, port=52000, server_port=143, client_address=BOB, server_address=RECEIVER).open()
    tcp.server("PA", b"* OK\r\n")
    answers = {
        b"LOGIN bob secret": b"",
        b"SELECT INBOX": b"* 1 EXISTS\r\n",
        b"FETCH 1 (BODY.PEEK[])": b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(content), content),
        b"LOGOUT": b"* BYE\r\n",
    }
    for number, (command, answer) in enumerate(answers.items()):
        wire.after(RTT_MS)
        tcp.client("PA", b"a%d %s\r\n" % (number, command))
        octets = answer + b"a%d OK\r\n" % number
        for start in range(0, len(octets), 1000):
            tcp.server("PA", octets[start : start + 1000])
    tcp.close()


@dataclass
class Way:
    """A message on its three legs, each interface with a wire of its own; a test changes what it is about."""

    content: bytes = PLAIN
    # What goes on each leg, where that is something else.
    relayed: bytes | None = None
    read: bytes | None = None
    relay_port: int = 25
    relay_to: str = RECEIVER
    relay_begins_ms: float = 1000.0
    piece: int = 1000
    by_pop3: bool = True
    # Whether the reader's server doubles the dots that lines begin with, as POP3 has it.
    stuffed: bool = True
    objects: tuple[bytes, ...] = ()

    def legs(self, folder: Path, dropped: int = 0) -> MailLegs:
        """The legs as a capture of all four interfaces would have them."""
        passed = b"Received: from alice\r\n" + self.content if self.relayed is None else self.relayed
        at_alice = self._submit(Wire())
        at_sender = self._relay(self._submit(Wire(now_ms=5)).wire, passed)
        at_receiver = self._relay(Wire(now_ms=20), passed)
        bob = self._read(Wire(now_ms=self.relay_begins_ms + 2000), passed if self.read is None else self.read)
        alice, sender, receiver = (
            one.traffic(folder / str(number)) for number, one in enumerate((at_alice, at_sender, at_receiver))
        )
        (folder / "bob").mkdir(parents=True)
        seen = connections(bob.capture(folder / "bob", dropped).at(INTERFACE))
        reading = tuple(one for one in seen if one.server.port in (110, 143))
        web = tuple(one for one in seen if one.server.port == 80)
        return MailLegs(alice, sender, receiver, reading, web, dropped, WHO)

    def _submit(self, wire: Wire) -> SmtpWire:
        one = SmtpWire(wire, port=50000, server_port=587, client=ALICE, server=SENDER)
        one.begin().hello().say("AUTH PLAIN AGFsaWNlAHNlY3JldA==", 235, "Hello").message(self.content, piece=self.piece)
        return one.quit()

    def _relay(self, wire: Wire, content: bytes) -> SmtpWire:
        wire.now_ms = wire.now_ms % 20 + self.relay_begins_ms
        one = SmtpWire(wire, server_port=self.relay_port, server=self.relay_to)
        return one.begin().hello().message(content, piece=self.piece).quit()

    def _read(self, wire: Wire, content: bytes) -> Wire:
        (read_by_pop3 if self.by_pop3 else read_by_imap)(wire, content if self.stuffed else b"", content)
        if self.objects:
            wire.after(10)
            web = Tcp(wire, port=53000, client_address=BOB, server_address=SENDER, isn=77).open()
            for number, one in enumerate(self.objects):
                web.client("PA", request(f"/{number}", "1.1"))
                wire.after(RTT_MS)
                web.server("PA", response(one, "1.1"))
            web.close()
        return wire
