"""Alignment of virtual time: the moment until which a process waits."""

from __future__ import annotations

import time

import pytest

from lab7.topologies.emulation.virtual.alignment import STEP_NS, align, next_step_ns


@pytest.mark.parametrize(
    ("now_ns", "moment_ns"),
    [
        (0, STEP_NS),
        (1, STEP_NS),
        (STEP_NS - 1, STEP_NS),
        # A moment that is a full step is over: the process may have computed since.
        (STEP_NS, 2 * STEP_NS),
        (1_000_000_407_096, 1_000_010_000_000),
    ],
)
def test_a_process_waits_for_the_next_full_step(now_ns: int, moment_ns: int) -> None:
    assert next_step_ns(now_ns) == moment_ns


def test_in_real_time_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: pytest.fail("the clock was read"))
    align({})
