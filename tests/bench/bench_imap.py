"""Sessions a second of the IMAP server beside Dovecot and, where it is installed, pymap, in one run.

    python -m tests.bench.bench_imap [--seconds 3] [--rounds 3] [--clients 10]
    python -m tests.bench.bench_imap --append

A session is what a mail checker does: connect, LOGIN, SELECT, FETCH one message of 4 KiB, LOGOUT. As many clients as
asked for run at once, each session after the other. The servers take turns within each round, and the medians are
compared; the project asks for half of Dovecot's, which is in C and has a process for each session.

With --append, messages a second that imaplib appends on one connection instead: it writes a literal and the CRLF after
it apart, so that a server without an early acknowledgement serves 25 a second at most, by the client's Nagle algorithm.
"""

import argparse
import asyncio
import imaplib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.bench.ports import free_port
from tests.loopback.mail.access import access_process
from tests.loopback.mail.dovecot import dovecot, program

HOST = "127.0.0.1"
OURS, DOVECOT, PYMAP = "lab7", "dovecot", "pymap"
SHARE_OF_DOVECOT = 0.5
PATIENCE_S = 30.0
# What pymap has built in: a user with messages in memory.
PYMAP_USER, PYMAP_PASSWORD = "demouser", "demopass"
CONTENT = b"From: ann@example.com\r\nTo: alice@example.com\r\nSubject: bench\r\n\r\n" + b"A line of text.\r\n" * 240


@contextmanager
def _ours(root: Path) -> Iterator[tuple[int, str, str]]:
    with access_process("imap", root) as port:
        yield port, "alice", "secret"


@contextmanager
def _dovecot(root: Path) -> Iterator[tuple[int, str, str]]:
    with dovecot(root) as running:
        yield running.imap, "alice", "secret"


@contextmanager
def _pymap(_: Path) -> Iterator[tuple[int, str, str]]:
    port = free_port()
    command = [shutil.which(PYMAP) or PYMAP, "--host", HOST, "--port", str(port), "--no-tls", "dict", "--demo-data"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, PYMAP_USER, PYMAP_PASSWORD
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


Server = Callable[[Path], AbstractContextManager[tuple[int, str, str]]]


def servers() -> dict[str, Server]:
    """Return the servers that can be measured here."""
    found: dict[str, Server] = {OURS: _ours}
    if program() is not None:
        found[DOVECOT] = _dovecot
    if shutil.which(PYMAP) is not None:
        found[PYMAP] = _pymap
    return found


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; a server that tells nobody when it listens is asked again."""
    for _ in range(int(PATIENCE_S / 0.05)):
        try:
            return await asyncio.open_connection(HOST, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


async def _command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> int:
    """Run a command and return how many octets answered it; raises SystemExit where that is not OK."""
    writer.write(b"a " + text + b"\r\n")
    octets = 0
    while True:
        line = await reader.readline()
        octets += len(line)
        if line.startswith(b"a "):
            if not line.startswith(b"a OK"):
                raise SystemExit(f"{text!r} was answered {line!r}")
            return octets
        if not line:
            raise SystemExit(f"{text!r} was not answered")
        if line.endswith(b"}\r\n"):
            octets += len(await reader.readexactly(int(line[line.rindex(b"{") + 1 : -3])))


async def _session(port: int, user: str, password: str) -> None:
    reader, writer = await _connected(port)
    await reader.readline()
    await _command(reader, writer, f"LOGIN {user} {password}".encode())
    await _command(reader, writer, b"SELECT INBOX")
    if await _command(reader, writer, b"FETCH 1 BODY.PEEK[]") < len(CONTENT) and user != PYMAP_USER:
        raise SystemExit("the message is not whole")
    await _command(reader, writer, b"LOGOUT")
    writer.close()


async def _fill(port: int, user: str, password: str) -> None:
    reader, writer = await _connected(port)
    await reader.readline()
    await _command(reader, writer, f"LOGIN {user} {password}".encode())
    for _ in range(100):
        await _command(reader, writer, b"APPEND INBOX {%d+}\r\n%b" % (len(CONTENT), CONTENT))
    writer.close()


async def _rate(port: int, user: str, password: str, clients: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    done = 0

    async def client() -> None:
        nonlocal done
        while loop.time() < begin + seconds:
            await _session(port, user, password)
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (loop.time() - begin)


def _append_rate(port: int, user: str, password: str, seconds: float) -> float:
    client = imaplib.IMAP4(HOST, port, PATIENCE_S)
    client.login(user, password)
    begin, done = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        if client.append("INBOX", "", "", CONTENT)[0] != "OK":
            raise SystemExit("a message was not appended")
        done += 1
    rate = done / (time.monotonic() - begin)
    client.logout()
    return rate


def measure_appends(name: str, server: Server, seconds: float) -> float:
    """Return the messages that imaplib appends a second to one server, which runs for as long."""
    with tempfile.TemporaryDirectory(prefix="lab7-bench-") as folder, server(Path(folder) / name) as reached:
        return _append_rate(*reached, seconds)


def measure(name: str, server: Server, clients: int, seconds: float) -> float:
    """Return the sessions a second of one server, which runs for as long."""
    with tempfile.TemporaryDirectory(prefix="lab7-bench-") as folder, server(Path(folder) / name) as reached:
        if name != PYMAP:
            asyncio.run(_fill(*reached))
        return asyncio.run(_rate(*reached, clients, seconds))


def main(argv: list[str] | None = None) -> int:
    """Measure and compare; 1 where the project's aim is missed."""
    parser = argparse.ArgumentParser(description="IMAP sessions a second.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--append", action="store_true", help="measure APPEND by imaplib instead of sessions")
    options = parser.parse_args(argv)
    found = servers()
    rates: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.rounds):
        for name, server in found.items():
            if options.append:
                rates[name].append(measure_appends(name, server, options.seconds))
            else:
                rates[name].append(measure(name, server, options.clients, options.seconds))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        unit = "messages/s" if options.append else "sessions/s"
        print(f"{name:12} {value:8.0f} {unit}   of {', '.join(f'{one:.0f}' for one in rates[name])}")
    if options.append:
        return 0
    if DOVECOT not in medians:
        print("Dovecot is not here: nothing to compare with")
        return 0
    share = medians[OURS] / medians[DOVECOT]
    print(f"{share:.2f} times Dovecot (at least {SHARE_OF_DOVECOT} is wanted)")
    return 0 if share >= SHARE_OF_DOVECOT else 1


if __name__ == "__main__":
    sys.exit(main())
