"""A script that plots the queue of a slow link: `lab7 script queue_length.py`, or with `--time virtual`.

h1 ── s0 ── h2        s0 sends at 2 Mbit/s to h2, with a queue of 100 frames; h1 sends 3 Mbit/s for 3 s
"""

from __future__ import annotations

import threading
import time

from matplotlib import pyplot
from mininet.link import TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet

INTERVAL_S = 0.05


def run() -> None:
    """Start the network, send, read the queue meanwhile, and plot it."""
    net = Mininet(link=TCLink)
    h1, h2, s0 = net.addHost("h1"), net.addHost("h2"), net.addSwitch("s0")
    net.addLink(h1, s0)
    net.addLink(s0, h2, bw=2, delay="20ms", max_queue_size=100)
    net.start()
    rows, ended = [], threading.Event()
    start = time.time()

    def monitor() -> None:
        # Where a script under Mininet parses `tc -s qdisc show dev s0-eth2`.
        while not ended.wait(INTERVAL_S):
            queue = s0.intf("s0-eth2").queue()
            rows.append((time.time() - start, queue.frames, queue.dropped))

    reader = threading.Thread(target=monitor)
    reader.start()
    h2.sendCmd("iperf -s -u")
    h1.cmd("iperf -u -t 3 -b 3M -c", h2.IP())
    ended.set()
    reader.join()
    h2.sendInt()
    net.stop()
    print("longest queue:", max(frames for _, frames, _ in rows), "dropped:", rows[-1][2] > 0)
    pyplot.plot([row[0] for row in rows], [row[1] for row in rows])
    pyplot.xlabel("time in s")
    pyplot.ylabel("frames in the queue")
    pyplot.savefig("queue.png")


if __name__ == "__main__":
    setLogLevel("warning")
    run()
