"""Refusal of commands that would have no effect in an emulated network, with an error message that names a remedy.

Refused are commands with netem, or for VLAN interfaces, if the kernel lacks them, and commands of Open vSwitch
(ovs-vsctl etc.) for a switch that is a Linux bridge. Mininet scripts often ignore the error message of such a program,
and would go on with wrong measurements; so the command raises EmulationError before it runs.
"""

import re
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.links import netem

# Commands that shape a link by netem, in a shell's line or a list of words.
_BY_NETEM = re.compile(r"\btc\b[^;|&\n]{0,200}\bnetem\b[^;|&\n'\]]*")
# Commands that make an interface of a VLAN.
_BY_VLAN = re.compile(r"\bip\b[^;|&\n]{0,200}\btype\W{1,5}vlan\b|\bvconfig\W{1,5}add\b")
_MAKE_VLAN = "ip link add a type veth peer name b && ip link add link a name a.1 type vlan id 1"
# Programs that control Open vSwitch.
_OPEN_VSWITCH = re.compile(r"\bovs-(?:vsctl|ofctl|appctl|dpctl)\b")


def check(node: str, words: Sequence[Any]) -> None:
    """Raise EmulationError if a command of a node needs netem or VLANs, and this kernel lacks them."""
    text = " ".join(map(str, words))
    # In a sandbox, links follow such commands (links.traffic_control).
    if not sandbox.inside() and (found := _BY_NETEM.search(text)) and not netem.available():
        raise EmulationError(
            f"{node}: `{found[0].strip()}` has no effect, since this kernel has no netem: give addLink() "
            "delay, loss or bw, or use --time virtual"
        )
    if (found := _BY_VLAN.search(text)) and not _has_vlans():
        raise EmulationError(
            f"{node}: `{found[0]}` has no effect, since this kernel has no VLANs: load them by `sudo modprobe 8021q`, "
            "or use --time virtual"
        )


def check_of_bridge(switch: str, words: Sequence[Any]) -> None:
    """Raise EmulationError for a command of Open vSwitch on a switch that is a Linux bridge."""
    if program := _OPEN_VSWITCH.search(str(words)):
        raise EmulationError(
            f"the switch {switch} is a Linux bridge, which {program[0]} cannot control: choose Open vSwitch by "
            "`--switch ovs`"
        )


@cache
def _has_vlans() -> bool:
    """Return whether this kernel has VLANs (IEEE 802.1Q), tested in a new network namespace."""
    made = subprocess.run(["unshare", "--net", "sh", "-c", _MAKE_VLAN], capture_output=True, check=False)
    return made.returncode == 0
