"""Calls of network tools (ip, tc, bridge) in a network namespace; an error of the tool is raised as an exception."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable

from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.watch import LabDied, how_it_ended

# Folders of tc, brctl and many servers, which are not in the PATH of Debian's ordinary users (login.defs(5)).
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_FAILED_LINE = re.compile(r"Command failed -:(\d+)")
# Name -> program to run in its place: another one is mounted over the installed program (links.traffic_control).
PROGRAMS: dict[str, str] = {}
NEEDED = tuple(program.name for program in packages.of_groups(packages.NEEDED))


def search_system_folders() -> None:
    """Append SYSTEM_FOLDERS, the folders of system tools, to the PATH of this process and its children."""
    os.environ["PATH"] = _search_path()


def _search_path() -> str:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*folders, *(folder for folder in SYSTEM_FOLDERS if folder not in folders)])


def which(name: str, *more: str) -> str | None:
    """Return the path of a program in PATH, SYSTEM_FOLDERS or the folders `more`; None if it is not installed."""
    return shutil.which(name, path=os.pathsep.join([_search_path(), *more]))


def require(*names: str) -> None:
    """Raise MachineError, with the package to install, for the first of these programs that is not installed."""
    for name in names:
        if which(name) is None:
            raise MachineError(
                f"the program {name} is missing: run `lab7 doctor --fix`, or `sudo apt-get install "
                f"{packages.package_of(name)}`"
            )


def batch(tool: str, lines: Iterable[str], pid: int = 0, *, all_of_them: bool = False) -> None:
    """Run several commands in one process of `ip`, `tc` or `bridge`.

    pid: process in whose network namespace the tool runs (0: this one's). The tool stops at the first error, unless
    all_of_them is True. Raises EmulationError with the tool's first error message, and LabDied if a signal killed the
    tool.
    """
    text = "\n".join(lines)
    if not text:
        return
    completed = _run([tool, *(["-force"] if all_of_them else []), "-batch", "-"], pid, text + "\n")
    if completed.returncode < 0 and not all_of_them:
        raise LabDied(f"the program {tool} {how_it_ended(completed.returncode)}: {text.splitlines()[0]}")
    if completed.returncode != 0:
        complaint = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        reason = complaint[0] if complaint else f"exit code {completed.returncode}"
        # `ip`, `tc` and `bridge` report the line number of the batch at which they stopped.
        refused = _FAILED_LINE.search(completed.stderr)
        line = text.splitlines()[int(refused[1]) - 1 if refused else 0]
        raise EmulationError(f"`{tool}` refused a command ({reason}): {line}")


def output(words: list[str], pid: int = 0) -> str:
    """Return what a tool prints in the network namespace of a process (0: this one's). Raises EmulationError."""
    completed = _run(words, pid)
    if completed.returncode != 0:
        reason = (completed.stderr.strip() or f"exit code {completed.returncode}").splitlines()[0]
        raise EmulationError(f"`{' '.join(words)}` failed: {reason}")
    return completed.stdout


def _run(words: list[str], pid: int, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool in the network namespace of a process, by setns(2) instead of nsenter, which would double the cost."""
    try:
        with namespaces.within_network(pid):
            return subprocess.run(
                [PROGRAMS.get(words[0], words[0]), *words[1:]], input=text, capture_output=True, text=True, check=False
            )
    except OSError as error:
        raise EmulationError(f"`{words[0]}` could not be run for process {pid} ({error.strerror})") from error
