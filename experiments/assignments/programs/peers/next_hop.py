"""Next hop of an SMTP relay under test: a server that accepts all mail and stores none (RFC 5321, RFC 6152).

    next_hop --port 25

A recipient whose local part begins with DEFERRED gets 451 until DEFER_S seconds after the first attempt, as from a host
that is unavailable for some time. The client's behaviour is not judged here: its octets are in the capture. Left out:
all extensions except 8BITMIME.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

DEFERRED, DEFER_S = "later-", 20.0
NAME = "next.example.net"
IDLE_S = 300.0
LINE_MAX, BLOCK = 1 << 16, 1 << 16
_RECIPIENT = re.compile(r"RCPT +TO: *<([^>]*)>", re.IGNORECASE)


@dataclass
class Session:
    """State of one SMTP connection: accepted recipients, and whether the next line is mail data."""

    first_try_s: dict[str, float]
    in_data: bool = False
    recipients: list[str] = field(default_factory=list)

    def reply(self, line: str, now_s: float) -> str:
        """Return the reply to a line (given without CRLF); an empty text for a line within the mail data."""
        if self.in_data:
            if line != ".":
                return ""
            self.in_data, self.recipients = False, []
            return "250 OK"
        verb = line[:4].upper()
        if verb == "EHLO":
            return f"250-{NAME}\r\n250 8BITMIME"
        if verb == "RCPT":
            return self._recipient(line, now_s)
        if verb == "DATA":
            self.in_data = bool(self.recipients)
            return "354 end with a dot" if self.in_data else "503 no recipients"
        if verb in ("MAIL", "RSET"):
            self.recipients = []
        if verb == "QUIT":
            return "221 bye"
        return "250 OK" if verb in ("HELO", "MAIL", "RSET", "NOOP") else "500 unknown command"

    def _recipient(self, line: str, now_s: float) -> str:
        found = _RECIPIENT.match(line)
        if found is None:
            return "501 RCPT TO:<address>"
        address = found[1]
        if address.startswith(DEFERRED) and now_s - self.first_try_s.setdefault(address, now_s) < DEFER_S:
            return "451 out of order, try again"
        self.recipients.append(address)
        return "250 OK"


def serve(connection: socket.socket, first_try_s: dict[str, float], lock: threading.Lock) -> None:
    """Reply to the lines of one connection until client or server closes it."""
    session, data = Session(first_try_s), b""
    with connection, suppress(OSError):
        connection.settimeout(IDLE_S)
        connection.sendall(f"220 {NAME} ESMTP\r\n".encode())
        while True:
            while b"\r\n" not in data:
                block = connection.recv(BLOCK)
                data += block
                if not block or len(data) > LINE_MAX:
                    return
            line, _, data = data.partition(b"\r\n")
            with lock:
                answer = session.reply(line.decode("latin-1"), time.monotonic())
            if answer:
                connection.sendall(f"{answer}\r\n".encode())
            if answer.startswith("221"):
                return


def main(argv: list[str] | None = None) -> int:
    """Accept SMTP connections on all addresses until the process is killed."""
    parser = argparse.ArgumentParser(prog="next_hop", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    first_try_s: dict[str, float] = {}
    lock = threading.Lock()
    with socket.create_server(("", options.port), backlog=64) as server:
        print("READY", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, first_try_s, lock), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
