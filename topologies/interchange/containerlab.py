"""Containerlab topologies: writer and reader of the YAML file with nodes and links.

The writer makes a node of the kind linux for each host and each switch (a Linux bridge), and configures it by commands
under `exec`. A script in a folder that is bind-mounted into the node starts the services. eth0 is containerlab's
management network, so interfaces count from eth1. The reader takes nodes, links in both notations of containerlab, and
the addresses, routes, bridges and netem qdiscs that `exec` sets up; nodes of the kind bridge or ovs-bridge become
switches. Left out: configuration specific to other kinds of nodes, and, when reading, services.

Source: https://containerlab.dev/manual/topo-def-file/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.interchange.bundle import IMAGE, SHARED, Bundle, image_file, start_script
from lab7.topologies.interchange.commands import host_lines, read_lines, switch_lines
from lab7.topologies.interchange.lab import End, Lab, LabHost, renumbered

SUFFIXES = (".clab.yml", ".clab.yaml")
BRIDGE_KINDS = ("bridge", "ovs-bridge")
# Folder of a host's files in its container, and its start script there.
FOLDER, START = "/lab7", "start.sh"


def containerlab_lab(lab: Lab, name: str) -> Bundle:
    """Convert a Lab (model of a topology) to a containerlab topology named `name`; return its files as a Bundle."""
    bundle, nodes = Bundle(), dict[str, Any]()
    for host in lab.hosts:
        script = start_script(lab, host, bundle, FOLDER)
        binds = [f"{host.name}:{FOLDER}"]
        bundle.texts[f"{host.name}/{START}"] = "\n".join(["#!/bin/sh", *script]) + "\n"
        bundle.texts |= {f"{host.name}/{file}": text for file, text in host.files.items()}
        lines = host_lines(_interfaces(lab, host.name), host.routes)
        nodes[host.name] = {"kind": "linux", "binds": binds, "exec": [*lines, f"sh {FOLDER}/{START}"]}
    if bundle.copies:
        for host in lab.hosts:
            nodes[host.name]["binds"].append(f"{SHARED}:/{SHARED}:ro")
    for switch in lab.switches:
        nodes[switch] = {"kind": "linux", "exec": switch_lines(_interfaces(lab, switch))}
    links = [{"endpoints": [f"{end.node}:{_interface(end)}" for end in link]} for link in lab.links]
    topology = {"kinds": {"linux": {"image": IMAGE}}, "nodes": nodes, "links": links}
    notes = "".join(f"# {note}\n" for note in lab.notes)
    text = yaml.safe_dump({"name": name, "topology": topology}, sort_keys=False, width=1000)
    bundle.texts[f"{name}{SUFFIXES[0]}"] = notes + text
    bundle.texts["Dockerfile"] = image_file()
    return bundle


def _interfaces(lab: Lab, node: str) -> list[tuple[str, End]]:
    return [(_interface(end), end) for end in lab.ends(node)]


def _interface(end: End) -> str:
    return f"eth{end.number + 1}"


def read_containerlab(file: Path) -> Lab:
    """Read a containerlab topology from its YAML file, and return it as a Lab. Raises TopologyError, OSError."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        topology = data["topology"]
        nodes: Mapping[str, Any] = {name: node or {} for name, node in topology["nodes"].items()}
        links = list(_links(topology.get("links") or []))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TopologyError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise TopologyError(f"{file} is not a topology of containerlab: it needs topology, nodes and links") from error
    kind = (topology.get("defaults") or {}).get("kind", "linux")
    set_ups = {name: read_lines(map(str, node.get("exec") or [])) for name, node in nodes.items()}
    switches = [name for name, node in nodes.items() if node.get("kind", kind) in BRIDGE_KINDS or set_ups[name].bridged]
    numbers: dict[str, int] = {}
    made = []
    for link in links:
        ends = []
        for node, interface in link:
            if node not in nodes:
                raise TopologyError(f"{file}: the link {node}:{interface} names no node")
            numbers[node] = numbers.get(node, -1) + 1
            ends.append(set_ups[node].end(node, _number(interface, numbers[node]), interface))
        made.append((ends[0], ends[1]))
    hosts = tuple(LabHost(name, tuple(set_ups[name].routes)) for name in nodes if name not in switches)
    return renumbered(Lab(hosts, tuple(switches), tuple(made)))


def _links(links: list[Any]) -> Iterator[list[tuple[str, str]]]:
    """Yield the two ends, (node, interface), of each link, in the short or the extended notation.

    Raises TopologyError.
    """
    for link in links:
        ends = [
            tuple(end.split(":", 1)) if isinstance(end, str) else (end["node"], end["interface"])
            for end in link.get("endpoints", [])
        ]
        if len(ends) != 2 or any(len(end) != 2 for end in ends):
            raise TopologyError(f"the link {link} has no two endpoints NODE:INTERFACE of nodes")
        yield [(str(node), str(interface)) for node, interface in ends]


def _number(interface: str, otherwise: int) -> int:
    """Return the number at the end of an interface's name, such as 1 for eth1; `otherwise` if there is none."""
    digits = interface[len(interface.rstrip("0123456789")) :]
    return int(digits) if digits else otherwise
