"""The kernels for all tests of this folder; a test waits for its job in one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.emulation.virtual import kernel
from tests.kernel.kernel import Lane
from tests.skipping import skip_at_once

# Set by `make test-kernel`, which builds the kernel first.
ASKED_FOR = "LAB7_KERNEL"
HERE = Path(__file__).parent


def why_not() -> str:
    """Why there is no kernel for these tests now; empty if there is."""
    if not os.environ.get(ASKED_FOR):
        return "netem, Open vSwitch and virtual time are tested in a kernel of their own: make test-kernel"
    if reason := kernel.unsupported():
        return reason
    return "" if kernel.find() else f"the kernel of virtual time is not built: {kernel.BUILD_HINT}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is no kernel, say so once for all of them."""
    skip_at_once(config, items, lambda item: item.path.is_relative_to(HERE), why_not())


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """The kernels, from their start to their end."""
    with Lane(tmp_path_factory.mktemp("kernel")) as running:
        yield running
