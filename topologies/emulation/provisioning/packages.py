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
    """A program (or file, or Python module) that lab7 uses: its group, its Debian package, its purpose for lab7."""

    group: str
    name: str
    package: str
    purpose: str


@cache
def programs() -> tuple[Program, ...]:
    """Return all programs in packages.txt, in its order."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    rows = [line.split(maxsplit=3) for line in lines if line.strip() and not line.startswith("#")]
    return tuple(Program(*row) for row in rows)


def of_groups(*groups: str) -> list[Program]:
    """Return the programs of these groups, in the order of packages.txt."""
    return [program for program in programs() if program.group in groups]


def package_of(name: str) -> str:
    """Return the Debian package of a program; the program's own name if packages.txt does not have it."""
    return next((program.package for program in programs() if program.name == name), name)
