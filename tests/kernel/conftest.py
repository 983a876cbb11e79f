"""The kernels for all tests of this folder; a test waits for its job in one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.emulation.virtual import kernel
from tests.kernel.kernel import Lane
from tests.skipping import skip_at_once

# Set by `make test-kernel`, which builds the kernel first.
ASKED_FOR = "LAB7_KERNEL"
HERE = Path(__file__).parent
LAB7 = [sys.executable, "-m", "lab7.experiments.harness.cli"]
# A results folder of `lab7 run --time virtual` with all experiments, in place of a run of the tests' own.
GIVEN = "LAB7_RESULTS"
WITHIN_S = 3600.0


def why_not() -> str:
    """Why there is no kernel for these tests now; empty if there is."""
    if not os.environ.get(ASKED_FOR):
        return "netem, Open vSwitch and virtual time are tested in a kernel of their own: make test-kernel"
    if reason := kernel.unsupported():
        return reason
    return "" if kernel.find() else f"the kernel of virtual time is not built: {kernel.BUILD_HINT}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is no kernel, say so once for all of them. Tests that need no job of the kernels come first: the jobs
    run meanwhile."""
    skip_at_once(config, items, lambda item: item.path.is_relative_to(HERE), why_not())
    items.sort(key=needs_lane)


def needs_lane(item: pytest.Item) -> bool:
    """Whether a test waits for a job of the kernels."""
    return "lane" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """The kernels, from their start to their end."""
    with Lane(tmp_path_factory.mktemp("kernel")) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def lane_from_the_start(request: pytest.FixtureRequest) -> None:
    """Start the kernels before the first test if any test waits for their jobs."""
    if not why_not() and any(needs_lane(item) for item in request.session.items):
        request.getfixturevalue("lane")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The latest run of each experiment in virtual time."""
    results = Path(os.environ.get(GIVEN) or tmp_path_factory.mktemp("virtual") / "results")
    if GIVEN not in os.environ:
        words = [*LAB7, "run", "--time", "virtual", "--seed", "1", "--results", str(results)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [max(folder.iterdir(), key=lambda run: run.name) for folder in sorted(results.iterdir()) if folder.is_dir()]
