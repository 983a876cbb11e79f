"""Installation command of a Python package that lab7 uses only if it is installed, such as `cryptography`.

The command installs the package into the Python environment in which lab7 itself runs (pipx, uv, or a virtual
environment).
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def how_to_install(package: str) -> str:
    """Return the command line that installs a Python package into the environment of this interpreter.

    A plain `pip` may install into another environment if lab7 was installed by pipx or uv, or if lab7's environment is
    not active.
    """
    parts = Path(sys.prefix).parts
    if parts[-3:-1] == ("pipx", "venvs"):
        return f"pipx inject {shlex.quote(parts[-1])} {package}"
    if parts[-3:-1] == ("uv", "tools"):
        return f"uv pip install --python {shlex.quote(sys.executable)} {package}"
    return f"{shlex.quote(sys.executable)} -m pip install {package}"
