"""Program inside the user-mode Linux kernel of a run in virtual time: runs one experiment, test matrix or function.

In virtual time, the kernel's clock skips idle time. The program is started by kernel_run, as `python -m
lab7.experiments.harness.virtual_time.job`. The request is in the environment; the answer and the progress are files in
the job's folder, which the machine outside of the kernel reads.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from lab7.topologies.emulation.errors import EmulationError, ProgramError, UserFileError
from lab7.topologies.emulation.user_module import explain
from lab7.topologies.emulation.virtual.job import PLACE
from lab7.topologies.emulation.watch import LabDied

REQUEST = "LAB7_REQUEST"
ANSWER, PROGRESS = "answer.json", "progress"
# Mount point of the result folder in the user-mode kernel, the same in every run so that paths do not differ.
RESULT_PLACE = "/run/lab7-result"


def report_step(what: str, share: float) -> None:
    """Append a progress line (text, share from 0 to 1) to a file that the machine outside of the kernel reads.

    The file is opened with O_SYNC, since hostfs would otherwise buffer the line.
    """
    line = json.dumps([what, share]) + "\n"
    descriptor = os.open(f"{PLACE}/{PROGRESS}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def _run(request: dict[str, Any]) -> None:
    from lab7.experiments.harness.discovery import find_experiments
    from lab7.experiments.harness.faults import parse_faults
    from lab7.experiments.harness.implementations.registry import parse_replacement
    from lab7.experiments.harness.runner import run_experiment

    (experiment,) = find_experiments((request["name"],))
    replacements = {}
    for text in request["replace"]:
        role, implementation = parse_replacement(text, experiment.roles)
        if implementation is not None:
            implementation.require()
            replacements[role] = implementation
    run_experiment(
        experiment,
        request["given"],
        results=Path(RESULT_PLACE),
        folder=Path(RESULT_PLACE),
        started=datetime.fromisoformat(request["started"]),
        seed=request["seed"],
        repeat=request["repeat"],
        links="netem",
        sandboxed=True,
        replacements=replacements,
        faults=parse_faults(request["fault"]),
        full=request["full"],
        step=report_step,
        command=request.get("command", ""),
        report=request.get("report", True),
    )


def _matrix(request: dict[str, Any]) -> None:
    from lab7.experiments.harness.discovery import find_matrix
    from lab7.experiments.harness.matrix import run_matrix

    run_matrix(
        find_matrix(request["name"]),
        Path(RESULT_PLACE),
        "netem",
        True,
        report_step,
        folder=Path(RESULT_PLACE),
        started=datetime.fromisoformat(request["started"]),
    )


def _call(request: dict[str, Any]) -> None:
    """Call the function that a job's request names as module:name, with the request and the result folder."""
    module, _, name = request["function"].partition(":")
    getattr(importlib.import_module(module), name)(request, Path(RESULT_PLACE))


KINDS: dict[str, Callable[[dict[str, Any]], None]] = {"run": _run, "matrix": _matrix, "call": _call}


def main() -> int:
    """Execute the job whose request is in the environment, and write the answer file: an error message or null.

    For a program that did not start, the answer also has its command line, exit status and output file.
    """
    request = json.loads(os.environ.pop(REQUEST))
    error, program = None, None
    try:
        KINDS[request["kind"]](request)
    except (click.ClickException, EmulationError, LabDied) as failure:
        error = str(failure)
        if isinstance(failure, ProgramError):
            program = {"command": failure.command, "status": failure.status, "output": str(failure.output)}
    except Exception as failure:
        where = explain(failure)
        if not where:
            raise
        error = str(UserFileError(where))
    Path(PLACE, ANSWER).write_text(json.dumps({"error": error, "program": program}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
