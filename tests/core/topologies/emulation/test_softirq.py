"""ksoftirqd threads: found by name, and inherited by a sandbox as descriptors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.emulation.process import softirq


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for number, name in ((16, "ksoftirqd/0"), (23, "ksoftirqd/1"), (40, "kswapd0")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
        (tmp_path / str(number) / "schedstat").write_text(f"5 {number} 1\n")
    (tmp_path / "17").mkdir()  # a process that has ended
    monkeypatch.setattr(softirq, "PROC", tmp_path)
    monkeypatch.delenv(softirq.VARIABLE, raising=False)
    softirq.schedstats.cache_clear()
    yield tmp_path
    softirq.schedstats.cache_clear()


@pytest.mark.usefixtures("proc")
def test_the_threads_are_found_by_their_name() -> None:
    assert [softirq.waited_ns(one) for one in softirq.schedstats()] == [16, 23]


def test_what_is_passed_on_is_read_where_the_processes_are_others(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    softirq.share_descriptors()
    monkeypatch.setattr(softirq, "PROC", proc / "none")
    descriptors = softirq.schedstats()
    assert [softirq.waited_ns(one) for one in descriptors] == [16, 23]
    assert not any(os.get_inheritable(one) for one in descriptors)
    assert softirq.VARIABLE not in os.environ


def test_a_descriptor_that_is_something_else_is_left_out(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = os.open(proc / "40" / "comm", os.O_RDONLY)
    monkeypatch.setenv(softirq.VARIABLE, f"{file} 987654")
    assert softirq.schedstats() == []
