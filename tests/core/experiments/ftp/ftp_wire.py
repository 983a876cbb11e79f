"""Build captures of FTP sessions packet by packet, as the client's interface would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.ftp.wire.sessions import FtpTraffic, ftp_traffic
from tests.core.experiments.harness.wire import CLIENT, INTERFACE, SERVER, Tcp, Wire

RTT_MS = 40.0
WORDS = {
    125: "Data connection open.",
    150: "Opening.",
    200: "Done.",
    221: "Bye.",
    226: "Complete.",
    227: "Passive",
    230: "Hello.",
    250: "Done.",
    257: '"/" it is.',
    331: "Password?",
    425: "Cannot open.",
    426: "Aborted.",
    452: "No room.",
    502: "Not implemented.",
    530: "Log in.",
    550: "No such file.",
}


def host_port(address: str, port: int) -> str:
    return f"{address.replace('.', ',')},{port >> 8},{port & 255}"


@dataclass
class FtpWire:
    """One FTP session; its methods are exchanges, in the order in which they are called."""

    wire: Wire = field(default_factory=Wire)
    port: int = 40000
    control_port: int = 21
    rtt_ms: float = RTT_MS
    next_port: int = 50000

    def __post_init__(self) -> None:
        self.control = Tcp(self.wire, port=self.port, server_port=self.control_port)

    def begin(self) -> FtpWire:
        self.control.open(self.rtt_ms)
        self.wire.after(self.rtt_ms)
        self.control.server("PA", b"220 ftp.example.com\r\n")
        return self

    def say(self, command: str, *codes: int, text: str | None = None) -> FtpWire:
        """A command and its replies, each after half a round trip and more."""
        self.control.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        for code in codes:
            self.reply(code, text)
        return self

    def reply(self, code: int, text: str | None = None) -> FtpWire:
        self.control.server("PA", f"{code} {WORDS[code] if text is None else text}\r\n".encode())
        return self

    def log_in(self) -> FtpWire:
        return self.begin().say("USER ann", 331).say("PASS correct-horse", 230).say("TYPE I", 200)

    def passive(
        self, command: str, data: bytes = b"", first: int = 150, last: int = 226, client: str = CLIENT, port: int = 0
    ) -> FtpWire:
        """PASV, the client's connection, and a transfer on it; `client` and `port`: who connects, and where."""
        self.next_port += 1
        self.say("PASV", 227, text=f"Passive ({host_port(SERVER, self.next_port)}).")
        made = Tcp(self.wire, port=self.next_port + 5000, server_port=port or self.next_port, client_address=client)
        made.open(self.rtt_ms)
        return self._transfer(made, command, data, first, last, by_server=False)

    def active(
        self, command: str, data: bytes = b"", first: int = 150, last: int = 226, source: int = 20, to: int = 0
    ) -> FtpWire:
        """PORT, and a transfer on the connection that the server makes; `source`, `to`: its ports."""
        self.next_port += 1
        self.say(f"PORT {host_port(CLIENT, self.next_port)}", 200)
        self.control.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        self.reply(first)
        made = self.from_server(source, to or self.next_port)
        made.client("S").server("SA")
        self.wire.after(self.rtt_ms)
        made.client("A")
        return self._data(made, command, data, last, by_server=True)

    def from_server(self, source: int, target: int) -> Tcp:
        """A connection that the server is to make to the client; its `client` is the FTP server."""
        return Tcp(
            self.wire, port=source, server_port=target, client_address=SERVER, server_address=CLIENT, isn=self.next_port
        )

    def refused_port(self, command: str, code: int = 425, syn: bool = True) -> FtpWire:
        """PORT to where nobody listens, and the command that fails by it."""
        self.next_port += 1
        self.say(f"PORT {host_port(CLIENT, self.next_port)}", 200)
        self.control.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        self.reply(150)
        if syn:
            self.from_server(20, self.next_port).client("S").server("RA")
        self.wire.after(self.rtt_ms)
        return self.reply(code)

    def _transfer(self, made: Tcp, command: str, data: bytes, first: int, last: int, by_server: bool) -> FtpWire:
        self.control.client("PA", command.encode() + b"\r\n")
        self.wire.after(self.rtt_ms)
        if first >= 200:
            made.client("FA")
            made.server("FA")
            return self.reply(first)
        self.reply(first)
        return self._data(made, command, data, last, by_server)

    def _data(self, made: Tcp, command: str, data: bytes, last: int, by_server: bool) -> FtpWire:
        up = command.startswith("STOR")
        sends, answers = (made.client, made.server) if by_server != up else (made.server, made.client)
        for start in range(0, len(data), 1000):
            sends("PA", data[start : start + 1000])
            self.wire.after(1)
        sends("FA")
        answers("FA")
        if up:
            self.wire.after(self.rtt_ms)
        return self.reply(last)

    def quit(self) -> FtpWire:
        self.say("QUIT", 221)
        self.control.close()
        self.wire.after(10)
        return self

    def traffic(self, folder: Path, dropped: int = 0) -> FtpTraffic:
        return ftp_traffic(self.wire.capture(folder, dropped), INTERFACE)


def another(first: FtpWire, number: int = 1) -> FtpWire:
    """A later session in the same capture."""
    return FtpWire(first.wire, port=first.port + number, next_port=first.next_port + 100)
