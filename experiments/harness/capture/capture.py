"""Packet capture on several interfaces, in several network namespaces, into one pcapng file.

    interfaces = [CaptureInterface("client:client-eth0", client.pid, "client-eth0")]
    with Capture(folder / "capture.pcapng", interfaces) as capture:
        ...                                   # the experiment runs here
    capture.statistics["client:client-eth0"]  # InterfaceCounts(packets=412, dropped=0)

The body of the `with` statement begins once every socket is bound; the statement ends once all packets sent so far are
in the file. Another process (`recorder`) reads the sockets, so that a busy experiment and the reading do not delay each
other. Time stamps are the kernel's (CLOCK_REALTIME, nanoseconds), so that all interfaces share one clock with
`time.time_ns()`.

Required are CAP_NET_RAW and CAP_SYS_ADMIN in the user namespace that owns each network namespace: root has both, and so
has the owner of that user namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.capture.recorder import salvage
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.virtual.alignment import align
from lab7.topologies.emulation.watch import Watch, Watched, current, how_it_ended, interrupts_deferred, last_line

MODULE = "lab7.experiments.harness.capture.recorder"
NAME = f"the capturing process ({MODULE})"
STOP_TIMEOUT_S = 3.0


class CaptureError(EmulationError):
    """The capture failed to start or to finish."""


@dataclass(frozen=True)
class CaptureInterface:
    """Network interface to capture on: label in the capture file, network namespace, and name in that namespace.

    `namespace`: the id of a process in the namespace, or the path of a namespace file (`/run/netns/NAME`;
    `/proc/self/fd/N` for an open descriptor).
    """

    label: str
    namespace: int | str | Path
    ifname: str

    @property
    def namespace_path(self) -> str:
        """Return the path of the namespace file, such as /proc/PID/ns/net."""
        return f"/proc/{self.namespace}/ns/net" if isinstance(self.namespace, int) else str(self.namespace)


class Capture:
    """Packet capture on several interfaces into one pcapng file; use as a context manager, or call start() and stop().

    If the body of the `with` statement raises, the capture file is still completed, since it shows the failure. If the
    recorder process dies, the capture file is made of the packets recorded until then. Within a testbed, the process
    monitor of the testbed watches the recorder.
    """

    def __init__(self, path: Path, interfaces: Sequence[CaptureInterface]) -> None:
        labels = [interface.label for interface in interfaces]
        if not labels or len(set(labels)) != len(labels):
            raise ValueError("a capture needs at least one interface, each with a different label")
        self.path = path
        self.interfaces = tuple(interfaces)
        self.statistics: dict[str, InterfaceCounts] = {}
        self._process: subprocess.Popen[str] | None = None
        self._pidfd = -1
        self._ready = False
        self._watch: Watch | None = None

    def start(self) -> None:
        """Start the recorder process, and return when all sockets are bound. Raises CaptureError on a failure.

        In virtual time, it returns at the next multiple of 10 ms of the clock, so that the later times of a run do not
        depend on the duration of the start.
        """
        if self._process is not None:
            raise CaptureError("this capture has been started already")
        descriptors: list[int] = []
        try:
            for interface in self.interfaces:
                descriptors.append(os.open(interface.namespace_path, os.O_RDONLY | os.O_CLOEXEC))
            self._spawn(descriptors)
            self._send(json.dumps(self._order(descriptors)))
        except OSError as error:
            raise CaptureError(f"cannot open a network namespace to capture in: {error}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        try:
            self._receive("ready")
            self._ready = True
        except BaseException:
            self._abandon()
            raise
        align()

    def stop(self) -> dict[str, InterfaceCounts]:
        """Read all packets sent so far, write the capture file, and return interface label -> packet counts."""
        if self._process is None:
            raise CaptureError("this capture was never started")
        if not self.statistics:
            # Defer Ctrl-C until the packets are in the file; the wait ends at the latest when the recorder exits.
            with interrupts_deferred():
                try:
                    self._send("stop")
                    counts: dict[str, dict[str, int]] = self._receive("statistics")
                    self.statistics = {label: InterfaceCounts(**count) for label, count in counts.items()}
                except CaptureError:
                    salvage(self.path)
                    raise
                finally:
                    self._abandon()
        return self.statistics

    def __enter__(self) -> Capture:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _order(self, descriptors: list[int]) -> dict[str, Any]:
        named = zip(self.interfaces, descriptors, strict=True)
        return {
            "target": str(self.path.resolve()),
            "interfaces": [
                {"label": interface.label, "ifname": interface.ifname, "namespace_fd": descriptor}
                for interface, descriptor in named
            ],
        }

    def _spawn(self, descriptors: list[int]) -> None:
        # Start a new interpreter rather than fork: a child must not inherit sockets, pipes and held locks.
        with interrupts_deferred():
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the process
            self._process = subprocess.Popen(
                module_command(MODULE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                pass_fds=descriptors,
            )
            self._pidfd = os.pidfd_open(self._process.pid)
            self._watched = Watched(
                self._pidfd, self._process.pid, NAME, self._process.poll, self._last_output, self._is_death
            )
            self._watch = current()
            if self._watch is not None:
                self._watch.add(self._watched)

    def _is_death(self, code: int) -> bool:
        """Return True if a recorder's exit code is a failure that ends the run.

        Before the recorder is ready, only termination by a signal counts; afterwards, any code other than 0.
        """
        return code != 0 if self._ready else code < 0

    def _last_output(self) -> str:
        """Return the last line of the recorder's standard error, or an empty text."""
        return last_line(Path(f"/proc/self/fd/{self._errors.fileno()}"))

    def _send(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._dead() from None

    def _receive(self, key: str) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._dead()
        answer: dict[str, Any] = json.loads(line)
        if key not in answer:
            raise CaptureError(answer.get("error", f"{NAME} wrote {line!r}"))
        return answer[key]

    def _dead(self) -> CaptureError:
        assert self._process is not None
        output = self._last_output()
        return CaptureError(f"{NAME} {how_it_ended(self._process.wait())}{f': {output}' if output else ''}")

    def _abandon(self) -> None:
        """Kill a recorder that still runs, and close the pipes to it; idempotent."""
        if self._process is None or self._pidfd < 0:
            return
        pidfd, self._pidfd = self._pidfd, -1
        if self._watch is not None:
            self._watch.remove(self._watched)
        for stream in (self._process.stdin, self._process.stdout):
            # Ignore BrokenPipeError, which closing the pipe to a dead recorder raises for buffered data.
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(pidfd)
