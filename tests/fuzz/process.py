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
# What no log and no standard error may hold: an error that the service did not expect.
_TRACE = re.compile(
    r"Traceback|Exception|never retrieved|never awaited|Task was destroyed|ResourceWarning|Fatal|"
    r'"event": "failed"|^\w*Error\b|Segmentation'
)
# What makes two faults the same: the text without addresses, numbers and quoted octets.
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?|'[^']*'")
_CLOCK_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


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
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
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

    def busy_s(self) -> float:
        """Return the processor time that the process has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _CLOCK_TICKS_S

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
            elif text and _TRACE.search(text):
                for part in _traces(text):
                    faults.setdefault(_kind_of(part), part)
            elif text:
                faults.setdefault(_VARIABLE.sub("#", text)[:200], text)
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


def _traces(text: str) -> list[str]:
    """Return the reports in standard error: each begins with a line that is not indented and is followed by a trace."""
    parts: list[list[str]] = []
    in_trace = False
    for line in text.splitlines():
        if line.startswith("Traceback"):
            if not parts or in_trace:
                parts.append([])
            in_trace = True
        elif not in_trace or (
            not line.startswith(" ") and parts and parts[-1][-1].startswith(("  ", "Traceback")) is False
        ):
            parts.append([])
            in_trace = False
        parts[-1].append(line)
    return ["\n".join(part) for part in parts]


def _kind_of(trace: str) -> str:
    """Return the last place in the project's code, and the error without its variable parts."""
    lines = [line for line in trace.splitlines() if line.strip()]
    places = re.findall(r'services/([\w/]+\.py)", line \d+, in (\w+)', trace)
    errors = [line for line in lines if not line.startswith(" ")]
    where = ":".join(places[-1]) if places else ""
    return f"{where} {_VARIABLE.sub('#', errors[-1] if errors else lines[-1])}"[:200]
