"""An ordinary container on a clean Debian root: podman with its default capabilities and system call filter."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.provision.root import HANDED_ON

# podman of Debian asks for more open files than a root user without CAP_SYS_RESOURCE may set.
LIMIT = "20000:20000"


@dataclass(frozen=True)
class Container:
    """Runs commands as root in a root file system, which keeps what they write."""

    base: Path

    def run(
        self, *command: str, timeout_s: float, network: bool = False, memory: str = "", settings: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `network`: that of this machine, else none."""
        words = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--log-level", "error", "run", "--rm"]
        words += ["--network", "host" if network else "none"]
        words += [word for name in ("nofile", "nproc") for word in ("--ulimit", f"{name}={LIMIT}")]
        words += ["--memory", memory] if memory else []
        handed_on = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        given = {**(handed_on if network else {}), **settings}
        words += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        return subprocess.run(
            [*words, "--rootfs", str(self.base), *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
