"""A host that wants to know the time, and a server that tells it.

    client ───── s1 ══════ delay ══════ s2 ───── server
    10.37.0.1                                    10.37.0.2  time.example.com

All hosts are in 10.37.0.0/24. Only the link between the switches has a delay (one way): RTT is twice that.

    lab7 shell docs/examples/time/time_topology.py
"""

import shlex
from pathlib import Path

from mininet.topo import Topo

SERVER = Path(__file__).resolve().with_name("time_server.py")
CLIENT_ADDRESS, SERVER_ADDRESS = "10.37.0.1", "10.37.0.2"


class TimeTopo(Topo):  # type: ignore[misc]
    """A client, a time server, and a delay between them. See build for the parameters."""

    def build(self, delay: str = "20ms") -> None:
        """delay: one way, between the two switches."""
        near, far = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(near, far, delay=delay)
        self.addLink(self.addHost("client", ip=f"{CLIENT_ADDRESS}/24"), near)
        serves = f"{shlex.quote(str(SERVER))} --listen 0.0.0.0 --port 37"
        server = self.addHost("server", ip=f"{SERVER_ADDRESS}/24", names=["time.example.com"], serves=serves)
        self.addLink(server, far)


TRY = ("client rdate -p time.example.com", "client rdate -u -p time.example.com", "client ping -c 3 server")
topos = {"time": TimeTopo}
