"""The command line of a Python process that lab7 starts, which runs a module of this project.

`python -m MODULE` and `python -c CODE` put the current directory in front of the import path: a file `socket.py` where
`lab7` is typed would be executed in the place of the standard library's. Option -P (Python 3.11, "Command line and
environment" of its documentation) leaves it out. It holds for that process alone: a student's program that it starts
imports what lies beside it, which the variable PYTHONSAFEPATH, once inherited, would forbid. PYTHONPATH means what it
always means.

The project's root comes last on the path, for a checkout that is not installed: it hides nothing.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str, *arguments: str) -> list[str]:
    """The words that run a module of this project as `python -m` does, without the current directory on its path."""
    return [sys.executable, "-P", "-c", _START, str(ROOT), module, *arguments]
