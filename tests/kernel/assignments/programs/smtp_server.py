"""A student's SMTP relay, on sockets alone; the tests put one bug into it at a time."""

import argparse
import json
import os
import re
import socket
import threading
import time
import uuid
from email.utils import formatdate
from pathlib import Path
from typing import Any

NAME = "relay.student"
EOL = "\r\n"
EXTENSIONS = ["8BITMIME", "HELP"]
LINE_MAX = 100_000
PATH = re.compile(r"<(?:@[^:>]*:)?([^>]*)>((?: +\S+)*) *\Z")
RETRY_S = 5
Entry = dict[str, Any]


class Queue:
    def __init__(self, spool: Path, host: str, port: int) -> None:
        self.spool, self.host, self.port = spool, host, port
        self.wake = threading.Event()

    def add(self, entry: Entry) -> None:
        name = f"{time.time_ns()}-{uuid.uuid4().hex}"
        path = self.spool / f"{name}.new"
        with path.open("w") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        path.rename(self.spool / f"{name}.json")
        self.wake.set()

    def flush(self) -> None:
        for path in sorted(self.spool.glob("*.json")):
            entry = json.loads(path.read_text())
            entry["recipients"] = self.send(entry)
            if entry["recipients"]:
                path.write_text(json.dumps(entry))
            else:
                path.unlink()

    def send(self, entry: Entry) -> list[str]:
        """Hand a message on; return the recipients for which that must be tried again."""
        recipients: list[str] = entry["recipients"]
        try:
            with connect(self.host, self.port) as connection:
                return self.hand_on(Lines(connection), connection, entry, recipients)
        except (OSError, EOFError, ValueError):
            return recipients

    def hand_on(self, lines: "Lines", connection: socket.socket, entry: Entry, recipients: list[str]) -> list[str]:
        def say(text: str) -> int:
            connection.sendall(text.encode("latin-1") + b"\r\n")
            return lines.reply()

        lines.reply()
        say(f"EHLO {NAME}")
        if say(f"MAIL FROM:<{entry['sender']}>{entry['body']}") != 250:
            return recipients
        codes = {one: say(f"RCPT TO:<{one}>") for one in recipients}
        accepted = [one for one, code in codes.items() if code == 250]
        later = [one for one, code in codes.items() if 400 <= code < 500]
        if accepted:
            if say("DATA") != 354:
                return recipients
            stuffed = [("." if line.startswith(".") else "") + line for line in entry["lines"]]
            if say("\r\n".join([*stuffed, "."])) != 250:
                return recipients
        say("QUIT")
        return later

    def run(self) -> None:
        while True:
            self.flush()
            self.wake.wait(RETRY_S)
            self.wake.clear()


class Lines:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.data = b""

    def next(self) -> bytes:
        while b"\r\n" not in self.data:
            block = self.connection.recv(65536)
            if not block:
                raise EOFError("closed")
            self.data += block
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def reply(self) -> int:
        while (line := self.next())[3:4] == b"-":
            pass
        return int(line[:3])


def connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), 10)


class Session:
    def __init__(self, connection: socket.socket, queue: Queue) -> None:
        self.connection, self.queue = connection, queue
        self.lines = Lines(connection)
        self.hello = ""
        self.reset()

    def reset(self) -> None:
        self.sender: str | None = None
        self.body = ""
        self.recipients: list[str] = []

    def say(self, code: int, *texts: str) -> None:
        ends = ["-"] * (len(texts) - 1) + [" "]
        lines = [f"{code}{end}{text}{EOL}" for end, text in zip(ends, texts, strict=True)]
        self.connection.sendall("".join(lines).encode())

    def serve(self) -> None:
        self.say(220, f"{NAME} ESMTP")
        while True:
            line = self.lines.next().decode("latin-1")
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                self.say(221, "bye")
                return
            handle = getattr(self, f"do_{verb.lower()}", None)
            if handle is None:
                self.say(500, "unknown command")
            else:
                handle(rest)

    def do_ehlo(self, rest: str) -> None:
        self.hello = rest
        self.reset()
        self.say(250, NAME, *EXTENSIONS)

    def do_helo(self, rest: str) -> None:
        self.hello = rest
        self.reset()
        self.say(250, NAME)

    def do_noop(self, _rest: str) -> None:
        self.say(250, "OK")

    def do_rset(self, _rest: str) -> None:
        self.reset()
        self.say(250, "OK")

    def do_mail(self, rest: str) -> None:
        found = PATH.search(rest)
        if found is None or not rest.upper().startswith("FROM:"):
            self.say(501, "MAIL FROM:<address>")
            return
        parameters = found[2].upper().split()
        if any(one not in ("BODY=8BITMIME", "BODY=7BIT") for one in parameters):
            self.say(555, "unknown parameter")
            return
        if self.sender is not None:
            self.say(503, "one MAIL only")
            return
        self.sender, self.body = found[1], found[2]
        self.say(250, "OK")

    def do_rcpt(self, rest: str) -> None:
        found = PATH.search(rest)
        if self.sender is None:
            self.say(503, "MAIL first")
            return
        if found is None or not rest.upper().startswith("TO:"):
            self.say(501, "RCPT TO:<address>")
            return
        self.recipients.append(found[1])
        self.say(250, "OK")

    def do_data(self, _rest: str) -> None:
        if not self.recipients:
            self.say(503, "RCPT first")
            return
        self.say(354, "end with a dot")
        lines = []
        while (line := self.lines.next().decode("latin-1")) != ".":
            lines.append(line[1:] if line.startswith(".") else line)
        if any(len(line) > LINE_MAX for line in lines):
            self.say(500, "line too long")
            self.reset()
            return
        trace = [f"Received: from {self.hello}", f"\tby {NAME} with ESMTP; {formatdate(time.time())}"]
        self.queue.add(
            {"sender": self.sender, "recipients": self.recipients, "body": self.body, "lines": [*trace, *lines]}
        )
        self.reset()
        self.say(250, "queued")


def serve(connection: socket.socket, queue: Queue) -> None:
    with connection:
        try:
            Session(connection, queue).serve()
        except (OSError, EOFError):
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--next")
    parser.add_argument("--spool", type=Path)
    options = parser.parse_args()
    host, _, port = options.next.partition(":")
    queue = Queue(options.spool, host, int(port))
    threading.Thread(target=queue.run, daemon=True).start()
    with socket.create_server(("", options.port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, queue), daemon=True).start()


main()
