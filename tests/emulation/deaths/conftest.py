"""Runs that a test starts, and the latencies of their ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulation.deaths.running_lab import Latencies, Run, finish, start_run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """A function that starts `lab7 run WORDS`."""
    started: list[Run] = []

    def begin(*words: str) -> Run:
        started.append(start_run(*words, cwd=tmp_path))
        return started[-1]

    yield begin
    for run in started:
        finish(run)


@pytest.fixture(scope="module")
def latencies(request: pytest.FixtureRequest) -> Iterator[Latencies]:
    """The latencies of a module's ends, printed after its last test: no test depends on them."""
    found = Latencies()
    yield found
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if found.ends and reporter is not None:
        load = "load {:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
        for line in ("", f"{request.module.__name__}, {load}", *found.table()):
            reporter.write_line(line)
