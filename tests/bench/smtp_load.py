"""A load generator for SMTP, far cheaper than any server here: sessions that send one message after the other.

    python -m tests.bench.smtp_load PORT SESSIONS SECONDS RECIPIENT OCTETS CORE

prints how many messages were answered by 250, and how many a second. Every session waits for each reply, as servers
without PIPELINING need it, and sends all its messages on one connection.
"""

import os
import select
import socket
import sys
import time

READ_OCTETS = 65_536
DATA_STEP = 3
_LINE = b"x" * 70 + b"\r\n"


def message(octets: int) -> bytes:
    """Return a message of so many octets, with the end of the mail data behind it."""
    head = b"From: <load@sender.example>\r\nSubject: load\r\nMessage-ID: <load@sender.example>\r\n\r\n"
    whole, last = divmod(octets - len(head), len(_LINE))
    rest = b"y" * (last - 2) + b"\r\n" if last > 2 else b""
    return head + _LINE * whole + rest + b".\r\n"


class Session:
    """One connection, from its greeting on."""

    def __init__(self, port: int, steps: tuple[bytes, ...]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._steps = steps
        self._at = 0
        self._octets = b""
        self.done = 0
        self._greet()

    def _greet(self) -> None:
        self._reply()
        self.socket.sendall(b"EHLO load.example\r\n")
        self._reply()

    def _reply(self) -> None:
        octets = b""
        while not (octets.endswith(b"\r\n") and octets[:-2].rpartition(b"\n")[2][3:4] == b" "):
            octets += self.socket.recv(READ_OCTETS)

    def begin(self) -> None:
        """Send the first command of the first message."""
        self.socket.sendall(self._steps[0])

    def readable(self) -> None:
        """Take a reply and send what follows; raises ConnectionError where the reply is not the one to come."""
        self._octets += self.socket.recv(READ_OCTETS)
        if not self._octets.endswith(b"\n"):
            if not self._octets:
                raise ConnectionError("the server closed the connection")
            return
        wanted = b"354" if self._at == DATA_STEP - 1 else b"250"
        if self._octets[:3] != wanted:
            raise ConnectionError(f"not {wanted!r} but {self._octets!r}")
        self._octets = b""
        self._at += 1
        if self._at == len(self._steps):
            self._at = 0
            self.done += 1
        self.socket.sendall(self._steps[self._at])


def measure(port: int, sessions: int, seconds: float, recipient: str, octets: int) -> tuple[int, float]:
    """Return the messages that were answered by 250, and how many a second that were."""
    steps = (
        b"MAIL FROM:<load@sender.example>\r\n",
        b"RCPT TO:<" + recipient.encode() + b">\r\n",
        b"DATA\r\n",
        message(octets),
    )
    poll = select.epoll()
    running = {}
    for _ in range(sessions):
        made = Session(port, steps)
        running[made.socket.fileno()] = made
        poll.register(made.socket.fileno(), select.EPOLLIN)
    begun = time.perf_counter()
    for session in running.values():
        session.begin()
    while (elapsed := time.perf_counter() - begun) < seconds:
        for number, _ in poll.poll(1):
            running[number].readable()
    done = sum(session.done for session in running.values())
    return done, done / elapsed


def main(argv: list[str]) -> None:
    """Measure once, as the command line says."""
    port, sessions, seconds, recipient, octets, core = argv
    os.sched_setaffinity(0, {int(core)})
    print(*measure(int(port), int(sessions), float(seconds), recipient, int(octets)))


if __name__ == "__main__":
    main(sys.argv[1:])
