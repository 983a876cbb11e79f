"""Experiment harness: runs of experiments, packet capture, verdicts on claims, predicted times, results and reports.

The names that an experiment needs can be imported from this package:

    from lab7.experiments.harness import EmulatedPath, Experiment, Outcome, Parameter, Run, measured, seconds

Each name is imported from its module at its first use (PEP 562), so that a driver process (a client program on a host),
which needs only `serve`, starts without scapy and Mininet. Type checkers read the same names in __init__.pyi.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Name of a module -> public names of this package that the module defines.
MODULES: dict[str, tuple[str, ...]] = {
    "lab7.experiments.harness.experiment": (
        "Experiment",
        "Outcome",
        "Parameter",
        "ParameterError",
        "Run",
    ),
    "lab7.experiments.harness.parameters": (
        "choices",
        "factor",
        "listed",
        "megabits",
        "one_of",
        "per_second",
        "seconds",
        "share",
        "whole",
    ),
    "lab7.experiments.harness.claims": ("Claim",),
    "lab7.experiments.harness.judge.verdict": (
        "Contradiction",
        "Verdict",
        "failed",
        "shown",
        "timed",
        "undecided",
    ),
    "lab7.experiments.harness.judge.frames": (
        "CaptureFile",
        "Connection",
        "Frame",
        "connections",
        "read_capture",
    ),
    "lab7.experiments.harness.results.result": (
        "Check",
        "Comparison",
        "Fidelity",
        "Timing",
    ),
    "lab7.experiments.harness.theory.tcp": ("Theory",),
    "lab7.experiments.harness.clock": ("tolerance",),
    "lab7.experiments.harness.pathmodel.replay": (
        "Sample",
        "terms_of",
    ),
    "lab7.experiments.harness.fidelity.certificate": (
        "EmulatedPath",
        "MachineWatch",
        "capture_checks",
        "certificate",
        "probe_path",
    ),
    "lab7.experiments.harness.capture.capture": (
        "Capture",
        "CaptureInterface",
    ),
    "lab7.experiments.harness.capture.pcapng": ("CaptureReadError",),
    "lab7.experiments.harness.measurement": (
        "Evidence",
        "Lab",
        "LoadFailedError",
        "Window",
        "capture_at",
        "first_interface",
        "make_testbed",
        "measured",
        "site_folder",
    ),
    "lab7.experiments.harness.driver": (
        "Driver",
        "DriverError",
        "run_command",
    ),
    "lab7.experiments.harness.driver_process": (
        "RequestError",
        "serve",
    ),
    "lab7.experiments.harness.matrix": (
        "Cell",
        "Column",
        "Matrix",
        "MatrixRun",
        "Place",
    ),
    "lab7.experiments.harness.report.line_plots": (
        "Panel",
        "Series",
        "plot_lines",
    ),
    "lab7.topologies.emulation.errors": ("EmulationError",),
    "lab7.topologies.emulation.testbed": ("Testbed",),
}
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its module at the first use. Raises AttributeError for a name not in MODULES."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names of the package, including names that are not imported yet."""
    return sorted({*globals(), *_MODULE_OF})
