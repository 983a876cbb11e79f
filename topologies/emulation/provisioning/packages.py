"""List of the system packages that lab7 uses (packages.txt): program, Debian package, and purpose.

The list is read by the script packages.sh, too, which installs the packages.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
LIST, SCRIPT = FOLDER / "packages.txt", FOLDER / "packages.sh"
NEEDED, NETWORK, USEFUL, PEERS, VIRTUAL = "needed", "network", "useful", "peers", "virtual"


@dataclass(frozen=True)
class Program:
    """A line of the list: program (or file, or Python module), group, Debian package, purpose for lab7."""

    group: str
    name: str
    package: str
    purpose: str


@cache
def programs() -> tuple[Program, ...]:
    """Return all programs of the list, in its order."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    rows = [line.split(maxsplit=3) for line in lines if line.strip() and not line.startswith("#")]
    return tuple(Program(*row) for row in rows)


def of_groups(*groups: str) -> list[Program]:
    """Return the programs of the given groups, in the order of the list."""
    return [program for program in programs() if program.group in groups]


def package_of(name: str) -> str:
    """Return the package of a program; the program's own name if the list does not have it."""
    return next((program.package for program in programs() if program.name == name), name)
