"""Holder of a host's Linux namespaces: open files of the namespaces, and a process in them that represents the host.

The process can become the host's service. The open files keep the namespaces in existence after the process has ended.
The next use of `pid` then starts another process in the namespaces. Sources: namespaces(7), proc_pid_ns(5).
"""

import os
from collections.abc import Sequence
from pathlib import Path

from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.process.launcher import ForkServer, Service, start_service
from lab7.topologies.emulation.watch import HOLDER

HOST_PROCESS = "lab7.topologies.emulation.process.host_process"


class Holder:
    """Holder of the namespaces of one host, and of the process that represents the host; wait_ready() waits for both.

    arguments: see host_process; workdir: the host's folder.
    """

    def __init__(self, forkserver: ForkServer, host: str, arguments: Sequence[str], workdir: Path) -> None:
        self._forkserver = forkserver
        self._host = host
        self._workdir = workdir
        self._kept: list[int] = []
        self.process = self._started(arguments, ())
        self._is_free = True

    def _started(self, arguments: Sequence[str], files: Sequence[str]) -> Service:
        process = start_service(
            self._forkserver,
            [HOST_PROCESS, *arguments],
            cwd=self._workdir,
            name="host",
            namespaces=files,
            called=f"the process of host {self._host}'s namespaces ({HOST_PROCESS})",
            rank=HOLDER,
            host=self._host,
        )
        process.lasts = True
        return process

    def wait_ready(self) -> None:
        """Wait until the namespaces exist. Raises EmulationError with the reason if they cannot be created."""
        if not self._kept:
            self.process.wait_ready()
            self._kept = [os.open(file, os.O_RDONLY) for file in namespaces.files_of(self.process.pid)]

    @property
    def pid(self) -> int:
        """Return the process id of the process that represents the host; start one if it has ended."""
        self.wait_ready()
        if self.process.has_ended():
            self.process.stop()
            self.process = self._started((), self.files())
            self.process.wait_ready()
            self._is_free = True
        return self.process.pid

    def files(self) -> list[str]:
        """Return paths of the open namespace files of the host, which are valid as long as this object exists."""
        self.wait_ready()
        return [f"/proc/{os.getpid()}/fd/{descriptor}" for descriptor in self._kept]

    def become(self, words: Sequence[str], errors: Path, name: str) -> Service | None:
        """Make the process that represents the host a service of the host, and return the service.

        Returns None if the process is a service already. words: command line of the service; errors: file for its
        standard error; name: its description for messages.
        """
        assert self.pid
        if not self._is_free:
            return None
        self._is_free = False
        self.process.become(words, errors, name)
        return self.process

    def release(self) -> None:
        """Kill the process that represents the host; the namespaces end with their last process."""
        self.process.kill()
        self.process.stop()
        kept, self._kept = self._kept, []
        for descriptor in kept:
            os.close(descriptor)
