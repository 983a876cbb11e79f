"""A link whose rate a trace gives: frames leave at its opportunities, and an invalid trace is one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab7.topologies.emulation.errors import TopologyError
from tests.emulation.support import SERVER, pair

PERIOD_MS, FRAMES = 150, 6


def test_frames_leave_at_the_opportunities_of_the_trace(tmp_path: Path) -> None:
    """Each echo request and each reply needs an opportunity of its own, however busy the machine is."""
    path = tmp_path / "slow.trace"
    path.write_text(f"{PERIOD_MS}\n")
    with pair(trace=str(path)) as bed:
        began_s = time.monotonic()
        words = ["ping", "-c", str(FRAMES), "-i", "0.01", "-W", "20", "-s", "1470", SERVER]
        done = bed.host("client").run(words)
        took_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stdout
    assert f"{FRAMES} received" in done.stdout.decode()
    assert took_s >= (FRAMES - 1) * PERIOD_MS / 1e3


def test_an_invalid_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.trace"
    path.write_text("3\n2\n")
    with pytest.raises(TopologyError, match="line 2 is 2, before the 3"), pair(trace=str(path)):
        pass
