"""Experiment on SMTP replies: 21 reply codes, each caused as RFC 5321 specifies (claim S6).

Claim S6 of the course: each of the 21 reply codes arises from its specified cause. There is one dialogue with the
receiver's server for each reply code of the course. Each reply has a real cause: the queue's disk is full or read-only,
the mailbox's quota is used up, the server is stopped. Each dialogue also has the same or a similar command without the
cause. Facts that no packet shows, such as the free disk space, are read on the server's host.

The server runs with the topology's command-line options; for 450 it is restarted with greylisting. A server that
replaces lab7's (--replace mta) gets the same dialogues with its own configuration, without the restarts.

No times are compared with theory, and disturbance (delay by other load on the machine) is not measured: a busy machine
only lengthens the greylisting delay, after which 450 becomes 250.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.implementations.registry import MTA_ROLE
from lab7.experiments.harness.judge.frames import CaptureFile, connections, read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import Window, measured
from lab7.experiments.harness.parameters import seconds
from lab7.experiments.mail.claims.refusals import CHECKS
from lab7.experiments.mail.claims.replies import Scenario, decide_reply_causes
from lab7.experiments.mail.lab import (
    AT_ALICE,
    AT_BOB,
    AT_RECEIVER,
    POP3_PORT,
    SENDER_ADDRESS,
    Legs,
    UserAgent,
    mail_testbed,
    mailbox,
    restart_mta,
    running_mta,
    wait_for_messages,
    wait_until_quiet,
)
from lab7.experiments.mail.scripts.smtp import (
    AT_NEW_PLACE,
    AT_RECEIVER_DOMAIN,
    AT_SENDER_DOMAIN,
    CAROL_PASSWORD,
    CAROL_QUOTA,
    DIALOGUES,
    EMPTY,
    FILL,
    FREEZE,
    GREYLIST_S,
    READ,
    STOP,
    THAW,
)
from lab7.experiments.mail.servers import names_of
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Testbed

BW_MBIT = 10.0
# Reply code -> further command-line options, for scenarios that start with a restart of the server.
FRESH = {450: f"--greylist {GREYLIST_S:g}", 451: "", 421: ""}
DISK_MIB = 16
# Time-out of a delivery in s, far above the network's delay.
PATIENCE_S = 10.0
PIECE_OCTETS = 64 * 1024


class Queue:
    """Queue directory of the MTA, on its own tmpfs, which can be filled up and made read-only."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._path = host.workdir / "queue"
        self._path.mkdir(exist_ok=True)
        self._mount("-o", f"size={DISK_MIB}m,mode=755")

    @property
    def _seen(self) -> Path:
        """Return the queue directory's path in the host's mount namespace (under /proc/PID/root)."""
        return Path(f"/proc/{self._host.namespace_pid}/root{self._path}")

    def fill(self) -> None:
        """Fill up the queue's file system by writing a ballast file."""
        with suppress(OSError), open(self._seen / "ballast", "wb", buffering=0) as ballast:
            while ballast.write(bytes(PIECE_OCTETS)):
                pass

    def empty(self) -> None:
        """Remove the ballast file, so that the queue's file system has free space again."""
        (self._seen / "ballast").unlink()

    def freeze(self) -> None:
        """Mount a read-only file system over the queue, as after an I/O error (mount(8), errors=remount-ro)."""
        self._mount("-o", "ro")

    def thaw(self) -> None:
        """Unmount the read-only file system, so that the queue is writable again."""
        self._run("umount", str(self._path))

    @property
    def free_octets(self) -> int:
        """Return the number of free octets in the queue's file system."""
        found = os.statvfs(self._seen)
        return found.f_bavail * found.f_frsize

    @property
    def is_read_only(self) -> bool:
        """Return True if the queue's file system is read-only."""
        return bool(os.statvfs(self._seen).f_flag & os.ST_RDONLY)

    def _mount(self, *options: str) -> None:
        self._run("mount", "-t", "tmpfs", *options, "tmpfs", str(self._path))

    def _run(self, *words: str) -> None:
        done = self._host.run(words)
        if done.returncode != 0:
            raise EmulationError(f"cannot mount the queue's disk: {done.stderr.decode(errors='replace').strip()}")


@dataclass
class Done:
    """Results of the scenarios, keyed by reply code: time spans, observations inside the server's host, error texts."""

    windows: dict[int, Window] = field(default_factory=dict)
    facts: dict[int, dict[str, float]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)


