"""Measurement setup of an experiment: running network, check of its delays and rates, packet capture, load monitor.

    with measured(context, topo, [EmulatedPath("client", "server", "10.0.0.2", rtt_s)]) as lab:    # measures the path
        client = lab.bed.host("client").start(COMMAND)      # words of a client's command line
        with lab.recording(["client", "server"]):           # captures at both hosts, monitors load
            windows = lab.watch.samples(load)               # calls load(); again if it was disturbed
    captured = lab.read_capture()
    return Outcome(..., fidelity=lab.fidelity(), capture=lab.path.name)

`context` is the experiment's input (Run), `topo` its topology, and `lab.bed` the running network. `load` performs one
measurement and returns its Window, the time span of a page load or session on the capture's clock; a failed measurement
raises `LoadFailedError`. A measurement is disturbed if other programs on the machine have delayed it. The fidelity
certificate has the checks of the network and of the load.

The order is fixed: the network starts, its paths are measured, clients start, and only then the monitor and capture. An
experiment with several networks passes one `Evidence` to all of them, so that one certificate covers the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mininet.topo import Topo

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.faults import add_faults
from lab7.experiments.harness.fidelity.certificate import (
    EmulatedPath,
    MachineWatch,
    capture_checks,
    certificate,
    probe_path,
)
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.results.result import Check, Fidelity
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Starter, Testbed

CAPTURE_NAME = "capture.pcapng"
# Share of a run's progress that is reported before the paths are measured.
PROBING = 0.05


@dataclass(frozen=True)
class Window:
    """Time span of one page load or session in ns, by the clock of the capture (CLOCK_REALTIME)."""

    start_ns: int
    end_ns: int


class LoadFailedError(Exception):
    """Failure of a client's page load or transfer, with the client's message; `window` is its time span."""

    def __init__(self, message: str, window: Window | None = None) -> None:
        super().__init__(message)
        self.window = window


@dataclass
class Evidence:
    """Data for a run's fidelity certificate: checks of the emulated network so far, and the monitor of machine load."""

    checks: list[Check] = field(default_factory=list)
    watch: MachineWatch = field(default_factory=MachineWatch)

    def probe(self, bed: Testbed, paths: Iterable[EmulatedPath]) -> None:
        """Measure delay, rate and loss of paths in a running network, and add a check of each to `checks`."""
        for path in paths:
            self.checks += probe_path(bed, path)

    def fidelity(self, *, times: bool = True) -> Fidelity:
        """Return the fidelity certificate: checks of the emulated network and of disturbances by other load.

        Pass `times=False` if the experiment compares no times.
        """
        return certificate([*self.checks, *self.watch.checks(times)])


@dataclass
class Lab:
    """Running network of an experiment, with its machine monitor and captures; `path` is the latest capture file."""

    context: Run
    bed: Testbed
    evidence: Evidence
    path: Path

    @property
    def watch(self) -> MachineWatch:
        """Return the monitor of delays that other load on the machine adds to measurements."""
        return self.evidence.watch

    @contextmanager
    def recording(
        self, interfaces: Sequence[str | CaptureInterface], name: str = CAPTURE_NAME, label: str = ""
    ) -> Iterator[None]:
        """Capture at these interfaces into the file `name`, and monitor the machine, during a `with` block.

        `interfaces`: see `capture_at`. `label` identifies the capture in a certificate over several captures.
        """
        self.path = self.context.folder / name
        with self.watch, capture_at(self.bed, self.path, interfaces) as capture:
            yield
        counts = {f"{each} ({label})" if label else each: count for each, count in capture.statistics.items()}
        self.evidence.checks += capture_checks(counts)

    def read_capture(self) -> CaptureFile:
        """Read and return the latest capture, and register its hosts' processing intervals with the machine monitor."""
        return self.watch.read_capture(self.path, self.bed.topo)

    def fidelity(self, *, times: bool = True) -> Fidelity:
        """Return the fidelity certificate: checks of the emulated network and of disturbances by other load.

        Pass `times=False` if the experiment compares no times.
        """
        return self.evidence.fidelity(times=times)


@contextmanager
def measured(
    context: Run,
    network: AbstractContextManager[Testbed] | Topo,
    paths: Iterable[EmulatedPath] = (),
    evidence: Evidence | None = None,
    progress: float | None = PROBING,
) -> Iterator[Lab]:
    """Start a network, measure the delay, rate and loss of its paths, and yield the running network as a Lab.

    The network is stopped at the end of the `with` block. `evidence`: the Evidence of the run's earlier networks.
    `progress`: share of the run that is reported as completed before the measurement; None reports nothing.
    """
    evidence = evidence or Evidence()
    with make_testbed(context, network) if isinstance(network, Topo) else network as bed:
        if progress is not None:
            context.step("measuring the paths", progress)
        evidence.probe(bed, paths)
        yield Lab(context, bed, evidence, context.folder / CAPTURE_NAME)


class NetworkSettings(Protocol):
    """Settings of an emulated network that `Run` and `MatrixRun` have in common."""

    @property
    def seed(self) -> int:
        """Return the seed of the links' random loss and jitter."""

    @property
    def links(self) -> str:
        """Return the kind of link emulation: auto, netem (kernel) or wire (user space)."""

    @property
    def sandboxed(self) -> bool:
        """Return True if the network runs in new Linux namespaces."""


def make_testbed(context: NetworkSettings, topo: Topo, starters: Mapping[str, Starter] | None = None) -> Testbed:
    """Return the emulated network of a topology; `starters` maps a host to a function that starts the host's server."""
    if isinstance(context, Run) and context.faults:
        # Without replacements, the functions in `starters` start lab7's own services, to which faults can be added.
        add_faults(topo, context.faults, (starters or ()) if context.replacements else ())
    kept = {host: _keeping(one, context) for host, one in (starters or {}).items()}
    return Testbed(topo, seed=context.seed, links=context.links, sandboxed=context.sandboxed, starters=kept)


def _keeping(starter: Starter, context: NetworkSettings) -> Starter:
    """Wrap a function that starts a server, so that the server's output is kept in the run's result folder."""
    if not isinstance(context, Run):
        return starter

    def start(host: Host) -> Service | Program:
        host.output_folder = context.folder
        return starter(host)

    return start


def first_interface(host: str) -> str:
    """Return the label of a host's first interface in captures, HOST:HOST-eth0."""
    return f"{host}:{host}-eth0"


def capture_at(bed: Testbed, path: Path, interfaces: Sequence[str | CaptureInterface]) -> Capture:
    """Return a capture, not yet started, at `interfaces`; a host's name stands for the host's first interface."""
    return Capture(path, [each if not isinstance(each, str) else _interface(bed, each) for each in interfaces])


def _interface(bed: Testbed, host: str) -> CaptureInterface:
    return CaptureInterface(first_interface(host), bed.host(host).namespace_pid, f"{host}-eth0")


@contextmanager
def site_folder(context: Run) -> Iterator[Path]:
    """Yield an empty temporary folder for the files that an origin server delivers."""
    folder = Path("/run") / f"site-{context.folder.name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
