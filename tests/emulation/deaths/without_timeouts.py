"""The command `lab7` with time-outs of ten minutes: an end that comes at once has waited for none of them.

A program, not a module: `python -P without_timeouts.py run http-keep-alive`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import lab7.experiments.harness
import lab7.topologies.emulation
from lab7.experiments.harness.cli import main

TIMEOUT_S = 600.0
# These run when they are imported.
PROGRAMS = ("__main__",)


def lengthen() -> list[str]:
    """Set every time-out of the emulation and of the harness; return their names."""
    for package in (lab7.topologies.emulation, lab7.experiments.harness):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(PROGRAMS):
                importlib.import_module(module.name)
    names = []
    for module_name, loaded in list(sys.modules.items()):
        if module_name.startswith(("topologies.", "experiments.")):
            for name in [name for name in vars(loaded) if name.endswith("TIMEOUT_S")]:
                setattr(loaded, name, TIMEOUT_S)
                names.append(f"{module_name}.{name}")
    return names


if __name__ == "__main__":
    lengthen()
    main()
