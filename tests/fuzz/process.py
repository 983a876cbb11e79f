"""The process of a fuzzed service: its start, its memory and descriptors, and the faults that its logs show."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.loopback.clients import REPOSITORY

HOST = "127.0.0.1"
# Bounds of waits in seconds, not measurements.
START_S, STOP_S = 30.0, 30.0
# The C library returns freed memory at once, so that the resident memory is what a service holds (mallopt(3)).
RETURNING_MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
# The last line of a traceback: the error and its text.
_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exceeded|Exit|Group|Stop\w*|Cancelled\w*)?(?::.*)?$")
# What makes two faults the same: the text without addresses, numbers and quoted octets.
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?|'[^']*'")


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident memory in octets, and the number of open descriptors."""

    memory_octets: int
    descriptors: int


class Service:
    """A service as a process in `folder`, whose standard error and log are files there."""

    def __init__(self, command: str, folder: Path) -> None:
        self.folder = folder
        self._errors, self._log = folder / "stderr", folder / "events"
        words = [
            sys.executable,
            "-W",
            "default::ResourceWarning",
            "-m",
            *command.split(),
            "--listen",
            HOST,
            "--port",
            "0",
        ]
        environment = {**os.environ, **RETURNING_MEMORY, "PYTHONPATH": str(REPOSITORY)}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*words, "--log", str(self._log)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
                env=environment,
            )
        self._seen = {self._errors: 0, self._log: 0}
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("READY "):
            self.kill()
            raise RuntimeError(f"{command}: no READY, but {line!r} {self._errors.read_text()}")
        addresses = line.split()[2:]
        self.port, self.last_port = (int(address.rpartition(":")[2]) for address in (addresses[0], addresses[-1]))

    @property
    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self._process.poll() is None

    def usage(self) -> Usage:
        """Return what the process holds now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return Usage(int(found[1]) * 1024 if found else 0, len(os.listdir(f"/proc/{self._process.pid}/fd")))

    def new_faults(self) -> dict[str, str]:
        """Return the faults in what the logs have gained since the last call: kind -> text."""
        faults: dict[str, str] = {}
        for path, position in self._seen.items():
            if not path.exists():
                continue
            with path.open("rb") as lines:
                lines.seek(position)
                text = lines.read().decode("utf-8", "replace")
                self._seen[path] = lines.tell()
            if path == self._log:
                found = [line for line in text.splitlines() if '"event": "failed"' in line]
                faults |= {_VARIABLE.sub("#", line.partition('"event"')[2])[:200]: line for line in found}
            else:
                faults |= kinds_of(text)
        return faults

    def stop(self) -> int:
        """Send SIGTERM and return the exit status; raises TimeoutExpired."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        """End the process at once, if it runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def settle(self, usage: Usage, bound_s: float) -> Usage:
        """Wait until the descriptors are no more than in `usage`, for at most `bound_s`; return the last usage."""
        until = time.monotonic() + bound_s
        while True:
            now = self.usage()
            if now.descriptors <= usage.descriptors or time.monotonic() > until:
                return now
            time.sleep(0.1)


def kinds_of(text: str) -> dict[str, str]:
    """Return the faults in lines of standard error, which is silent otherwise: kind -> text.

    A traceback is one fault, with the lines before it; its kind is the last place in the project's code, and the error.
    """
    faults: dict[str, str] = {}
    part: list[str] = []
    in_trace = False
    for line in text.splitlines():
        part.append(line)
        in_trace = in_trace or line.startswith("Traceback")
        if in_trace and _ERROR.match(line):
            faults.setdefault(_kind_of("\n".join(part)), "\n".join(part))
            part, in_trace = [], False
    if part:
        rest = "\n".join(part)
        faults.setdefault(_kind_of(rest), rest)
    return faults


def _kind_of(trace: str) -> str:
    places = re.findall(r'services/([\w/]+\.py)", line \d+, in (\w+)', trace)
    where = f"{':'.join(places[-1])} " if places else ""
    return f"{where}{_VARIABLE.sub('#', trace.splitlines()[-1])}"[:200]
