"""Nodes of a network, without a network."""

from __future__ import annotations

from lab7.topologies.emulation.node import run_timeout_s
from lab7.topologies.emulation.virtual import alignment


def test_the_time_limit_of_a_program_is_longer_where_waiting_takes_no_time() -> None:
    assert run_timeout_s({}) == 60
    assert run_timeout_s({alignment.VARIABLE: "1"}) == 24 * 3600
