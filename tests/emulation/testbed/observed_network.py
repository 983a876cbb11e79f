"""Description of a running network, by which one of stock Mininet and one of a testbed are compared.

Run as a program, it starts topologies of student_topologies in stock Mininet, one after the other, and prints one JSON
object with a description of each: `python -m tests.emulation.testbed.observed_network NAME ...`, inside of a sandbox.
"""

from __future__ import annotations

import json
import re
import sys
from subprocess import DEVNULL, PIPE
from typing import Any

from mininet.link import Link
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def describe(net: Any) -> dict[str, Any]:
    """Return what is to be equal: nodes, links, interfaces, addresses, routes, and which host reaches which address."""
    # Others are random in stock Mininet.
    given = {found[0] for found in MAC.finditer(repr(_options(net.topo)))}
    devices = {host.name: _devices(host) for host in net.hosts}
    addresses = sorted({address.split("/")[0] for found in devices.values() for row in found for address in row["ips"]})
    return {
        "hosts": [host.name for host in net.hosts],
        "switches": {switch.name: (switch.dpid, _ports(switch)) for switch in net.switches},
        "links": [str(link) for link in net.links],
        "ports": {host.name: _ports(host) for host in net.hosts},
        "attributes": {host.name: [host.IP(), str(host.defaultIntf())] for host in net.hosts if host.intfs},
        "parameters": {host.name: sorted(_own(host.params)) for host in net.hosts},
        "devices": {
            name: [{**row, "mac": row["mac"] if row["mac"] in given else "any"} for row in found]
            for name, found in devices.items()
        },
        "routes": {host.name: _routes(host) for host in net.hosts},
        "reached": _reached(net.hosts, addresses),
    }


def members(net: Any) -> dict[str, list[str]]:
    """Return the public attributes and methods of one object of each kind."""
    return {kind: [name for name in dir(part) if not name.startswith("_")] for kind, part in parts(net).items()}


def parts(net: Any) -> dict[str, Any]:
    """Return one object of each kind of a network with a switch."""
    link = net.links[0]
    return {"net": net, "host": net.hosts[0], "switch": net.switches[0], "link": link, "interface": link.intf1}


def _options(topo: Topo) -> list[Any]:
    return [list(topo.g.nodes(data=True)), topo.links(withInfo=True)]


def _own(params: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in params.items() if key in ("ip", "mac", "defaultRoute", "lo")]


def _ports(node: Any) -> dict[str, str]:
    return {str(port): interface.name for port, interface in sorted(node.intfs.items()) if interface.name != "lo"}


def _run(host: Any, words: list[str]) -> str:
    output, _, _ = host.pexec(words)
    return str(output)


def _devices(host: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": row["ifname"],
            "mac": row.get("address"),
            "mtu": row["mtu"],
            "up": "UP" in row["flags"],
            "ips": [
                f"{address['local']}/{address['prefixlen']}"
                for address in row["addr_info"]
                if address["family"] == "inet" and row["ifname"] != "lo"
            ],
        }
        for row in json.loads(_run(host, ["ip", "-json", "address"]))
    ]


def _routes(host: Any) -> list[list[str | None]]:
    rows = json.loads(_run(host, ["ip", "-json", "route"]) or "[]")
    return sorted([row["dst"], row.get("gateway", ""), row["dev"]] for row in rows)


def _reached(hosts: list[Any], addresses: list[str]) -> dict[str, list[str]]:
    """Return the addresses that each host reaches, all tried at once."""
    one = "(ping -n -c 1 -W 2 {0} > /dev/null 2>&1 && echo {0}) &"
    script = "\n".join([*(one.format(address) for address in addresses), "wait"])
    running = {host.name: host.popen(["sh", "-c", script], stdout=PIPE, stderr=DEVNULL) for host in hosts}
    return {name: sorted(process.communicate()[0].decode().split()) for name, process in running.items()}


def main(names: list[str]) -> None:
    """Describe the named topologies as stock Mininet starts them, with Linux bridges."""
    from tests.emulation.testbed.student_topologies import topos

    setLogLevel("critical")
    found = {}
    for name in names:
        topo = topos[name]()
        net = Mininet(topo=topo, switch=LinuxBridge, link=Link, controller=None)
        net.start()
        if any(topo.nodeInfo(switch).get("stp") for switch in topo.switches()):
            net.waitConnected(timeout=60)
        found[name] = {"network": describe(net), "members": members(net) if net.switches else {}}
        net.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
