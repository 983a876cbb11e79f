"""Program `attached_shell DESCRIPTOR`: Mininet's command line on a network that another process runs.

The control server of the network starts the program in the Linux namespaces of the network, and passes the description
of the network as an inherited descriptor.
"""

from __future__ import annotations

import json
import os
import sys

from lab7.experiments.harness.cli.mininet_shell import Shell
from lab7.experiments.harness.cli.running.attached_network import AttachedNetwork


def main(argv: list[str]) -> int:
    """Run Mininet's command line on a network of another process, until `exit` or the end of standard input."""
    with os.fdopen(int(argv[0]), encoding="utf-8") as file:
        described = json.load(file)
    net = AttachedNetwork(described)
    Shell(net)
    for node in net.values():
        node.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
