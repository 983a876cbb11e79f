"""Common settings of the tests; those of the emulation run in sandboxes, by lab7's pytest plugin.

A testbed works inside namespaces of its own, of which each process of `pytest -n` has some, so that networks of two
processes may have equal names. Where the machine refuses them, tests of the emulation are skipped and all others run.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from lab7.experiments.harness.judge import layers
from lab7.topologies.emulation import tools

TESTS = Path(__file__).resolve().parent
SANDBOXED = TESTS / "emulation"
# Tests that need a program look for it where lab7 does.
tools.search_system_folders()

# What is tested, in this process and in those that tests start, has the machine's clock unless a test asks otherwise:
# the default would depend on whether the kernel of virtual time happens to be built.
os.environ.setdefault("LAB7_TIME", "real")

# Workers of pytest-xdist have a width of 80 columns; output that is not to a terminal has the same width everywhere.
os.environ.pop("COLUMNS", None)

# How fast a machine draws examples is no property of lab7: neither a deadline nor a slow start fails a test.
settings.register_profile("lab7", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lab7")

# Collection makes millions of objects that stay until the end: no garbage collection scans them, then or during a test.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what the collection has made out of all later garbage collections."""
    gc.freeze()
    gc.enable()


def pytest_sessionstart() -> None:
    """Keep scapy from asking the network for MAC addresses of packets that tests build without them."""
    from scapy.config import conf

    for layer in (layers.IP, layers.IPv6):
        conf.neighbor.register_l3(layers.Ether, layer, lambda _frame, _packet: "ff:ff:ff:ff:ff:ff")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Distribute whole files, whose tests share servers, in the order of collection, which ends with short files."""
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the emulation as tests of the plugin, which runs them in a sandbox."""
    for item in items:
        if item.path.is_relative_to(SANDBOXED):
            item.add_marker(pytest.mark.lab7)
