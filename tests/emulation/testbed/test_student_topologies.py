"""Topologies in the styles of courses, started by stock Mininet and by a testbed: the two networks are alike."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import PATIENCE_S, REPOSITORY, environment, lab7
from tests.emulation.testbed import observed_network
from tests.emulation.testbed.student_topologies import topos

FILE = Path(__file__).with_name("student_topologies.py")
# The others take a second or two each, and those with a spanning tree half a minute.
QUICK = ("routers", "link-address", "long-names", "link-parameters", "own-links")


def stock_mininet(name: str) -> dict[str, Any]:
    # As root of the machine only: Mininet sets kernel parameters that a user namespace does not have.
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root")
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "lab7.topologies.emulation.sandbox"),
            *(sys.executable, "-m", observed_network.__name__, name),
        ],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])[name]
    return found


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in topos]
)
def test_the_network_is_that_of_stock_mininet(name: str) -> None:
    with Testbed(topos[name](), links="wire") as bed:
        ours = json.loads(json.dumps(observed_network.describe(bed.net)))
        stock = stock_mininet(name)
        parts = observed_network.parts(bed.net) if stock["members"] else {}
        missing = [
            f"{kind}.{member}"
            for kind, part in parts.items()
            for member in stock["members"][kind]
            if not hasattr(part, member)
        ]
    assert ours == stock["network"]
    assert missing == []


def test_the_file_is_one_for_both_commands(tmp_path: Path) -> None:
    done = lab7("exec", f"{FILE}:router", "h1", "--", "ping", "-c", "1", "-W", "5", "h2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
