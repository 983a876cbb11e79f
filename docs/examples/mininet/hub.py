"""A hub and its hosts, written for Mininet: `mn --custom hub.py --topo hub,n=3` or `lab7 shell --set n=3 hub.py`.

h1 ── s1 ── h2 ...        addresses: Mininet's, from 10.0.0.1/8
"""

from __future__ import annotations

from typing import Any

from mininet.topo import Topo


class Hub(Topo):  # type: ignore[misc]
    """One switch with n hosts."""

    def __init__(self, n: int = 2, **options: Any) -> None:
        super().__init__(**options)
        switch = self.addSwitch("s1")
        for number in range(1, n + 1):
            self.addLink(self.addHost(f"h{number}"), switch)


topos = {"hub": Hub}
