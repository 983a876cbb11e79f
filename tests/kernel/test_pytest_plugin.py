"""The pytest plugin in virtual time: each test in a kernel of its own, whose clock computation does not move."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOME = str(Path.home())
VIRTUAL = """
import time
import pytest

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.lab7(topology="web", delay="1s", time="virtual")
def test_an_hour(testbed, capture, number):
    began_s = time.time()
    time.sleep(3600)
    assert testbed.host("client").run(["curl", "-sf", "http://www.example.com/"]).returncode == 0
    assert 3602 < time.time() - began_s < 3610
    times = [arrow.received_ns - arrow.sent_ns for arrow in capture.ladder().ladder.arrows]
    assert times != times, f"times {times}"

def test_plain():
    assert time.time() > 0
"""


def test_tests_in_virtual_time_have_equal_packets_and_keep_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test fails on purpose: its report comes out of the kernel, and so do capture and ladder."""
    # pytester has a home of its own, which has no kernel.
    monkeypatch.setenv("HOME", HOME)
    pytester.makepyfile(test_virtual=VIRTUAL)
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(passed=1, failed=2)
    text = done.stdout.str()
    one, two = re.findall(r"AssertionError: times (\[.*\])$", text, re.MULTILINE)
    assert one == two
    folders = [Path(name) for name in re.findall(r"^capture and ladder: (.*)$", text, re.MULTILINE)]
    captures = [(folder / "capture.pcapng").read_bytes() for folder in folders]
    assert len(captures) == 2
    assert captures[0] == captures[1]
