"""Links shaped by the kernel: netem for loss, rate, queue, delay, jitter and reordering. Source: tc-netem(8).

A frame on a link may be lost; else it is queued, is transmitted, and propagates, in this order. So there is one netem
qdisc for loss, queue and rate, and below it another one for the delay. TCLink differs: it puts netem below an htb
class. htb sends a burst without the transmission time of its frames, and netem's limit counts propagating frames as
queued.

The interfaces of the topology itself have no shaping qdisc. If they had one, the sender's own queue would be the queue
of the link. A capture at the sender would show frames only after the delay, since an outgoing frame is captured when it
has left the qdisc. The two extra interfaces of a cable shape the frames instead (see cable).
"""

import json
import subprocess
import sys

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.shape import Queue, Shape

# Maximum number of propagating frames per direction, as many as on a user-space link (wire.carrier).
FLYING_FRAMES = 100_000


def commands(interface: str, shape: Shape) -> list[str]:
    """Return lines for `tc -batch` by which netem shapes the frames that an interface sends."""
    stages = [words for words in (_transmitter(shape), _flight(shape)) if words]
    if shape.loss:
        stages = stages or [f"limit {FLYING_FRAMES}"]
        stages[0] = f"loss random {shape.loss * 100:.5f}% {stages[0]}"
    return [
        f"qdisc add dev {interface} {f'parent {number}:1' if number else 'root'} handle {number + 1}: netem {words}"
        for number, words in enumerate(stages)
    ]


def removal(interface: str, shape: Shape | None) -> list[str]:
    """Return lines for `tc -batch` that remove the netem qdiscs of an interface, and drop the queued frames."""
    return [f"qdisc del dev {interface} root"] if shape is not None and commands(interface, shape) else []


def _transmitter(shape: Shape) -> str:
    """Return netem's parameters for the transmitter of a link: rate, and queue limit in frames."""
    return "" if shape.rate_bps is None else f"rate {shape.rate_bps:.0f}bit limit {shape.queue_frames}"


def _flight(shape: Shape) -> str:
    if not shape.delay_s:
        return ""
    jitter = f" {shape.jitter_s * 1e6:.0f}us" if shape.jitter_s else ""
    reorder = f" reorder {shape.reorder * 100:.5f}%" if shape.reorder else ""
    return f"delay {shape.delay_s * 1e6:.0f}us{jitter}{reorder} limit {FLYING_FRAMES}"


def queue(interface: str, pid: int = 0) -> Queue:
    """Return the transmit queue of a netem qdisc on an interface in the network namespace of a process (0: this one).

    Raises EmulationError.
    """
    found = json.loads(tools.output(["tc", "-s", "-json", "qdisc", "show", "dev", interface], pid))
    # The stage of the delay, below the root, holds the frames that propagate.
    roots = [qdisc for qdisc in found if qdisc.get("root")]
    return Queue(sum(each["qlen"] for each in roots), sum(each["drops"] for each in roots))


def passing_on(source: str, target: str) -> list[str]:
    """Return lines for `tc -batch` that send frames received on one interface out of another one (tc-mirred(8))."""
    return [
        f"qdisc add dev {source} ingress",
        f"filter add dev {source} ingress matchall action mirred egress redirect dev {target}",
    ]


def available() -> bool:
    """Return whether this kernel has all qdiscs that shape links, tested on loopback in a new namespace."""
    lines = [*commands("lo", Shape(rate_bps=1e6, delay_s=1e-3)), *passing_on("lo", "lo")]
    completed = subprocess.run(
        ["unshare", "--net", "tc", "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    return completed.returncode == 0


if __name__ == "__main__":
    sys.exit(0 if available() else 1)
