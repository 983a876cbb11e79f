"""Links by the kernel: netem for loss, rate, queue, delay, jitter and reordering. Source: tc-netem(8).

A frame is lost, or waits for the transmitter, is sent, and flies, in that order; so rate and delay are a netem each,
one below the other. Different from TCLink, which puts netem below an htb class: htb sends what is within its burst
without the time that sending takes, and netem's limit then counts the frames that fly as if they waited.

Nothing of this sits on an interface of the drawing. A capture shows an outgoing frame when it has left the queueing
discipline, so an interface that delays would show its own frames late; and the sender's queue would be the link's.
Each link is a cable of two more interfaces instead (see cable), and these shape.
"""

import subprocess
import sys

from topologies.emulation.shape import Shape

# How many frames may fly, a direction: as on a wire (see wire.carrier).
FLYING_FRAMES = 100_000


def commands(interface: str, shape: Shape) -> list[str]:
    """Lines for `tc -batch` that give an interface's outgoing direction this shape."""
    stages = [words for words in (_transmitter(shape), _flight(shape)) if words]
    if shape.loss:
        stages = stages or [f"limit {FLYING_FRAMES}"]
        stages[0] = f"loss random {shape.loss * 100:.5f}% {stages[0]}"
    return [
        f"qdisc add dev {interface} {f'parent {number}:1' if number else 'root'} handle {number + 1}: netem {words}"
        for number, words in enumerate(stages)
    ]


def _transmitter(shape: Shape) -> str:
    """What sends: netem's rate gives every frame the time that its bits take, and its limit is the queue."""
    return "" if shape.rate_bps is None else f"rate {shape.rate_bps:.0f}bit limit {shape.queue_frames}"


def _flight(shape: Shape) -> str:
    if not shape.delay_s:
        return ""
    jitter = f" {shape.jitter_s * 1e6:.0f}us" if shape.jitter_s else ""
    reorder = f" reorder {shape.reorder * 100:.5f}%" if shape.reorder else ""
    return f"delay {shape.delay_s * 1e6:.0f}us{jitter}{reorder} limit {FLYING_FRAMES}"


def passing_on(source: str, target: str) -> list[str]:
    """Lines for `tc -batch` that send on by one interface whatever comes in by another. tc-mirred(8)."""
    return [
        f"qdisc add dev {source} ingress",
        f"filter add dev {source} ingress matchall action mirred egress redirect dev {target}",
    ]


def available() -> bool:
    """Whether this kernel has all of it: asked by shaping the loopback of a new network namespace."""
    lines = [*commands("lo", Shape(rate_bps=1e6, delay_s=1e-3)), *passing_on("lo", "lo")]
    done = subprocess.run(
        ["unshare", "--net", "tc", "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(0 if available() else 1)
