"""Set-up from nothing takes minutes, root and the network: it is asked for by name."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.skipping import skip_at_once

# Set by `make test-vm`, which installs debootstrap first.
ASKED_FOR = "LAB7_VM"
IN_A_ROOT = ("test_clean_root", "test_installed_wheel", "test_whole_project", "test_gradescope")
IN_A_CONTAINER = ("test_gradescope",)


def why_not() -> str:
    """Why no clean root is made now; empty if one is."""
    if not os.environ.get(ASKED_FOR):
        return "set-up from nothing has a target of its own: make test-vm"
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        return "needs root and the package debootstrap"
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where no clean root is made, say so once for all tests of it."""
    skip_at_once(config, items, lambda item: item.path.stem in IN_A_ROOT, why_not())
    lacking = [name for name in ("podman", "runc") if shutil.which(name) is None]
    why = f"needs the packages {' and '.join(lacking)}" if lacking and not why_not() else ""
    skip_at_once(config, items, lambda item: item.path.stem in IN_A_CONTAINER, why)
