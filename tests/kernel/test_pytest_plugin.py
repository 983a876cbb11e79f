"""The pytest plugin in virtual time: each test in a kernel of its own, whose clock computation does not move."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.ladder.ladder import ladder_of

# What pytest reads of its cache moves the clock by 32 ns for each reading of it, between two frames by a few.
CLOCK_NS = 1000
HOME = str(Path.home())
VIRTUAL = """
import time
import pytest

@pytest.mark.lab7(topology="web", delay="1s", time="virtual")
def test_an_hour(testbed, capture):
    began_s = time.time()
    time.sleep(1800)
    testbed.host("client").run(["sleep", "1800"])
    assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
    assert 3602 < time.time() - began_s < 3610
    times = [arrow.received_ns - arrow.sent_ns for arrow in capture.ladder().ladder.arrows]
    assert times != times, f"times {times}"

def test_plain():
    assert time.time() > 0
"""


def test_tests_in_virtual_time_have_equal_times_and_keep_their_packets(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test fails on purpose: its report comes out of the kernel, and so do capture and ladder."""
    # pytester has a home of its own, which has no kernel.
    monkeypatch.setenv("HOME", HOME)
    pytester.makepyfile(test_virtual=VIRTUAL)
    runs = []
    for _ in range(2):
        done = pytester.runpytest_subprocess()
        done.assert_outcomes(passed=1, failed=1)
        text = done.stdout.str()
        assert "AssertionError: times [" in text
        (folder,) = re.findall(r"^capture and ladder: (.*)$", text, re.MULTILINE)
        arrows = ladder_of(read_capture(Path(folder, "capture.pcapng"))).arrows
        start_ns = arrows[0].sent_ns
        ends = [(arrow.sent_ns - start_ns, (arrow.received_ns or 0) - start_ns) for arrow in arrows]
        runs.append(([arrow.label for arrow in arrows], [moment for pair in ends for moment in pair]))
    (labels, times), (other_labels, other_times) = runs
    assert labels == other_labels == ["GET /", "200 OK, 500 octets"]
    assert max(abs(one - other) for one, other in zip(times, other_times, strict=True)) <= CLOCK_NS
