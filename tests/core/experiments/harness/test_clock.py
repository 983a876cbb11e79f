"""Tolerance of a comparison: an experiment's own by the machine's clock, the same for all by a virtual one."""

from __future__ import annotations

import pytest

from lab7.experiments.harness.clock import VARIABLE, VIRTUAL_TOLERANCE, Clock, tolerance


def test_in_virtual_time_one_tolerance_holds_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    virtual = Clock("virtual", "6.1", "abc")
    assert tolerance(0.05, Clock()) == 0.05
    assert tolerance(0.05, virtual) == tolerance(0.8, virtual) == VIRTUAL_TOLERANCE == 0.003
    monkeypatch.delenv(VARIABLE, raising=False)
    assert tolerance(0.05) == 0.05
    monkeypatch.setenv(VARIABLE, virtual.to_text())
    assert tolerance(0.05) == VIRTUAL_TOLERANCE
