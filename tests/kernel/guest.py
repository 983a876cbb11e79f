"""Inside of the kernel: run the jobs and say of each how it ended. `... guest FINDINGS NAME,NAME`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.kernel.jobs import JOBS, Job


def run(job: Job, findings: Path) -> dict[str, object]:
    """Run a job to its end; its time-out counts as an end with exit code -1."""
    words = shlex.split(job.command.format(findings=findings))
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    streams = {name: findings / f"{job.name}.{name}" for name in ("stdout", "stderr")}
    began_s = time.monotonic()
    with open(streams["stdout"], "wb") as stdout, open(streams["stderr"], "wb") as stderr:
        try:
            code = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                timeout=job.timeout_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    return {"code": code, "took_s": time.monotonic() - began_s}


def _open_to_ordinary_users(*places: Path) -> None:
    """An ordinary user reads the project and its interpreter, wherever they lie; only this kernel sees the change."""
    for place in {each for one in places for each in (one, *one.parents)}:
        place.chmod(place.stat().st_mode | 0o005)


def main(argv: list[str]) -> int:
    """Run these jobs. What is written appears at once and whole, because the host waits for it."""
    findings, names = Path(argv[0]), argv[1].split(",")
    _open_to_ordinary_users(Path.cwd(), Path(sys.executable).resolve())
    for job in map(JOBS.__getitem__, names):
        ended = run(job, findings)
        unfinished = findings / f"{job.name}.unfinished"
        unfinished.write_text(json.dumps(ended))
        unfinished.rename(findings / f"{job.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
