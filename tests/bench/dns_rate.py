"""The rate of a name server: by dnsperf where it is installed, else by this folder's own load generator."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.dns_load import HOST


def measure_rate(
    port: int, seconds: float, core: int, questions: Path, under_way: int, recursion_desired: bool = False
) -> float:
    """Return answers a second, the load on one core; `questions` is a file as dnsperf reads it."""
    if shutil.which("dnsperf") is None:
        values = [str(value) for value in (port, seconds, under_way, core)]
        command = [sys.executable, "-m", "tests.bench.dns_load", *values, *(["rd"] if recursion_desired else [])]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    command = ["taskset", "-c", str(core), "dnsperf", "-s", HOST, "-p", str(port), "-d", os.fspath(questions)]
    command += ["-l", str(round(seconds)), "-c", "8", "-q", str(under_way)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Queries per second:\s+([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"dnsperf said no rate:\n{said}")
    return float(found.group(1))
