"""Command line of a Python process that runs a module of this project without the current directory on its path.

`python -m MODULE` and `python -c CODE` put the current directory in front of the import path: a file `socket.py` there
would shadow the standard library's. Option -P (Python 3.11, "Command line and environment" of its documentation) leaves
the current directory out, for this process only. The variable PYTHONSAFEPATH would be inherited by a student's program
that the process starts, and keep the program from importing modules in its own folder. PYTHONPATH keeps its meaning.

The project's root is appended to the path, for a checkout that is not installed: it shadows nothing.
"""

import sys
from pathlib import Path

import lab7

# The folder of the package lab7: the checkout, or site-packages.
ROOT = Path(lab7.__file__).resolve().parents[1]
# Short forms that `serves=` may have: services.http.origin is the module lab7.services.http.origin.
_SHORT = ("services.", "topologies.", "experiments.")
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def full_name(word: str) -> str:
    """Return the full name of a module of lab7 that is given in its short form (services.x); other words unchanged."""
    return f"{lab7.__name__}.{word}" if word.startswith(_SHORT) else word


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module as `python -m`, without the current directory on the path."""
    return [sys.executable, "-P", "-c", _START, str(ROOT), module, *arguments]
