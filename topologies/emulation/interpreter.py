"""The command line of a Python process that lab7 starts: a module of this project, whatever the current directory holds.

`python -m MODULE` and `python -c CODE` put the current directory in front of the import path, so that a file `socket.py`
where `lab7` is typed would be executed in the place of the standard library's. Option -P (Python 3.11, "Command line
and environment" of its documentation) leaves it out. It holds for that one process: a program of a person's own that it
starts imports what lies beside it, as ever, which the variable PYTHONSAFEPATH would forbid. PYTHONPATH means what it
always means.

The project's root comes last on the path, for a checkout that is not installed: it hides nothing.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str, *arguments: str) -> list[str]:
    """The words that run a module of this project as `python -m` does, without the current directory on its path."""
    return [sys.executable, "-P", "-c", _START, str(ROOT), module, *arguments]
