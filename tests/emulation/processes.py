"""Processes of a running lab7, as /proc shows them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process by its id and its start time, which together name it for good; proc(5)."""

    pid: int
    started: str
    parent: int
    state: str

    @classmethod
    def all(cls) -> list[Process]:
        found = (cls.read(int(name)) for name in os.listdir("/proc") if name.isdigit())
        return [process for process in found if process is not None]

    @classmethod
    def read(cls, pid: int) -> Process | None:
        try:
            # The second field is the program's name in brackets, and may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return cls(pid, fields[19], int(fields[1]), fields[0])

    @property
    def lives(self) -> bool:
        now = Process.read(self.pid)
        return now is not None and now.started == self.started and now.state not in "ZX"

    @property
    def name(self) -> str:
        """As ps shows it: a child of the fork server has the name of its module."""
        try:
            return Path(f"/proc/{self.pid}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""

    @property
    def words(self) -> list[str]:
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return []


def namespaces(pid: int) -> set[str]:
    """The namespaces that a process lives in; none of one that is no more."""
    try:
        return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "mnt", "pid", "uts")}
    except OSError:
        return set()


def descendants(pid: int) -> list[Process]:
    every, found = Process.all(), {pid}
    while more := {process.pid for process in every if process.parent in found} - found:
        found |= more
    return [process for process in every if process.pid in found - {pid}]
