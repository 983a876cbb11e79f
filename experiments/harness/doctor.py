"""What this machine can do for lab7, and how to get what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from topologies.emulation import tools
from topologies.emulation.testbed import congestion_control

TAP = Path("/dev/net/tun")
OPEN_VSWITCH = Path("/sys/module/openvswitch")


@dataclass(frozen=True)
class Finding:
    """One ability: whether it is there, what that means, and how to get it. `needed`: lab7 cannot run without."""

    name: str
    good: bool
    meaning: str
    remedy: str = ""
    needed: bool = True


def examine() -> list[Finding]:
    """Look at this machine; changes nothing."""
    return [_sandbox(), _tap(), _netem(), _open_vswitch(), _congestion(), *_programs(), _python()]


def _sandbox() -> Finding:
    done = subprocess.run(
        [sys.executable, "-m", "topologies.emulation.sandbox", "true"], capture_output=True, text=True, check=False
    )
    who = "as root" if os.geteuid() == 0 else "as an ordinary user, no sudo"
    good = done.returncode == 0
    said = done.stderr.strip().removeprefix("lab7: ")
    return Finding("sandbox", good, f"namespaces can be made {who}", "" if good else said)


def _tap() -> Finding:
    good = TAP.exists() and os.access(TAP, os.R_OK | os.W_OK)
    remedy = "sudo modprobe tun (in a container: run it with --device /dev/net/tun)"
    return Finding("TAP", good, "links in user space can be made", remedy)


def _netem() -> Finding:
    done = subprocess.run(
        [sys.executable, "-m", "topologies.emulation.sandbox", sys.executable, "-m", "topologies.emulation.netem"],
        capture_output=True,
        check=False,
    )
    good = done.returncode == 0
    meaning = "links are shaped by the kernel" if good else "links are carried in user space instead"
    return Finding(
        "netem", good, meaning, "a kernel with sch_netem: apt-get install linux-modules-extra-$(uname -r)", False
    )


def _open_vswitch() -> Finding:
    good = OPEN_VSWITCH.exists() and shutil.which("ovs-vsctl") is not None
    meaning = "switches can be Open vSwitch" if good else "switches are Linux bridges"
    return Finding("Open vSwitch", good, meaning, "sudo apt-get install openvswitch-switch", False)


def _congestion() -> Finding:
    name = congestion_control()
    remedy = "sudo sysctl net.ipv4.tcp_allowed_congestion_control='reno cubic'"
    return Finding("congestion control", name == "cubic", f"{name} in every host", remedy, False)


def _programs() -> list[Finding]:
    findings = []
    for name, package in tools.PACKAGES.items():
        needed = name in tools.NEEDED
        where = shutil.which(name)
        findings.append(Finding(name, where is not None, where or "missing", f"sudo apt-get install {package}", needed))
    return findings


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info >= (3, 11), version, "make setup PYTHON=python3.12")
