"""Runs of experiments from a Python program or notebook: `lab7 run` in a separate process, and its result as an object.

A network needs Linux namespaces or a kernel of its own, which a running Python process cannot enter without losing the
machine's network. Each run is therefore a process of `lab7 run`, with the same defaults and checks. As there, a run
that other load on the machine disturbed is repeated.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.harness import cli
from lab7.experiments.library.run_result import RunResult, open_run
from lab7.topologies.emulation.process.interpreter import module_command

# Seconds after which a run that was told to stop is killed; stopping a network takes less than one.
STOP_TIMEOUT_S = 10.0


class RunError(RuntimeError):
    """Error of a run that has no result; the message is that of `lab7 run`, `exit_code` its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ArgumentsError(RunError, ValueError):
    """Error for an unknown experiment or parameter, or for an invalid value of a parameter."""


class ProgramNotStartedError(RunError):
    """Error for a program that was to replace one of lab7's services, but did not start."""


def run(
    experiment: str | Path,
    *,
    time: str = "auto",
    seed: int = 1,
    repeat: int | None = None,
    full: bool = False,
    replace: Mapping[str, str] | None = None,
    inject: Mapping[str, str] | None = None,
    links: str = "auto",
    again: int | None = None,
    results: str | Path = "results",
    parameters: Mapping[str, Any] | None = None,
    **more_parameters: Any,
) -> RunResult:
    """Run one experiment by name or file, and return its result. A claim that is not shown is no error.

    Keyword arguments other than those below are parameters of the experiment (`rtt="50ms"`). `parameters`: parameters
    whose name is an argument of this function or a keyword of Python. `time`: "virtual", "real" or "auto". `replace`:
    programs keyed by role, as for --replace. `inject`: faults keyed by host, as for --fault. `again`: maximum number of
    reruns. `results`: folder of the result folders. Raises ArgumentsError, ProgramNotStartedError, RunError.
    """
    given = {**(parameters or {}), **more_parameters}
    words = ["run", str(experiment), "--json", "--seed", str(seed), "--links", links, "--results", str(results)]
    # Leave --time out for `auto`, so that the variable LAB7_TIME takes effect, as on the command line.
    words += ["--time", time] if time != "auto" else []
    words += ["--repeat", str(repeat)] if repeat is not None else []
    words += ["--again", str(again)] if again is not None else []
    words += ["--full"] if full else []
    words += [word for name, value in given.items() for word in ("--set", f"{name}={as_text(value)}")]
    words += [word for role, program in (replace or {}).items() for word in ("--replace", f"{role}={program}")]
    words += [word for host, fault in (inject or {}).items() for word in ("--fault", f"{host}={fault}")]
    code, output, errors = _run_process(module_command(cli.__name__, *words))
    if code in (cli.SHOWN, cli.FAILED) and output.strip():
        (folder,) = json.loads(output)["folders"]
        return open_run(folder)
    raise _error(code, errors)


def as_text(value: Any) -> str:
    """Return a parameter's value as text for the command line; lists become comma-separated, booleans true or false."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(as_text(each) for each in value)
    return str(value)


def _run_process(command: list[str]) -> tuple[int, str, str]:
    """Run a command line to its end, and return (exit code, standard output, standard error).

    On an exception, such as KeyboardInterrupt in a notebook, the run is stopped by a signal, and keeps its captures.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, output, errors


def _error(code: int, errors: str) -> RunError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("Error: ", "lab7: "))]
    message = (marked or lines or [f"the run ended with exit code {code}"])[-1]
    message = message.removeprefix("Error: ").removeprefix("lab7: ")
    kind = {cli.USAGE: ArgumentsError, cli.NOT_STARTED: ProgramNotStartedError}.get(code, RunError)
    return kind(message, code)
