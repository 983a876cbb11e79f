"""Command line of a Python process that runs a module of this project without the current directory on its path.

`python -m MODULE` and `python -c CODE` put the current directory in front of the import path: a file `socket.py` there
would shadow the standard library's. Option -P (Python 3.11, "Command line and environment" of its documentation) leaves
it out, for that process alone: a student's program that it starts imports modules beside it, which the inherited
variable PYTHONSAFEPATH would forbid. PYTHONPATH keeps its meaning.

The project's root is appended to the path, for a checkout that is not installed: it shadows nothing.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module as `python -m`, without the current directory on the path."""
    return [sys.executable, "-P", "-c", _START, str(ROOT), module, *arguments]
