"""Commands of the IMAP server on one very large mailbox: their CPU time, and how long they keep other users waiting.

    python -m tests.bench.bench_large_mailbox [--messages 100000]

A session yields to the event loop between steps. The longest step, in CPU time, bounds what another user waits, beside
the 10 ms after which the connection yields to the loop. The project asks for SELECT in a second and no step of 100 ms.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab7.services.mail.access.requests import LogIn, Opened, Output
from lab7.services.mail.imap.session import Session
from lab7.services.mail.imap.session_state import Capabilities
from lab7.services.mail.maildir.store import Maildir

# Messages that share a file; ext4 permits 65,000 links to it, and copies are links too.
LINKS_MAX = 10_000
SELECT_MAX_S = 1.0
STEP_MAX_S = 0.1
CONTENT = b"From: ann@example.com\nSubject: bench\n\nA line of text.\n"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of a command, and of its longest step, in seconds."""

    command: str
    whole_s: float
    longest_step_s: float


def fill(maildir: Path, count: int) -> None:
    """Put `count` messages into INBOX, seen but for the last thousand; they share a few files."""
    source = ""
    wire_octets = len(CONTENT) + CONTENT.count(b"\n")
    for number in range(count):
        is_seen = number < count - 1000
        name = f"{1_700_000_000 + number}.M1P1Q{number}.bench,S={len(CONTENT)},W={wire_octets}:2,{'S' * is_seen}"
        path = f"{maildir}/cur/{name}"
        if number % LINKS_MAX == 0:
            source = path
            Path(path).write_bytes(CONTENT)
        else:
            os.link(source, path)


class Steps:
    """A session whose steps are timed."""

    def __init__(self, maildir: Maildir) -> None:
        self._maildir = maildir
        self._session = Session(Capabilities())
        self.run("LOGIN alice secret")

    def run(self, command: str) -> Cost:
        """Run a command; raise RuntimeError if it fails."""
        last = b""
        whole = longest = 0.0
        for output, step_s in self._steps(f"a {command}\r\n".encode("ascii")):
            whole += step_s
            longest = max(longest, step_s)
            last = output or last
        if not last.startswith(b"a OK"):
            raise RuntimeError(f"{command}: {last!r}")
        return Cost(command, whole, longest)

    def _steps(self, octets: bytes) -> Iterator[tuple[bytes, float]]:
        outputs = self._session.receive(octets)
        answer: object = None
        while True:
            begin = time.thread_time()
            try:
                output: Output = outputs.send(answer)
            except StopIteration:
                return
            step_s = time.thread_time() - begin
            answer = Opened("alice", self._maildir) if isinstance(output, LogIn) else None
            yield (output if isinstance(output, bytes) else b""), step_s


def costs(root: Path, count: int) -> list[Cost]:
    """Return the costs of typical commands on a mailbox of `count` messages."""
    maildir = Maildir(root / "mail", wall_clock=time.time)
    maildir.create("Other")
    fill(root / "mail", count)
    copied = min(count, 20_000)
    commands = [
        "SELECT INBOX",
        "SELECT INBOX",
        "NOOP",
        "FETCH 1:* (UID FLAGS)",
        "STORE 1:* +FLAGS.SILENT (\\Flagged)",
        "STORE 1:* -FLAGS (\\Flagged)",
        f"COPY 1:{copied} Other",
        f"STORE 1:{copied} +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
        "SEARCH UNSEEN",
        f"UID MOVE 1:{2 * copied} Other",
        "STATUS Other (MESSAGES UNSEEN SIZE)",
    ]
    # The first SELECT ever assigns the UIDs; then the server is started again.
    assigned = Steps(maildir).run(commands[0])
    session = Steps(Maildir(root / "mail", wall_clock=time.time))
    return [assigned, *(session.run(command) for command in commands)]


def main(argv: list[str] | None = None) -> int:
    """Print the costs; return 1 if SELECT or a step takes too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000, metavar="N", help="messages (default: %(default)s)")
    options = parser.parse_args(argv)
    root = Path(tempfile.mkdtemp(prefix="lab7-bench-"))
    try:
        measured = costs(root, options.messages)
    finally:
        shutil.rmtree(root)
    print(f"{options.messages} messages; CPU seconds of the command, milliseconds of its longest step")
    for cost in measured:
        print(f"  {cost.command:<40} {cost.whole_s:8.2f} s {1000 * cost.longest_step_s:8.1f} ms")
    return int(measured[1].whole_s > SELECT_MAX_S or max(cost.longest_step_s for cost in measured) > STEP_MAX_S)


if __name__ == "__main__":
    sys.exit(main())
