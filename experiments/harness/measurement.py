"""Measurement context of an experiment: testbed, path probes, machine watch, capture and fidelity certificate.

    with measured(context, topo, [EmulatedPath("client", "server", "10.0.0.2", rtt_s)]) as lab:
        client = lab.bed.host("client").start(COMMAND)      # before the capture starts
        with lab.recording(["client", "server"]):           # machine watch and capture
            windows = lab.watch.samples(load)
    captured = lab.read_capture()
    return Outcome(..., fidelity=lab.fidelity(), capture=lab.path.name)

The order is fixed: the network starts, its paths are probed, clients start, and only then the watch and the capture. An
experiment with several networks passes one `Evidence` to all of them, so that one certificate covers the run. A
`Window` is the time span of a load, on the capture's clock; clients raise `LoadFailedError`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mininet.topo import Topo

from experiments.harness.capture.capture import Capture, CaptureInterface
from experiments.harness.experiment import Run
from experiments.harness.fidelity.certificate import (
    EmulatedPath,
    MachineWatch,
    capture_checks,
    certificate,
    probe_path,
)
from experiments.harness.judge.frames import CaptureFile
from experiments.harness.results.result import Check, Fidelity
from topologies.emulation.testbed import Starter, Testbed

CAPTURE_NAME = "capture.pcapng"
# Share of a run's progress that is reported when the paths have been probed.
PROBING = 0.05


@dataclass(frozen=True)
class Window:
    """The start and the end of a load, on the capture's clock (CLOCK_REALTIME) in nanoseconds."""

    start_ns: int
    end_ns: int


class LoadFailedError(Exception):
    """A client could not load a page; the message is the client's own, `window` is the time of the attempt."""

    def __init__(self, message: str, window: Window | None = None) -> None:
        super().__init__(message)
        self.window = window


@dataclass
class Evidence:
    """Evidence of a run's fidelity: the checks so far, and the monitor of the machine."""

    checks: list[Check] = field(default_factory=list)
    watch: MachineWatch = field(default_factory=MachineWatch)

    def probe(self, bed: Testbed, paths: Iterable[EmulatedPath]) -> None:
        """Measure emulated paths of a running network."""
        for path in paths:
            self.checks += probe_path(bed, path)

    def fidelity(self, *, times: bool = True) -> Fidelity:
        """Return the certificate of the run; `times` False: the experiment compares no time (see MachineWatch)."""
        return certificate([*self.checks, *self.watch.checks(times)])


@dataclass
class Lab:
    """A running network that is measured: `path` is the file of its latest capture."""

    context: Run
    bed: Testbed
    evidence: Evidence
    path: Path

    @property
    def watch(self) -> MachineWatch:
        """The monitor of the machine."""
        return self.evidence.watch

    @contextmanager
    def recording(
        self, interfaces: Sequence[str | CaptureInterface], name: str = CAPTURE_NAME, label: str = ""
    ) -> Iterator[None]:
        """Capture at these interfaces into the file `name`, and watch the machine meanwhile.

        `interfaces`: see `capture_at`. `label` identifies the capture in a certificate over several networks.
        """
        self.path = self.context.folder / name
        with self.watch, capture_at(self.bed, self.path, interfaces) as capture:
            yield
        counts = {f"{each} ({label})" if label else each: count for each, count in capture.statistics.items()}
        self.evidence.checks += capture_checks(counts)

    def read_capture(self) -> CaptureFile:
        """Read the capture, and extract the turns of the hosts for the watch."""
        return self.watch.read_capture(self.path, self.bed.topo)

    def fidelity(self, *, times: bool = True) -> Fidelity:
        """Return the certificate of the run; see Evidence."""
        return self.evidence.fidelity(times=times)


@contextmanager
def measured(
    context: Run,
    network: AbstractContextManager[Testbed] | Topo,
    paths: Iterable[EmulatedPath] = (),
    evidence: Evidence | None = None,
    progress: float | None = PROBING,
) -> Iterator[Lab]:
    """Start a network, probe its paths, and yield it; it is stopped afterwards.

    `evidence`: of the run's earlier networks; `progress`: the share of the run to report after the probes, or None.
    """
    evidence = evidence or Evidence()
    with make_testbed(context, network) if isinstance(network, Topo) else network as bed:
        if progress is not None:
            context.step("measuring the paths", progress)
        evidence.probe(bed, paths)
        yield Lab(context, bed, evidence, context.folder / CAPTURE_NAME)


class NetworkSettings(Protocol):
    """The settings of a network that `Run` and `MatrixRun` have in common."""

    @property
    def seed(self) -> int:
        """Seed of the links' random effects."""

    @property
    def links(self) -> str:
        """Kind of links: auto, netem or wire."""

    @property
    def sandboxed(self) -> bool:
        """True if the network runs in a sandbox."""


def make_testbed(context: NetworkSettings, topo: Topo, starters: Mapping[str, Starter] | None = None) -> Testbed:
    """Return the testbed of a topology with the run's seed and links; `starters` replace the services of hosts."""
    return Testbed(
        topo, seed=context.seed, links=context.links, sandboxed=context.sandboxed, starters=dict(starters or {})
    )


def first_interface(host: str) -> str:
    """Return the label of a host's first interface in captures."""
    return f"{host}:{host}-eth0"


def capture_at(bed: Testbed, path: Path, interfaces: Sequence[str | CaptureInterface]) -> Capture:
    """Return a capture at these interfaces; the name of a host means its first interface."""
    return Capture(path, [each if not isinstance(each, str) else _interface(bed, each) for each in interfaces])


def _interface(bed: Testbed, host: str) -> CaptureInterface:
    return CaptureInterface(first_interface(host), bed.host(host).namespace_pid, f"{host}-eth0")


@contextmanager
def site_folder(context: Run) -> Iterator[Path]:
    """Yield an empty folder for an origin to serve; it is removed afterwards."""
    folder = Path("/run") / f"site-{context.folder.name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
