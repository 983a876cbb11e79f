"""Repair of the machine (`lab7 doctor --fix`): installation of packages, access to TAP devices, build of a kernel.

The kernel is a user-mode Linux whose clock skips idle time (virtual time). The packages are those of
lab7.topologies.emulation.provisioning, which scripts/provision.sh installs in a checkout. Left out: security settings
of the machine, such as Ubuntu's restriction of user namespaces; their remedy is printed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.implementations.registry import UNPACKED_ROOT
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual import builder, kernel
from lab7.topologies.emulation.wire.tap import TUN_DEVICE

BUILDER = "lab7.topologies.emulation.virtual.builder"
# Number of the device file (Linux: Documentation/admin-guide/devices.txt).
TUN_MAJOR, TUN_MINOR = 10, 200


@dataclass(frozen=True)
class Step:
    """Step of a repair: description, reasons, command line as text for printing, and as a list of arguments."""

    what: str
    why: tuple[str, ...]
    command: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Plan of a repair: steps in their order, and a sentence about each problem that no step can solve."""

    steps: tuple[Step, ...]
    obstacles: tuple[str, ...]


def make_plan(peers: bool = False, virtual: bool = True) -> Plan:
    """Return the plan of the repair for this machine, without changing anything. Raises MachineError.

    `peers`: include the third-party servers and clients; `virtual`: include the kernel for virtual time.
    """
    found = [_install_packages(peers, virtual), _open_tun()]
    found += [_build_kernel()] if virtual else []
    steps = tuple(one for one in found if isinstance(one, Step))
    return Plan(steps, tuple(one for one in found if isinstance(one, str)))


def carry_out(step: Step) -> bool:
    """Run a step's command on this process's terminal; return True if it succeeded."""
    return subprocess.run(step.words, check=False).returncode == 0


def _install_packages(peers: bool, virtual: bool) -> Step | str | None:
    # The kernel is built from the source package of Debian and Ubuntu, which other distributions lack.
    distribution = tools.which("apt-get") is not None
    options = [f"--{group}" for group, wanted in ((packages.PEERS, peers), (packages.VIRTUAL, virtual)) if wanted]
    options = [word for word in options if distribution or word != f"--{packages.VIRTUAL}"]
    options += ["--exim", UNPACKED_ROOT] if peers and distribution else []
    missing = _missing(options)
    if not missing:
        return None
    names = " ".join(missing)
    if not distribution:
        return f"this is not Debian or Ubuntu: install what these packages of Debian hold by hand: {names}"
    prefix = _root_prefix()
    if prefix is None:
        return (
            f"installing packages needs root, and sudo is missing: ask an administrator for `apt-get install {names}`"
        )
    why = tuple(f"{package}: {', '.join(purposes)}" for package, purposes in missing.items())
    command = shlex.join([*prefix, "apt-get", "install", "--no-install-recommends", *names.split()])
    return Step("install system packages", why, command, ("bash", str(packages.SCRIPT), *options))


def _missing(options: Sequence[str]) -> dict[str, list[str]]:
    """Return the missing system packages: package -> its purposes. Raises MachineError.

    `options`: those of the installation script that select groups of packages, such as `--virtual`.
    """
    if tools.which("bash") is None:
        raise MachineError("the program bash is missing: install it, and run `lab7 doctor --fix` again")
    words = ["bash", str(packages.SCRIPT), "--list", *options]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"the missing packages could not be listed ({done.stderr.strip()})")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        package, _, purpose = line.partition("\t")
        found.setdefault(package, []).append(purpose)
    return found


def _root_prefix() -> list[str] | None:
    """Return the prefix of a command that needs root: empty for root, else `sudo`; None if sudo is missing."""
    if os.geteuid() == 0:
        return []
    return ["sudo"] if tools.which("sudo") else None


def _open_tun() -> Step | str | None:
    """Return the repair step that makes /dev/net/tun accessible; None if the device is accessible already.

    Returns a sentence if the step needs root, which is unavailable.
    """
    why = "TAP devices carry the links of real time"
    if not os.path.exists(TUN_DEVICE):
        folder = os.path.dirname(TUN_DEVICE)
        command = (
            f"modprobe tun; test -e {TUN_DEVICE} || {{ mkdir -p {folder} && "
            f"mknod {TUN_DEVICE} c {TUN_MAJOR} {TUN_MINOR}; }}; chmod 0666 {TUN_DEVICE}"
        )
        what = f"load the kernel's module tun, which makes {TUN_DEVICE}"
    elif not os.access(TUN_DEVICE, os.R_OK | os.W_OK):
        command, what = f"chmod 0666 {TUN_DEVICE}", f"let all users open {TUN_DEVICE}, as Debian does by default"
    else:
        return None
    prefix = _root_prefix()
    if prefix is None:
        return f"{TUN_DEVICE} needs root, and sudo is missing: ask an administrator for `{command}`"
    words = [*prefix, "sh", "-c", command]
    return Step(what, (why,), shlex.join(words), tuple(words))


def _build_kernel() -> Step | str | None:
    if reason := kernel.unsupported():
        return f"no virtual time here: {reason}"
    if kernel.find() is not None:
        return None
    if tools.which("apt-get") is None and not any(builder.SOURCES.glob("linux-source-*.tar.*")):
        return f"no virtual time here: its kernel is built from Debian's {builder.TRIED}.tar.xz in {builder.SOURCES}"
    # Under sudo, build into the shared folder: in root's own cache, the user would not find the kernel.
    shared = ["--shared"] if os.geteuid() == 0 and "SUDO_UID" in os.environ else []
    if not shared and kernel.user_cache() is None:
        return "no virtual time here: this user has no home folder for its kernel; set XDG_CACHE_HOME to a folder"
    folder = kernel.SHARED if shared else kernel.user_folder()
    why = f"`lab7 run --time virtual` needs it; it takes a few minutes and {builder.NEEDED_MB} MB of {folder}, once"
    command = shlex.join([Path(sys.executable).name, "-m", BUILDER, *shared])
    words = tuple(module_command(BUILDER, *shared))
    return Step("build the kernel of virtual time", (why,), command, words)
