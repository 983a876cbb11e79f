"""The topologies are ordinary Mininet: its own command starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulation.support import PATIENCE_S, REPOSITORY, environment

MN = Path(sys.executable).with_name("mn")


def test_mn_starts_the_web_and_everybody_reaches_everybody() -> None:
    # As root of the machine only: Mininet sets kernel parameters that a user namespace does not have.
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root")
    words = [str(MN), "--custom", "topologies/web.py", "--topo", "web", "--switch", "lxbr", "--test", "pingall"]
    done = subprocess.run(
        [sys.executable, "-m", "lab7.topologies.emulation.sandbox", *words],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0% dropped (2/2 received)" in done.stdout + done.stderr
