"""Run the tests in a sandbox where some of them need one.

A testbed works inside namespaces of its own. So pytest runs itself again in a sandbox, once, before anything is
collected; where the machine refuses that, tests of the emulation are skipped and all others run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from lab7.experiments.harness.judge import layers
from lab7.topologies.emulation import sandbox, tools
from lab7.topologies.emulation.process import control_group, namespaces
from lab7.topologies.emulation.process.interpreter import module_command

TESTS = Path(__file__).resolve().parent
SANDBOXED = TESTS / "emulation"
refusal = pytest.StashKey[str]()
# Tests that need a program look for it where lab7 does.
tools.search_system_folders()

# What is tested, in this process and in those that tests start, has the machine's clock unless a test asks otherwise:
# the default would depend on whether the kernel of virtual time happens to be built.
os.environ.setdefault("LAB7_TIME", "real")

# How fast a machine draws examples is no property of lab7: neither a deadline nor a slow start fails a test.
settings.register_profile("lab7", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lab7")


def _asked_for(config: pytest.Config) -> bool:
    """Whether the command line may collect tests that need a sandbox."""
    here = config.invocation_params.dir
    paths = [(here / str(argument).partition("::")[0]).resolve() for argument in config.args]
    return any(path.is_relative_to(SANDBOXED) or SANDBOXED.is_relative_to(path) for path in paths)


def _why_refused() -> str:
    """Why this machine makes no sandbox, in one line; empty if it does."""
    command = module_command("lab7.topologies.emulation.sandbox", "true")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].removeprefix("lab7: ")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run the same command line in a sandbox and exit as it does, or go on without."""
    if config.option.collectonly or sandbox.inside() or not _asked_for(config):
        return None
    why = _why_refused()
    if why:
        config.stash[refusal] = why
        return None
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    sys.stdout.flush()
    sys.stderr.flush()
    return sandbox.run([sys.executable, *sys.orig_argv[1:]])


def pytest_sessionstart() -> None:
    """Keep scapy from asking the network for MAC addresses of packets that tests build without them."""
    from scapy.config import conf

    for layer in (layers.IP, layers.IPv6):
        conf.neighbor.register_l3(layers.Ether, layer, lambda _frame, _packet: "ff:ff:ff:ff:ff:ff")


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of `pytest -n` a network namespace, so that networks of two processes may have equal names."""
    if not hasattr(config, "workerinput") or not sandbox.inside():
        return
    namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
    groups = control_group.machine_groups()
    namespaces.mount("tmpfs", "/run", "tmpfs", data="mode=755")
    # Some containers do not permit mounting /sys, whose class/net then shows another namespace's interfaces.
    with contextlib.suppress(OSError):
        namespaces.mount("sysfs", "/sys", "sysfs")
    Path("/run/netns").mkdir()
    control_group.bind(groups)
    tools.batch("ip", ["link set dev lo up"])
    os.environ[sandbox.MARK] = os.readlink("/proc/self/ns/net")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Distribute whole files, whose tests share servers, in the order of collection, which ends with short files."""
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here, and say why."""
    why = config.stash.get(refusal, "")
    if not why:
        return
    for item in items:
        if item.path.is_relative_to(SANDBOXED):
            item.add_marker(pytest.mark.skip(reason=f"needs a sandbox: {why}"))
