"""Test run of a student's server in virtual time: an experiment in which it takes the place of lab7's own server.

Virtual time is the clock of a user-mode Linux kernel, which stands still while programs compute. The function `run` is
called in this kernel (by lab7.experiments.harness.virtual_time.job). The program starts in a copy of the submission,
confined (lab7.topologies.emulation.process.confinement). The experiment sends it test messages, and evaluates the
capture after the network has stopped. If the program exits by itself or never listens, a sentence about that is written
into the file ENDED_NAME. The experiment then continues without the program, so that its earlier packets count.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.harness.driver import Driver, DriverError
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.implementations.registry import parse_replacement, server_starter
from lab7.experiments.harness.runner import run_experiment
from lab7.experiments.harness.virtual_time.job import report_step
from lab7.topologies.emulation.errors import EmulationError, ProgramError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import ServerDied

PROGRAM_NAME, ENDED_NAME = "program", "program.json"
FUNCTION = f"{__name__}:run"
RAW_CLIENT = "lab7.experiments.assignments.programs.peers.raw_client"
# First steps of a trial: a standstill is the program's fault only after the program has been started.
NETWORK, STARTED = "starting the network", "starting the program"
# Pause in seconds between two requests, in which the recorder writes the packets to the host. If the program then
# computes forever at a request, none of its earlier packets are lost.
PAUSE_S = 1.5
# Writing 2 to this file frees the inodes of files that are not open (Documentation/admin-guide/sysctl/vm.rst). This
# closes the file descriptors on the host that hostfs keeps for each file that was opened once.
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def run(request: Mapping[str, Any], folder: Path) -> None:
    """Run an experiment with a student's program, as a JSON request describes it (see `request_of`).

    The results are written into a folder. Raises EmulationError, LabDied.
    """
    assignment = find_program_assignment(request["assignment"])
    _, implementation = parse_replacement(assignment.replacement, (assignment.role,))
    if implementation is None:
        raise EmulationError(f"{assignment.name}: command is not a command line of a program")
    os.chdir(folder / PROGRAM_NAME)
    _step(NETWORK, 0.02)
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
            faults={},
            full=False,
            step=_step,
        )
    except (ProgramError, ServerDied) as error:
        _step("the program has ended", 0.97)
        note_end(folder, str(error))


def _step(what: str, share: float) -> None:
    """Report the progress of a run; first drop the kernel's inode cache, to release files that programs have closed."""
    with suppress(OSError):
        DROP_CACHES.write_text("2\n")
    report_step(what, share)


def request_of(name: str, parameters: Mapping[str, str], seed: int, started: str) -> dict[str, Any]:
    """Return the JSON request for a trial, the run of an experiment with a student's program.

    `name` is the assignment's name or folder, as seen inside the kernel.
    """
    shared = {"assignment": name, "parameters": dict(parameters), "seed": seed, "started": started}
    return {**shared, "kind": "call", "function": FUNCTION}


def note_end(folder: Path, sentence: str) -> None:
    """Write a sentence about the program's early end into the result folder, unless the folder already has one."""
    if not (folder / ENDED_NAME).exists():
        (folder / ENDED_NAME).write_text(json.dumps({"ended": sentence}) + "\n")


def send_all(
    context: Run, client: Driver, requests: Sequence[tuple[str, Mapping[str, object]]], done: float = 0.0
) -> None:
    """Send the requests of (claim, request) pairs through the raw client in turn, and report progress by claim.

    A request that fails raises no error, since the capture shows the failure. done: fraction of the run that is over
    before the first request.
    """
    for number, (claim, request) in enumerate(requests):
        share = done + (1 - done) * number / len(requests)
        context.step(f"{claim}, {number + 1} of {len(requests)}", 0.1 + 0.8 * share)
        with suppress(DriverError):
            client.request(request)
        time.sleep(PAUSE_S)


def restart_subject(bed: Testbed, name: str) -> None:
    """Kill (SIGKILL) and restart the program under test on a host. Raises ProgramError if it does not start."""
    for running in bed.services[name]:
        if isinstance(running, Program):
            running.kill()
    bed.restart(name)


def subject_testbed(
    context: Run, topo: Topo, role: str, hosts: Mapping[str, str], values: Callable[[Host], Mapping[str, Any]]
) -> Testbed:
    """Return the network of an exercise, not yet started; it keeps running if the program under test ends.

    role: the program's role in the experiment; hosts: name of the host of each role; values: function that returns, for
    a host, the values of the variables in the program's command line (see registry.server_starter).
    """
    program = context.replacements.get(role)
    starters = {}
    if program is not None:
        start = server_starter(program, values)

        def announced(host: Host) -> Service | Program:
            context.step(STARTED, 0.05)
            started = start(host)
            context.step("the program listens", 0.1)
            return started

        starters[hosts[role]] = announced
    return Testbed(
        topo,
        seed=context.seed,
        links=context.links,
        sandboxed=context.sandboxed,
        starters=starters,
        server_died=lambda sentence: note_end(context.folder, sentence),
    )