class Scenarios:
    """Runner of one scenario per reply code: controls the clients, and causes events on the server's host."""

    def __init__(self, bed: Testbed, queue: Queue, is_ours: bool) -> None:
        self._bed = bed
        self._is_ours = is_ours
        self._queue = queue
        self._stranger, self._reader = UserAgent(bed.host("alice")), UserAgent(bed.host("bob"))
        self._server = bed.host("mail-b")
        self._facts: dict[str, float] = {}

    @property
    def _mta(self) -> Service | Program:
        """Return the process of the MTA under test."""
        return running_mta(self._server) if self._is_ours else self._bed.services["mail-b"][0]

    def run(self, code: int) -> tuple[Window, dict[str, float]]:
        """Run a reply code's scenario; return (time span, observations inside the host). Raises EmulationError."""
        self._facts = {}
        if code in FRESH and self._is_ours:
            restart_mta(self._bed, "mail-b", FRESH[code])
        window = self._stranger.dialogue(DIALOGUES[code], at=partial(self._at, code))
        self._afterwards(code)
        return Window(window.start_ns, time.time_ns()), self._facts

    def _at(self, code: int, word: str) -> None:
        """Cause the event, such as a full disk, that belongs to `word` in a step (`tell`, WORD) of the SMTP session."""
        acts: dict[tuple[int, str], Callable[[], None]] = {
            (421, STOP): self._stop,
            (451, FREEZE): self._freeze,
            (451, THAW): self._thaw,
            (452, FILL): self._fill,
            (452, EMPTY): self._empty,
            (552, FILL): self._filled,
            (552, READ): self._read_carol,
        }
        acts[code, word]()

    def _afterwards(self, code: int) -> None:
        """Run the part of a scenario that follows the SMTP dialogue, such as retrieval of the message."""
        if code == 250:
            wait_for_messages(mailbox(self._server), 1, PATIENCE_S)
            self._reader.fetch()
        elif code == 251:
            wait_for_messages(mailbox(self._bed.host("mail-a"), "example.org", "alice"), 1, PATIENCE_S)
            wait_until_quiet(self._server)
        elif code == 551:
            self._stranger.dialogue(AT_NEW_PLACE, SENDER_ADDRESS)
        elif code == 450:
            self._facts["delay_s"] = GREYLIST_S
        elif code == 421:
            self._mta.stop()
            with suppress(EmulationError):
                # Ignore the error, since the packets of the refused connection are the evidence.
                self._stranger.dialogue(())

    def _stop(self) -> None:
        self._facts["stopped_ns"] = float(time.time_ns())
        mta = self._mta
        mta.expect_end()
        mta.send_signal(signal.SIGTERM)

    def _freeze(self) -> None:
        self._queue.freeze()
        self._facts["read_only"] = float(self._queue.is_read_only)

    def _thaw(self) -> None:
        self._queue.thaw()
        self._facts["read_only_later"] = float(self._queue.is_read_only)

    def _fill(self) -> None:
        self._queue.fill()
        self._facts["free_octets"] = float(self._queue.free_octets)

    def _empty(self) -> None:
        self._queue.empty()
        self._facts["free_octets_later"] = float(self._queue.free_octets)

    def _filled(self) -> None:
        self._facts["quota_octets"] = CAROL_QUOTA
        wait_for_messages(mailbox(self._server, user="carol"), 1, PATIENCE_S)

    def _read_carol(self) -> None:
        self._reader.fetch(1, "carol", CAROL_PASSWORD)


def run(context: Run) -> Outcome:
    """Run one SMTP dialogue per reply code, and decide claim S6."""
    rtt_s = context.parameters["rtt"]
    legs = Legs(rtt_s / 2, rtt_s, rtt_s / 2, BW_MBIT)
    topo = legs.topology(backup="no", accounts_a=AT_SENDER_DOMAIN, accounts_b=AT_RECEIVER_DOMAIN)
    queues: list[Queue] = []
    network = mail_testbed(context, topo, before=lambda host: queues.append(Queue(host)))
    with measured(context, network, legs.paths()) as lab, lab.recording(["alice", "mail-b", "bob"]):
        done = _work(context, Scenarios(lab.bed, queues[0], MTA_ROLE not in context.replacements))
    context.step("judging the packets", 0.9)
    return Outcome(
        claims=(_verdict(read_capture(lab.path), done),),
        comparisons=(),
        fidelity=lab.fidelity(times=False),
        implementations={MTA_ROLE: names_of(context.replacements)[MTA_ROLE]},
        capture=lab.path.name,
    )


def _work(context: Run, scenarios: Scenarios) -> Done:
    done = Done()
    for place, code in enumerate(DIALOGUES):
        context.step(f"the cause of {code}", 0.2 + 0.7 * place / len(DIALOGUES))
        try:
            done.windows[code], done.facts[code] = scenarios.run(code)
        except EmulationError as error:
            done.failures[code] = str(error)
    return done


def _verdict(captured: CaptureFile, done: Done) -> Verdict:
    client, server = (smtp_traffic(captured, one) for one in (AT_ALICE, AT_RECEIVER))
    reading = [one for one in connections(captured.at(AT_BOB)) if one.server.port == POP3_PORT]
    scenarios = {}
    for code, window in done.windows.items():
        span = (window.start_ns, window.end_ns)
        read = tuple(one for one in reading if span[0] <= one.syn.time_ns < span[1])
        scenarios[code] = Scenario(client.between(*span), server.between(*span), read, done.facts[code])
    return decide_reply_causes(scenarios, CHECKS, done.failures)


EXPERIMENT = Experiment(
    name="smtp-replies",
    question="What causes each reply code of an SMTP server?",
    claims=("S6",),
    parameters={"rtt": Parameter("4ms", seconds, "the round-trip time between the two mail servers")},
    run=run,
    repeat=1,
    roles=(MTA_ROLE,),
)
