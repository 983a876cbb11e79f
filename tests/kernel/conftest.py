"""The kernels for all tests of this folder; a test waits for its job in one of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.kernel import PROGRAM, Lane, cannot_boot
from tests.skipping import skip_at_once

# Set by `make test-kernel`, which installs the kernel first.
ASKED_FOR = "LAB7_KERNEL"
HERE = Path(__file__).parent


def why_not() -> str:
    """Why there is no kernel for these tests now; empty if there is."""
    if not os.environ.get(ASKED_FOR):
        return "netem and Open vSwitch are tested in a kernel of their own: make test-kernel"
    if shutil.which(PROGRAM) is None:
        return "needs the package user-mode-linux (Debian on x86), which `make test-kernel` installs where there is one"
    return cannot_boot()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is no kernel, say so once for all of them."""
    skip_at_once(config, items, lambda item: item.path.is_relative_to(HERE), why_not())


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """The kernels, from their start to their end."""
    with Lane(tmp_path_factory.mktemp("kernel")) as running:
        yield running
