"""Recording of a student's capture: an assignment's topology and traffic in virtual time, captured into a pcapng file.

The function `record` runs in a user-mode Linux kernel, one per student (lab7.experiments.harness.virtual_time.job). Its
clock is virtual time: it stands still while programs compute, and jumps to the next timer while all wait. The same
parameters therefore give the same octets of the capture on any machine. To produce the traffic, `record` calls the
function of the same name in the assignment's module with a `Lab`: the running network and the student's parameters.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.experiments.assignments.definition import Assignment, find_assignment
from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.discovery import find_topology
from lab7.experiments.harness.fidelity.certificate import capture_checks, certificate
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.testbed import Testbed

CAPTURE_NAME, CERTIFICATE_NAME = "trace.pcapng", "certificate.json"
COMMAND_TIMEOUT_S = 600.0
# Folder, in the sandbox of the recording, for files that an assignment creates for its services.
FILES = Path("/run/lab7-assignment")


@dataclass(frozen=True)
class Lab:
    """Running network for an assignment's record(): testbed, the student's parameters, and a folder for files."""

    bed: Testbed
    variant: Mapping[str, Any]
    files: Path

    def run(self, host: str, command: str | Sequence[str], check: bool = True) -> str:
        """Run a command on a host to completion; return its output. With `check`, raises EmulationError if it fails."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        done = self.bed.host(host).run(words, COMMAND_TIMEOUT_S)
        if check and done.returncode != 0:
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise EmulationError(f"{words[-1]} in {host} exited with {done.returncode}: {last}")
        return done.stdout.decode(errors="replace")

    def run_module(self, host: str, module: str, *words: str, check: bool = True) -> str:
        """Run a Python module of lab7, such as lab7.services.dns.stub, on a host; return its output (see run)."""
        return self.run(host, module_command(module, *words), check)


def record(request: Mapping[str, Any], folder: Path) -> None:
    """Record the capture of a student's network into a folder, as a JSON request describes it (see `request_of`).

    The emulation's fidelity certificate is written as well: for each interface, it has a check that no packets were
    dropped. Raises EmulationError, also if such a check fails: no answer keys must be computed from that capture.
    """
    assignment = find_assignment(request["assignment"])
    variant = request["variant"]
    topo = make_topology(assignment, request, FILES)
    with Testbed(topo, seed=request["seed"], links="netem", sandboxed=True) as bed:
        with Capture(folder / CAPTURE_NAME, interfaces_of(assignment, bed)) as capture:
            assignment.record(Lab(bed, variant, FILES))
        found = certificate(capture_checks(capture.statistics))
    if found.verdict != "valid":
        wrong = next(check for check in found.checks if check.verdict != "valid")
        raise EmulationError(f"{wrong.name}: {wrong.measured}: record it again")
    about = {"clock": asdict(clock.current()), "fidelity": asdict(found)}
    (folder / CERTIFICATE_NAME).write_text(json.dumps(about, indent=2) + "\n")


def make_topology(assignment: Assignment, request: Mapping[str, Any], files: Path) -> Topo:
    """Write the files that an assignment's services need into an empty folder; return the assignment's topology."""
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    prepare = getattr(assignment.module, "prepare", None)
    if prepare is not None:
        prepare(files, request["variant"])
    parameters = {**request["parameters"], **({"root": str(files)} if request.get("serves_files") else {})}
    return find_topology(assignment.topology).make(**parameters)


def interfaces_of(assignment: Assignment, bed: Testbed) -> list[CaptureInterface]:
    """Return the interfaces at which an assignment's traffic is captured."""
    return [_interface(bed, one) for one in assignment.interfaces]


def request_of(assignment: Assignment, name: str, variant: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the JSON request for a recording; `name` is the assignment's name, or its folder as seen in the kernel."""
    parameters = {**assignment.parameters, **variant.get("parameters", {})}
    request = {
        "assignment": name,
        "variant": dict(variant),
        "parameters": parameters,
        "seed": seed,
        "serves_files": hasattr(assignment.module, "prepare"),
    }
    try:
        json.dumps(request)
    except TypeError as error:
        raise EmulationError(f"the variant of {assignment.name} has a value that JSON has not: {error}") from error
    return request


def _interface(bed: Testbed, label: str) -> CaptureInterface:
    host, _, interface = label.partition(":")
    return CaptureInterface(host, bed.host(host).namespace_pid, interface or f"{host}-eth0")
