"""Trial of a program: the assignment's experiment with the student's program in its role, in a kernel of virtual time.

The kernel's side is `run`, called by experiments.harness.virtual_time.job. The program starts in a copy of the
submission, confined (topologies.emulation.process.confinement), and the experiment decides its claims after the
network has stopped. The program's end, if it ends by itself or never listens, is the sentence in ENDED_NAME; the
experiment continues without it, so that what it did before counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from experiments.assignments.programs.definition import find_program_assignment
from experiments.harness.experiment import Run
from experiments.harness.implementations.registry import parse_replacement, server_starter
from experiments.harness.runner import run_experiment
from experiments.harness.virtual_time.job import report_step
from topologies.emulation.errors import EmulationError, ProgramError
from topologies.emulation.node import Host
from topologies.emulation.testbed import Testbed
from topologies.emulation.watch import ServerDied

PROGRAM_NAME, ENDED_NAME = "program", "program.json"
FUNCTION = f"{__name__}:run"
# Step that is reported once the network and the program's role are to start; an end before it is no fault of a program.
STARTED = "starting the program"


def run(request: Mapping[str, Any], folder: Path) -> None:
    """Run the trial of a request (see `request_of`) into a folder. Raises EmulationError, LabDied."""
    assignment = find_program_assignment(request["assignment"])
    _, implementation = parse_replacement(assignment.replacement, (assignment.role,))
    if implementation is None:
        raise EmulationError(f"{assignment.name}: command is no command line of a program")
    os.chdir(folder / PROGRAM_NAME)
    report_step(STARTED, 0.05)
    try:
        run_experiment(
            assignment.experiment,
            request["parameters"],
            results=folder,
            folder=folder,
            started=datetime.fromisoformat(request["started"]),
            seed=request["seed"],
            repeat=1,
            links="netem",
            sandboxed=True,
            replacements={assignment.role: implementation},
            full=False,
            step=report_step,
        )
    except (ProgramError, ServerDied) as error:
        note_end(folder, str(error))


def request_of(name: str, parameters: Mapping[str, str], seed: int, started: str) -> dict[str, Any]:
    """Return the request of a trial; `name` is how the assignment is found again in the kernel."""
    shared = {"assignment": name, "parameters": dict(parameters), "seed": seed, "started": started}
    return {**shared, "kind": "call", "function": FUNCTION}


def note_end(folder: Path, sentence: str) -> None:
    """Write the first end of a program into the result folder."""
    if not (folder / ENDED_NAME).exists():
        (folder / ENDED_NAME).write_text(json.dumps({"ended": sentence}) + "\n")


def subject_testbed(
    context: Run, topo: Topo, role: str, hosts: Mapping[str, str], values: Callable[[Host], Mapping[str, Any]]
) -> Testbed:
    """Return the network of an exercise, which outlives the program in `role`; `hosts`: the host of each role.

    values: the variables of the program's command line (see registry.server_starter).
    """
    program = context.replacements.get(role)
    return Testbed(
        topo,
        seed=context.seed,
        links=context.links,
        sandboxed=context.sandboxed,
        starters={} if program is None else {hosts[role]: server_starter(program, values)},
        server_died=lambda sentence: note_end(context.folder, sentence),
    )
