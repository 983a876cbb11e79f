"""Mininet's CPULimitedHost: a host whose processes are limited in CPU time (`cpu`), or to some processors (`cores`).

`cpu` is a fraction of the CPU time of all processors: cpu=.5 on two processors is the CPU time of one. `cores` are the
processors on which the host's processes may run. Left out: real-time scheduling (sched='rt'), which kernels of today's
distributions do not offer to control groups.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mininet.log import info
from mininet.util import numCores

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.control_group import ControlGroup
from lab7.topologies.emulation.process.launcher import Service

PERIOD_US = 100_000
# Minimum quota that the kernel accepts, in us.
LEAST_QUOTA_US = 1000
# Parameters of CPULimitedHost.cgroupGet(), with their names in cgroups version 1 -> index in ControlGroup.limits().
PARAMETERS: Mapping[str, int] = {"cfs_period_us": 0, "cfs_quota_us": 1}


class LimitedHost(Host):
    """A host whose CPU time can be limited by a control group; the first limit creates the group."""

    def __init__(self, name: str, sched: str = "cfs", **params: Any) -> None:
        self._group: ControlGroup | None = None
        self._cores: list[int] = []
        self.sched = sched
        self.period_us = int(params.get("period_us", PERIOD_US))
        super().__init__(name, **params)

    def config(  # type: ignore[override]
        self, cpu: float | None = -1, cores: Any = None, **params: Any
    ) -> dict[str, Any]:
        """Configure the host and its limits, as CPULimitedHost.config of Mininet does."""
        result = super().config(**params)
        if cpu is not None and cpu != -1:
            self.setCPUFrac(cpu)
        if cores is not None:
            self.setCPUs(cores)
        return result

    def setCPUFrac(self, f: float, sched: str | None = None) -> None:  # noqa: N802
        """Limit the CPU time of this host to a fraction of the CPU time of all processors; -1 removes the limit.

        Raises MachineError without control groups.
        """
        if (sched or self.sched) != "cfs":
            raise EmulationError(f"the host {self.name}: sched={sched or self.sched!r} is not supported: use 'cfs'")
        period_us, quota_us = self.cfsInfo(f)[2:]
        if self._group is None:
            self._group = ControlGroup(self.name)
            for pid in (self.namespace_pid, *self._shell_pids()):
                self._group.add(pid)
            for service in self.services:
                self._group.add(service.pid)
        self._group.limit(period_us, quota_us)
        info(f"(cfs {quota_us}/{period_us}us) ")

    def cfsInfo(self, f: float) -> tuple[str, str, int, int]:  # noqa: N802
        """Return the names and values of a control group's period and quota (us) for a fraction `f` of all CPU time.

        The quota is -1, no limit, for a negative fraction.
        """
        period_us, quota_us = self.period_us, int(self.period_us * f * numCores())
        if f > 0 and quota_us < LEAST_QUOTA_US:
            quota_us = LEAST_QUOTA_US
            period_us = int(quota_us / f / numCores())
        return "cfs_period_us", "cfs_quota_us", period_us, quota_us if quota_us >= 0 else -1

    def cgroupGet(self, param: str, resource: str = "cpu") -> int:  # noqa: N802
        """Return the parameter cfs_period_us or cfs_quota_us of the host's control group."""
        if self._group is None or resource != "cpu" or param not in PARAMETERS:
            raise EmulationError(
                f"the host {self.name} has no parameter {resource}.{param} of a control group: set a limit, and read "
                f"cpu.{' or cpu.'.join(PARAMETERS)}"
            )
        return self._group.limits()[PARAMETERS[param]]

    def setCPUs(self, cores: Any, mems: int = 0) -> None:  # noqa: ARG002, N802
        """Restrict the host to processors, given as a number, a list or a text such as '0,1'. Raises EmulationError."""
        self._cores = _numbers(cores)
        try:
            for pid in (self.namespace_pid, *self._shell_pids(), *(service.pid for service in self.services)):
                os.sched_setaffinity(pid, self._cores)
        except OSError as error:
            raise EmulationError(
                f"the host {self.name}: cores={cores!r} has no processor on which lab7 may run ({error.strerror}): "
                f"choose of {sorted(os.sched_getaffinity(0))}"
            ) from error

    def _shell_pids(self) -> list[int]:
        shell = self.__dict__.get("shell")
        return [shell.pid] if shell is not None else []

    def entering(self, cwd: str | None = None) -> list[str]:
        """Return the command prefix that runs a command in this host's control group and namespaces."""
        words = super().entering(cwd)
        if self._cores:
            words = ["taskset", "--cpu-list", ",".join(map(str, self._cores)), *words]
        return [*self._group.joining(), *words] if self._group is not None else words

    def start(self, command: str | Sequence[str], *, wait: bool = True, serves: bool = False) -> Service:
        """Start a service in the host's control group; the arguments are those of Host.start."""
        service = super().start(command, wait=False, serves=serves)
        if self._group is not None:
            self._group.add(service.pid)
        if self._cores:
            os.sched_setaffinity(service.pid, self._cores)
        if wait:
            service.wait_ready()
        return service

    def terminate(self) -> None:
        """Stop the host, and remove its control group."""
        super().terminate()
        if self._group is not None:
            self._group.remove()
            self._group = None


def _numbers(cores: Any) -> list[int]:
    if isinstance(cores, str):
        return [int(number) for number in cores.split(",")]
    return [int(number) for number in cores] if isinstance(cores, list | tuple | set | range) else [int(cores)]
