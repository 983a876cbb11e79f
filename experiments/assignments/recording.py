"""Recording of a student's capture: the assignment's topology in virtual time, its traffic, and one pcapng file.

The kernel's side is `record`, run by experiments.harness.virtual_time.job in a kernel of its own per student; the same
variant gives the same octets of the capture on any machine. `Lab` is what an assignment's `record` function gets.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.assignments.definition import Assignment, find_assignment
from experiments.harness.capture.capture import Capture, CaptureInterface
from experiments.harness.discovery import find_topology
from topologies.emulation.errors import EmulationError
from topologies.emulation.process.interpreter import module_command
from topologies.emulation.testbed import Testbed

CAPTURE_NAME = "trace.pcapng"
COMMAND_TIMEOUT_S = 600.0
# Folder, in the sandbox of the recording, for files that an assignment creates for its services.
FILES = Path("/run/lab7-assignment")


@dataclass(frozen=True)
class Lab:
    """A running network for an assignment's record(): testbed, the variant's values, and a folder for services."""

    bed: Testbed
    variant: Mapping[str, Any]
    files: Path

    def run(self, host: str, command: str | Sequence[str], check: bool = True) -> str:
        """Run a command in a host to completion; return its output. With `check`, raises EmulationError if it fails."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        done = self.bed.host(host).run(words, COMMAND_TIMEOUT_S)
        if check and done.returncode != 0:
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise EmulationError(f"{words[-1]} in {host} exited with {done.returncode}: {last}")
        return done.stdout.decode(errors="replace")

    def run_module(self, host: str, module: str, *words: str, check: bool = True) -> str:
        """Run a module of lab7, such as services.dns.stub, in a host to its end; return its output (see run)."""
        return self.run(host, module_command(module, *words), check)


def record(request: Mapping[str, Any], folder: Path) -> None:
    """Record the capture that a request describes (see `request_of`) into a folder."""
    assignment = find_assignment(request["assignment"])
    variant = request["variant"]
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    prepare = getattr(assignment.module, "prepare", None)
    if prepare is not None:
        prepare(FILES, variant)
    topology = find_topology(assignment.topology)
    parameters = {**request["parameters"], **({"root": str(FILES)} if request.get("serves_files") else {})}
    topo = topology.make(**parameters)
    with Testbed(topo, seed=request["seed"], links="netem", sandboxed=True) as bed:
        interfaces = [_interface(bed, one) for one in assignment.interfaces]
        with Capture(folder / CAPTURE_NAME, interfaces):
            assignment.record(Lab(bed, variant, FILES))


def request_of(assignment: Assignment, name: str, variant: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the JSON request for a recording; `name`: by which the process in the kernel finds the assignment."""
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
