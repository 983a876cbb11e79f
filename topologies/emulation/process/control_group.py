"""Control groups of Linux (cgroups, version 2 or 1), which limit the CPU time of hosts.

A group limits the CPU time of its processes to `quota_us` in every `period_us` (cpu.max in version 2, cpu.cfs_quota_us
in version 1; Documentation/admin-guide/cgroup-v2.rst, scheduler/sched-bwc.rst). In a sandbox (separate Linux namespaces
for the whole network), the machine's groups are mounted at GROUPS, since /sys there is the sandbox's own.

Unlike a namespace, a group does not end with its last process, and has to be removed. If lab7 is killed, the outer
process of its sandbox removes the groups. If the outer process is killed too, empty groups are left over, which the
next start of lab7 removes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.process import namespaces

SYSTEM, GROUPS = Path("/sys/fs/cgroup"), Path("/run/lab7-cgroup")
# File in a sandbox with the folders of its groups, one a line.
CREATED = Path("/run/lab7-created-groups")
PREFIX = "lab7"
# Age in seconds after which an empty group of another lab counts as left over, since a new one is empty for a moment.
LEFT_OVER_S = 60.0
REMOVED_WITHIN_S = 2.0
NEEDED = (
    "limits of processor time (cpu) need the cpu controller of control groups: run lab7 as root, or delegate the "
    "controller to this user, for instance by `systemd-run --user --scope lab7 ...`"
)


class Place(NamedTuple):
    """Folder of the cgroup file system in which this process can create groups; version: version of cgroups, 1 or 2."""

    folder: Path
    version: int


def machine_groups() -> int | None:
    """Open the folder of the machine's control groups before a sandbox covers /sys and /run; None if none exist."""
    for folder in (GROUPS, SYSTEM):
        with suppress(OSError):
            return os.open(folder, os.O_PATH | os.O_DIRECTORY)
    return None


def bind(groups: int | None) -> None:
    """Mount the machine's control groups, opened by machine_groups(), at GROUPS."""
    if groups is not None:
        GROUPS.mkdir()
        with suppress(OSError):
            namespaces.mount(f"/proc/self/fd/{groups}", str(GROUPS), None, namespaces.MS_BIND | namespaces.MS_REC)
        os.close(groups)


def find_place(root: Path | None = None, membership: str | None = None) -> Place:
    """Return the folder in which groups can be created. Raises MachineError if there is none, and in virtual time.

    In virtual time (a simulated clock), programs take no CPU time that could be limited. root: folder of the mounted
    groups; membership: contents of /proc/self/cgroup.
    """
    if "time-travel=" in Path("/proc/cmdline").read_text():
        raise MachineError(
            "limits of processor time (cpu) have no effect in virtual time, in which programs take none: leave them "
            "out, or use --time real"
        )
    root = root or (GROUPS if GROUPS.is_dir() else SYSTEM)
    rows = [row.split(":", 2) for row in (membership or Path("/proc/self/cgroup").read_text()).splitlines()]
    for place in _places(root, [(controllers.split(","), Path(path)) for _, controllers, path in rows]):
        if os.access(place.folder, os.W_OK) and (place.version == 1 or _enabled(place.folder)):
            return place
    raise MachineError(NEEDED)


def _places(root: Path, memberships: list[tuple[list[str], Path]]) -> Iterator[Place]:
    """Yield the folders in which groups may be created, in the order in which they are tried.

    In version 1 this is the group of this process; in version 2 it is the parent of that group, then the root, because
    only the root group may contain both processes and groups with limits.
    """
    for controllers, path in memberships:
        own = path.relative_to("/")
        if "cpu" in controllers:
            for name in (",".join(controllers), "cpu"):
                if (root / name / "cpu.cfs_quota_us").exists() or (root / name / own / "cgroup.procs").exists():
                    yield Place(root / name / own, 1)
                    break
        bases = (root, root / "unified") if controllers == [""] else ()
        for base in bases:
            if (base / "cgroup.controllers").exists():
                yield from (Place(folder, 2) for folder in ((base / own).parent, base) if folder.is_relative_to(base))


def _enabled(folder: Path) -> bool:
    """Enable the cpu controller for new groups in a folder of cgroups version 2.

    Returns False if that is not possible.
    """
    with suppress(OSError):
        if "cpu" not in (folder / "cgroup.controllers").read_text().split():
            return False
        if "cpu" not in (folder / "cgroup.subtree_control").read_text().split():
            (folder / "cgroup.subtree_control").write_text("+cpu")
        return True
    return False


class ControlGroup:
    """The control group of one host, created by the constructor.

    Raises MachineError as find_place() does, and EmulationError for an invalid limit.
    """

    def __init__(self, name: str, place: Place | None = None) -> None:
        folder, self.version = place or find_place()
        remove_left_over(folder)
        self.folder = folder / f"{PREFIX}-{os.stat('/proc/self/ns/net').st_ino}-{name}"
        if GROUPS.is_dir():
            with CREATED.open("a") as file:
                file.write(f"{self.folder}\n")
        try:
            self.folder.mkdir()
        except OSError as error:
            raise MachineError(f"{NEEDED} ({error.strerror})") from error

    @property
    def processes(self) -> Path:
        """File by which a process joins the group: the process writes 0 to it."""
        return self.folder / "cgroup.procs"

    def limit(self, period_us: int, quota_us: int) -> None:
        """Limit the CPU time of the group to quota_us in every period_us; a quota of -1 removes the limit."""
        try:
            if self.version == 2:
                (self.folder / "cpu.max").write_text(f"{quota_us if quota_us > 0 else 'max'} {period_us}")
            else:
                # The quota is removed first, because the kernel checks period and quota against each other.
                for name, value in (("quota", -1), ("period", period_us), ("quota", quota_us)):
                    (self.folder / f"cpu.cfs_{name}_us").write_text(str(value))
        except OSError as error:
            raise EmulationError(
                f"a limit of {quota_us} us of processor time in {period_us} us is not possible ({error.strerror})"
            ) from error

    def limits(self) -> tuple[int, int]:
        """Return (period_us, quota_us) as read from the kernel; the quota is -1 without a limit."""
        if self.version == 2:
            quota, period = (self.folder / "cpu.max").read_text().split()
            return int(period), -1 if quota == "max" else int(quota)
        period, quota = ((self.folder / f"cpu.cfs_{name}_us").read_text() for name in ("period", "quota"))
        return int(period), int(quota)

    def add(self, pid: int) -> None:
        """Move a process into the group, if it still exists."""
        with suppress(ProcessLookupError):
            self.processes.write_text(str(pid))

    def joining(self) -> list[str]:
        """Return the command prefix that joins the group and then executes the command after it."""
        return ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self.processes)]

    def remove(self) -> None:
        """Remove the group after its processes have been stopped; remove_all() removes a group that is still in use."""
        deadline_s = time.monotonic() + REMOVED_WITHIN_S
        while not _removed(self.folder) and time.monotonic() < deadline_s:
            time.sleep(0.01)


def remove_all() -> None:
    """Remove all groups of this sandbox, after its processes have ended."""
    with suppress(OSError):
        for line in CREATED.read_text().splitlines():
            _removed(Path(line))


def remove_left_over(parent: Path) -> None:
    """Remove empty groups of networks that were killed together with the outer process of their sandbox."""
    for folder in parent.glob(f"{PREFIX}-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFT_OVER_S:
                _removed(folder)


def _removed(folder: Path) -> bool:
    """Remove a group; return False if it has processes and cannot be removed."""
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()
