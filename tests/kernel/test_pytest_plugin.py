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
    time.sleep(3600)
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
    captures = []
    for _ in range(2):
        done = pytester.runpytest_subprocess()
        done.assert_outcomes(passed=1, failed=1)
        text = done.stdout.str()
        assert "AssertionError: times [" in text
        (folder,) = re.findall(r"^capture and ladder: (.*)$", text, re.MULTILINE)
        arrows = ladder_of(read_capture(Path(folder, "capture.pcapng"))).arrows
        captures.append([(arrow.label, arrow.sent_ns, arrow.received_ns) for arrow in arrows])
    assert (
        [label for label, *_ in captures[0]] == [label for label, *_ in captures[1]] == ["GET /", "200 OK, 500 octets"]
    )
    times = [
        [moment - sent_ns for _, *moments in run for moment in moments] for run in captures for sent_ns in [run[0][1]]
    ]
    assert max(abs(one - other) for one, other in zip(*times, strict=True)) <= CLOCK_NS
