"""Topology for FTP: client and server with a router in between, and an eavesdropper beside the client.

    client ──┐                                                            server
    10.9.1.1 ├─ s1 ──────── router ══════════════════════ s2 ─────────── 10.9.2.1
    eve    ──┘ mirror port  10.9.1.254     bw, delay                      ftp.example.com
    10.9.1.66               10.9.2.254

Networks: 10.9.1.0/24 at the client's side, 10.9.2.0/24 at the server's. Only the link between router and s2 has a rate
and a delay (one way), so the RTT between client and server is twice this delay. s1 has a mirror port: eve receives a
copy of every frame on s1, and sends none. The server has two users, whose files are in its folder:

    ann   password correct-horse      readme.txt, letters/alice.txt, letters/bob.txt
    ben   password battery-staple     readme.txt, and a quota of 20 000 octets

Stock Mininet ignores two options of this topology, IP forwarding on the router and the mirror port. Forwarding can be
enabled there by `router sysctl net.ipv4.ip_forward=1`; without a mirror port, eve captures nothing.

    sudo mn --custom topologies/ftp.py --topo ftp --switch lxbr
"""

import shlex
from typing import Any

from mininet.topo import Topo

SERVER_NAME = "ftp.example.com"
CLIENT_ADDRESS, EVE_ADDRESS, SERVER_ADDRESS = "10.9.1.1", "10.9.1.66", "10.9.2.1"
PASSWORDS = {"ann": "correct-horse", "ben": "battery-staple"}
QUOTA_OCTETS = 20_000
# Accounts file of the FTP server; passwords are not hashed, because FTP transmits them in clear text.
USERS = f"""\
[users.ann]
password = "plain:{PASSWORDS["ann"]}"
home = "ann"

[users.ben]
password = "plain:{PASSWORDS["ben"]}"
home = "ben"
quota = {QUOTA_OCTETS}
"""
FILES = {
    "users.toml": USERS,
    "files/ann/readme.txt": "These are the files of ann.\n",
    "files/ann/letters/alice.txt": "Dear Alice,\nthis went over a connection of its own.\n",
    "files/ann/letters/bob.txt": "Dear Bob,\nand so did this.\n",
    "files/ben/readme.txt": "These are the files of ben, who may keep 20 000 octets.\n",
}
DEFAULT_SERVES = "lab7.services.ftp.server --root files --users users.toml --listen 0.0.0.0 --port 21"


class FtpTopo(Topo):  # type: ignore[misc]
    """Mininet topology of FTP client and server, a router and an eavesdropper; build() documents the parameters."""

    def build(
        self,
        bw: float = 10,
        delay: str = "10ms",
        serves: str = DEFAULT_SERVES,
        mirrors: str = "yes",
        root: str = "",
        **link: Any,
    ) -> None:
        """Add the hosts, switches and links. Raises ValueError for a parameter out of range.

        bw, delay   rate (Mbit/s) and one-way delay of the link between router and server
        serves      command line of the FTP server
        mirrors     s1 has a mirror port (yes or no)
        root        folder with users.toml and the folder `files`, used in place of FILES
        link        further TCLink parameters of the link between router and server
        """
        if mirrors not in ("yes", "no"):
            raise ValueError(f"mirrors={mirrors!r}: must be yes or no")
        near, far = self.addSwitch("s1", mirrors=mirrors == "yes"), self.addSwitch("s2")
        self.addLink(self.addHost("client", ip=f"{CLIENT_ADDRESS}/24", defaultRoute="via 10.9.1.254"), near)
        self.addLink(self.addHost("eve", ip=f"{EVE_ADDRESS}/24", defaultRoute="via 10.9.1.254"), near)
        router = self.addHost("router", ip="10.9.1.254/24", forwards=True)
        self.addLink(router, near)
        self.addLink(router, far, params1={"ip": "10.9.2.254/24"}, bw=bw, delay=delay, **link)
        server = self.addHost(
            "server",
            ip=f"{SERVER_ADDRESS}/24",
            defaultRoute="via 10.9.2.254",
            names=[SERVER_NAME],
            files=FILES,
            serves=_in_folder(serves, root) if root else serves,
        )
        self.addLink(server, far)


def _in_folder(serves: str, root: str) -> str:
    """Return the FTP server's command line with the files and the accounts file in the folder `root`."""
    # A flag that is given again overrides its earlier value (argparse).
    return shlex.join([*shlex.split(serves), "--root", f"{root}/files", "--users", f"{root}/users.toml"])


TRY = (
    "client curl ftp://ann:correct-horse@ftp.example.com/readme.txt",
    "client curl --ftp-port - ftp://ann:correct-horse@ftp.example.com/letters/",
    "client lftp -u ann,correct-horse -e 'cd letters; ls; bye' ftp.example.com",
    "eve tcpdump -n -A -i eve-eth0 port 21",
)
topos = {"ftp": FtpTopo}
