"""Diagnosis of a machine: the capabilities that lab7 needs or can use, with a remedy for each missing one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.testbed import congestion_control
from lab7.topologies.emulation.virtual import kernel
from lab7.topologies.emulation.wire.tap import TUN_DEVICE, why_no_tap

TAP = Path(TUN_DEVICE)
SANDBOX = "lab7.topologies.emulation.sandbox"
VIRTUAL_TIME = "virtual time"


@dataclass(frozen=True)
class Finding:
    """Result for one capability of the machine: name, availability, purpose in lab7, and a remedy if it is missing.

    `needed`: lab7 cannot run without it. `real_alone`: it is required for real time only, not for virtual time.
    """

    name: str
    good: bool
    meaning: str
    remedy: str = ""
    needed: bool = True
    real_alone: bool = False


class Ability(Enum):
    """Ability of a machine to run lab7, as a sentence: fully, in virtual time only, or not at all."""

    ALL = "lab7 can run on this machine."
    VIRTUAL_ALONE = (
        "lab7 can run on this machine in virtual time only: `lab7 run`, `lab7 matrix` and `lab7 exec` with "
        "--time virtual; for real time see the lines in red."
    )
    NONE = "lab7 cannot run on this machine: see the lines in red, or run `lab7 doctor --fix`."


def ability(findings: Sequence[Finding]) -> Ability:
    """Return the Ability that follows from the results for the machine's capabilities."""
    lacking = [finding for finding in findings if finding.needed and not finding.good]
    if not lacking:
        return Ability.ALL
    virtual = any(finding.name == VIRTUAL_TIME and finding.good for finding in findings)
    return Ability.VIRTUAL_ALONE if virtual and all(finding.real_alone for finding in lacking) else Ability.NONE


def examine() -> list[Finding]:
    """Check all capabilities of this machine, without changing anything; return the findings in report order."""
    return [_sandbox(), _tap(), _netem(), _open_vswitch(), _virtual_time(), _congestion(), *_programs(), _python()]


def _sandbox() -> Finding:
    completed = subprocess.run(module_command(SANDBOX, "true"), capture_output=True, text=True, check=False)
    rights = "as root" if os.geteuid() == 0 else "as an ordinary user, no sudo"
    good = completed.returncode == 0
    message = completed.stderr.strip().removeprefix("lab7: ")
    return Finding("sandbox", good, f"namespaces can be created {rights}", "" if good else message, real_alone=True)


def _tap() -> Finding:
    good, remedy = True, ""
    try:
        os.close(os.open(TAP, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        good, remedy = False, why_no_tap(error)
    meaning = "links in user space are available" if good else "links in user space are not available"
    return Finding("TAP", good, meaning, remedy, real_alone=True)


def _in_sandbox(*command: str) -> bool:
    """Return True if a command succeeds in new Linux namespaces, where the kernel loads modules on demand."""
    return subprocess.run(module_command(SANDBOX, *command), capture_output=True, check=False).returncode == 0


def _netem() -> Finding:
    good = _in_sandbox(*module_command("lab7.topologies.emulation.links.netem"))
    meaning = "links are emulated by the kernel" if good else "links are emulated in user space instead"
    return Finding(
        "netem", good, meaning, "a kernel with sch_netem: apt-get install linux-modules-extra-$(uname -r)", False
    )


def _open_vswitch() -> Finding:
    # ovs-dpctl(8) fails without Open vSwitch's kernel module, since the command queries the kernel's data paths.
    good = tools.which("ovs-vsctl") is not None and _in_sandbox("ovs-dpctl", "dump-dps")
    meaning = "switches can be Open vSwitch" if good else "switches are Linux bridges"
    remedy = "sudo apt-get install openvswitch-switch, and a kernel with openvswitch: linux-modules-extra-$(uname -r)"
    return Finding("Open vSwitch", good, meaning, remedy, False)


def _virtual_time() -> Finding:
    found = kernel.find()
    name = VIRTUAL_TIME
    if reason := kernel.unsupported():
        return Finding(name, False, "not available: only real time", reason, False)
    if found is None:
        remedy = "lab7 doctor --fix (builds its kernel once, in a few minutes)"
        return Finding(name, False, "experiments run in real time only", remedy, False)
    return Finding(name, True, f"lab7 run --time virtual: kernel {found.version}, {found.program}", "", False)


def _congestion() -> Finding:
    name = congestion_control()
    remedy = "sudo sysctl net.ipv4.tcp_allowed_congestion_control='reno cubic'"
    return Finding("congestion control", name == "cubic", f"{name} in every host", remedy, False)


def _programs() -> list[Finding]:
    findings = []
    for one in packages.of_groups(packages.NEEDED, packages.NETWORK, packages.USEFUL):
        where = tools.which(one.name)
        needed = one.group == packages.NEEDED
        meaning = where or f"missing: {one.purpose}"
        findings.append(Finding(one.name, where is not None, meaning, f"sudo apt-get install {one.package}", needed))
    return findings


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer, and lab7 for it")
