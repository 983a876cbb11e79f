"""Links by the kernel: htb for the rate, netem for delay, jitter, loss and reordering, as Mininet's TCLink.

Different from TCLink: a complaint of tc is an error, and the rate's burst is one frame, because TCLink's 15 kB
lets the first ten frames through without being transmitted at the rate. Source: tc-htb(8), tc-netem(8).
"""

import subprocess
import sys

from topologies.emulation.shape import Shape

# One full Ethernet frame: htb sends what is within the burst at once.
BURST_BYTES = 1514


def commands(interface: str, shape: Shape) -> list[str]:
    """Lines for `tc -batch` that give an interface's outgoing direction this shape."""
    lines, parent = [], "root"
    if shape.rate_bps is not None:
        rate = f"rate {shape.rate_bps:.0f}bit burst {BURST_BYTES} cburst {BURST_BYTES}"
        lines = [
            f"qdisc add dev {interface} root handle 5: htb default 1",
            f"class add dev {interface} parent 5: classid 5:1 htb {rate}",
        ]
        parent = "parent 5:1"
    words = [f"delay {shape.delay_s * 1e6:.0f}us"] if shape.delay_s else []
    if shape.jitter_s:
        words.append(f"{shape.jitter_s * 1e6:.0f}us")
    if shape.loss:
        words.append(f"loss random {shape.loss * 100:.5f}%")
    if shape.reorder:
        words.append(f"reorder {shape.reorder * 100:.5f}%")
    return [
        *lines,
        f"qdisc add dev {interface} {parent} handle 10: netem {' '.join(words)} limit {shape.queue_frames}",
    ]


def available() -> bool:
    """Whether this kernel has netem: asked by adding one to the loopback of a new network namespace."""
    done = subprocess.run(
        ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(0 if available() else 1)
