"""Statements "as in stock Mininet" on what a host shows, each decided by running both, with ARP in both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.mininet.hosts import STATEMENTS, HostsTopo, Statement, outputs
from tests.emulation.support import PATIENCE_S, REPOSITORY, environment


@pytest.fixture(scope="module")
def found() -> dict[Statement, tuple[str, str]]:
    """What Mininet and lab7 print."""
    # As root of the machine only: Mininet sets kernel parameters that a user namespace does not have.
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root")
    program = [sys.executable, "-m", "tests.emulation.mininet.hosts"]
    done = subprocess.run(
        [sys.executable, "-m", "lab7.topologies.emulation.sandbox", *program],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Testbed(HostsTopo(), links="wire", arp="dynamic") as bed:
        ours = outputs(bed.net)
    return dict(zip(STATEMENTS, zip(json.loads(done.stdout.splitlines()[-1]), ours, strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: f"{each.host}: {each.command}")
def test_a_host_prints_the_same(statement: Statement, found: dict[Statement, tuple[str, str]]) -> None:
    stock, ours = found[statement]
    assert statement.kept(ours) == statement.kept(stock)
