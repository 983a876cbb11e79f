"""The scripts of docs/examples that start a network, run by the commands of their docstrings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.emulation.support import PATIENCE_S, REPOSITORY, environment, lab7

EXAMPLES = REPOSITORY / "docs" / "examples"
SANDBOX = [sys.executable, "-P", "-m", "lab7.topologies.emulation.sandbox", sys.executable]


def output(script: str) -> str:
    """Run a script in a sandbox to its end; return its standard output."""
    completed = subprocess.run(
        [*SANDBOX, str(EXAMPLES / script)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return completed.stdout


def test_every_echo_request_takes_the_delays_of_the_topology() -> None:
    times_ms = [float(text) for text in re.findall(r"time=(\S+) ms", output("ping.py"))]
    assert len(times_ms) == 5
    # A busy machine adds to a time, but nothing can undercut the delays.
    assert min(times_ms) >= 30.0


def test_the_requests_and_responses_of_a_page_are_printed() -> None:
    text = output("capture_page.py")
    assert re.findall(r"> GET (\S+) HTTP/1.1", text) == ["/", "/style.css", "/ring.png", "/wave.png"]
    assert re.findall(r"< HTTP/1.1 (.*?), (\d+) octets", text) == [
        ("200 OK", str((REPOSITORY / "topologies" / "www" / name).stat().st_size))
        for name in ("index.html", "style.css", "ring.png", "wave.png")
    ]


def test_a_page_load_time_is_printed_beside_theory() -> None:
    text = output("compare_theory.py")
    assert "(n+1) RTT + X, 4 objects" in text
    (measured_ms, theory_ms) = map(float, re.findall(r"total +(\S+) ms +(\S+) ms", text)[0])
    # Five round trips of 40 ms, and about 5,000 octets at 10 Mbit/s.
    assert 200 < theory_ms < 210
    assert measured_ms > theory_ms * 0.99


def test_an_experiment_in_one_file_decides_its_own_claim(tmp_path: Path) -> None:
    completed = lab7("run", str(EXAMPLES / "own_claim.py"), "--json", "--repeat", "2", cwd=tmp_path)
    assert completed.stderr == ""
    (result,) = json.loads(completed.stdout)["results"]
    (claim,) = result["claims"]
    # The verdict depends on times as well, which a busy machine may spoil; the packets do not.
    assert claim["evidence"].startswith("2 SYN, each answered by RST.")
    assert result["fidelity"]["checks"]
