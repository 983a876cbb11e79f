"""Run of the fuzzer against one service: batches of mutated sessions, and what is checked during and after them."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from lab7.services.mail.maildir.store import Maildir
from tests.fuzz import script
from tests.fuzz.mutation import change_any, mutate
from tests.fuzz.peers import PEER_HOST, Answers, Peer, free_port
from tests.fuzz.player import Player, answers_of, id_of
from tests.fuzz.process import Service, Usage
from tests.fuzz.script import Session
from tests.fuzz.services import ACCOUNTS, CORPUS, FUZZED, Fuzzed
from tests.loopback import clients

# Sessions of a batch, after each of which the logs are read; and sessions at the same time.
BATCH = 72
# Mutated sessions of a run that only checks.
CHECKED = 24
CONCURRENT = 12
# Addresses that sessions come from, in as many networks.
SOURCES = tuple(f"127.{20 + number}.7.1" for number in range(8))
# Seconds between two requests of the honest client.
HONEST_S = 0.5
# Bounds: of the time until descriptors are back, and of the memory that caches may gain.
SETTLE_S = 75.0
MEMORY_OCTETS = 48 << 20
# Messages in the fuzzed mailbox from which no more are delivered.
MAILBOX_MESSAGES = 60
NOTHING = Usage(0, 0)


@dataclass
class Report:
    """What a run did and found; `faults` maps a kind of fault to its text and the file that repeats it."""

    service: str
    seed: int
    seconds: float = 0.0
    sessions: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    honest_s: list[float] = field(default_factory=list)
    before: Usage = NOTHING
    after: Usage = NOTHING

    def line(self) -> str:
        """Return the row of the table."""
        slowest = max(self.honest_s, default=0.0)
        middle = statistics.median(self.honest_s or [0.0])
        late = sum(1 for value in self.honest_s if value > 1.0)
        return (
            f"{self.service:<14} {self.seconds:6.0f} s {self.sessions:7} sessions {len(self.faults):3} faults  "
            f"honest client {middle * 1000:5.0f} ms median, {slowest * 1000:6.0f} ms longest, {late} of "
            f"{len(self.honest_s)} above 1 s  memory {self.before.memory_octets >> 20} to "
            f"{self.after.memory_octets >> 20} MiB  descriptors {self.before.descriptors} to {self.after.descriptors}"
        )


@contextmanager
def honest_client(fuzzed: Fuzzed, port: int, report: Report) -> Iterator[None]:
    """Ask the service again and again, in a thread; a refusal is a fault."""
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.wait(HONEST_S):
            began = time.monotonic()
            try:
                fuzzed.ask(port)
            except Exception as error:
                if not stopped.is_set():
                    report.faults.setdefault(f"honest client: {type(error).__name__}: {error}"[:200], repr(error))
            report.honest_s.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Run:
    """One service under the fuzzer, with faults written to `out`; use as a context manager."""

    def __init__(self, name: str, seed: int, out: Path) -> None:
        self.report = Report(name, seed)
        self._fuzzed = FUZZED[name]
        self._out = out
        self._answers = Answers()
        self._number = 0
        self._is_stopped = False

    def __enter__(self) -> Run:
        self._folder = Path(tempfile.mkdtemp(prefix="lab7-fuzz-"))
        clients.prepare(self._folder)
        (self._folder / "accounts").write_text(ACCOUNTS)
        (self._folder / "eve").mkdir()
        (self._folder / "eve" / "a.txt").write_text("hello\n" * 100)
        self._peer_port = free_port(PEER_HOST)
        self._service = Service(self._fuzzed.command.format(peer=self._peer_port), self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._service.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    # The three ways to use it.

    def fuzz(self, seconds: float) -> Report:
        """Play mutated sessions for a time."""
        asyncio.run(self._with_peer(self._fuzz(seconds)))
        return self._finish()

    def check(self) -> Report:
        """Play the sessions that once found a fault, and one batch of mutated ones."""
        asyncio.run(self._with_peer(self._fuzz(0.0, faults_of(self.report.service))))
        return self._finish()

    def replay(self, sessions: Sequence[Session]) -> Report:
        """Play sessions as they are, once."""
        asyncio.run(self._with_peer(self._replay(sessions)))
        return self._finish()

    async def _with_peer(self, playing: object) -> None:
        peer = None
        if self._fuzzed.peer is not None:
            peer = Peer(self._fuzzed.peer, self._answers, PEER_HOST, self._peer_port)
            await peer.open()
        try:
            await playing  # type: ignore[misc]
        finally:
            if peer is not None:
                await peer.close()

    async def _fuzz(self, seconds: float, first: Sequence[Session] | None = None) -> None:
        """Play the corpus, then batches for `seconds`; with `first`, play those, and a short batch."""
        corpus = corpus_of(self._fuzzed)
        random = Random(f"{self.report.service}/{self.report.seed}")
        await self._warm_up(corpus if first is None else first)
        count = BATCH if first is None else CHECKED
        began = time.monotonic()
        with honest_client(self._fuzzed, self._service.port, self.report):
            while self._service.is_running:
                self._deliver(random)
                batch = [mutate(corpus, random, self._fuzzed.dialect) for _ in range(count)]
                await self._play(batch)
                self._check(batch)
                if time.monotonic() - began >= seconds:
                    break
        self.report.seconds = time.monotonic() - began

    async def _replay(self, sessions: Sequence[Session]) -> None:
        await self._warm_up([])
        began = time.monotonic()
        await self._play(sessions)
        await asyncio.sleep(0.3)
        self._check(sessions)
        self.report.seconds = time.monotonic() - began

    async def _warm_up(self, corpus: Sequence[Session]) -> None:
        """Play the corpus itself, so that everything is loaded before the usage is taken."""
        self._deliver(Random(0))
        await asyncio.to_thread(self._fuzzed.ask, self._service.port)
        await self._play(corpus)
        self._check(corpus)
        await asyncio.sleep(0.5)
        self.report.before = self._service.usage()

    def _deliver(self, random: Random) -> None:
        """Deliver mutated messages to the fuzzed user, where the service shows mailboxes."""
        if "--maildirs" not in self._fuzzed.command:
            return
        maildir = Maildir(self._folder / "maildirs" / "example.com" / "eve")
        inbox = self._folder / "maildirs" / "example.com" / "eve"
        if sum(1 for sub in ("new", "cur") for _ in (inbox / sub).glob("*")) > MAILBOX_MESSAGES:
            return
        messages = [step.octets for session in _read_all("messages") for step in session]
        for _ in range(3):
            message = random.choice(messages)
            for _ in range(random.randrange(4)):
                message = change_any(message, random)
            maildir.deliver(message)

    async def _play(self, sessions: Iterable[Session]) -> None:
        values = await asyncio.to_thread(self._fuzzed.values, self._service.port)
        waiting = list(sessions)
        port = self._service.last_port if self._fuzzed.to_last_port else self._service.port

        async def play() -> None:
            while waiting and self._service.is_running:
                session = waiting.pop(0)
                self._number += 1
                number, name = self._number, id_of(self._number)
                self._answers.left[name] = [octets.replace(b"%id%", name) for octets in answers_of(session)]
                known = {b"%id%": name, **values}
                source = SOURCES[number % len(SOURCES)]
                await Player(session, port, source, known, self._fuzzed.reply_end).play()
                self.report.sessions += 1

        await asyncio.gather(*(play() for _ in range(CONCURRENT)))

    # Checks.

    def _check(self, batch: Sequence[Session]) -> None:
        faults = self._service.new_faults()
        if not self._is_stopped and not self._service.is_running:
            faults["the process has ended"] = "the process has ended"
        for kind, text in faults.items():
            if kind not in self.report.faults:
                self.report.faults[kind] = f"{text}\n{self._write(batch, kind, text)}"

    def _write(self, batch: Sequence[Session], kind: str, text: str) -> str:
        self._out.mkdir(parents=True, exist_ok=True)
        name = self.report.service
        path = self._out / f"{name}-{self.report.seed}-{len(self.report.faults)}.txt"
        again = f"python -m tests.fuzz {name} --replay {path}"
        path.write_text(
            script.to_text(
                batch, f"{kind}\nseed {self.report.seed}\n{again}\n{text}".encode("ascii", "backslashreplace").decode()
            )
        )
        return again

    def _finish(self) -> Report:
        """Check that the service holds what it held before, serves, and ends as it should."""
        report, service = self.report, self._service
        if not service.is_running:
            return report
        report.after = service.settle(report.before, SETTLE_S)
        if report.after.descriptors > report.before.descriptors:
            report.faults["descriptors"] = f"{report.before} before, {report.after} after"
        if report.after.memory_octets > report.before.memory_octets + MEMORY_OCTETS:
            report.faults["memory"] = f"{report.before} before, {report.after} after"
        self._fuzzed.ask(service.port)
        self._is_stopped = True
        try:
            status = service.stop()
        except Exception as error:
            report.faults["stop"] = repr(error)
        else:
            if status != 0:
                report.faults["exit status"] = str(status)
        self._check([])
        return report


def _read_all(folder: str) -> list[Session]:
    return [session for path in sorted((CORPUS / folder).glob("*.txt")) for session in script.read(path)]


def corpus_of(fuzzed: Fuzzed) -> list[Session]:
    """Return the sessions that are mutated for a service: the valid ones, and those that once found a fault."""
    folders = [*fuzzed.corpora, *(f"{name}/faults" for name in fuzzed.corpora)]
    return [session for folder in folders for session in _read_all(folder)]


def faults_of(name: str) -> list[Session]:
    """Return the sessions of the corpus that once found a fault in a service."""
    return [session for folder in FUZZED[name].corpora for session in _read_all(f"{folder}/faults")]
