"""Writer of Shadow configurations: a graph of the network in GML, and a process for each service.

A host or a switch is a node of the graph, a link is an edge with its delay and loss; Shadow routes by the path of the
least delay. Shadow has rates at hosts only: a host gets the rate of its link. Left out are the rate of a link between
switches, jitter, reordering, queue lengths, further addresses of a host, and domain names other than the host's name.

Source: https://shadow.github.io/docs/guide/shadow_config_spec.html and network_graph_spec.html.
"""

from __future__ import annotations

from typing import Any

import yaml

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.interchange.bundle import SHARED, Bundle
from lab7.topologies.interchange.lab import End, Lab, LabHost

FILE, GRAPH = "shadow.yaml", "network.gml"
STOP_TIME_S = 60
# Delay of a link without a delay: Shadow requires one, and advances all hosts in steps of the least delay.
LEAST_DELAY_S = 10e-6
# Rate of a host whose link has none.
UNLIMITED_BPS = 10e9
# Folder whose content Shadow copies to its data folder before the start.
TEMPLATE = "template"


def shadow_lab(lab: Lab, name: str) -> Bundle:
    """Convert a Lab (model of a topology) to a Shadow configuration; return its files as a Bundle.

    Raises TopologyError for a host without an address, or not with exactly one link.
    """
    bundle = Bundle()
    nodes = {node: number for number, node in enumerate([*(host.name for host in lab.hosts), *lab.switches])}
    notes, hosts = [f"{name}, written by lab7", *lab.notes], dict[str, Any]()
    for link in lab.links:
        notes += [f"left out: {what} of {link[0].node}-{link[1].node}" for what in _left_out(lab, link)]
    for host in lab.hosts:
        hosts[host.name] = _host(lab, host, nodes[host.name], bundle)
        bundle.texts |= {f"{TEMPLATE}/hosts/{host.name}/{file}": text for file, text in host.files.items()}
    general: dict[str, Any] = {"stop_time": f"{STOP_TIME_S}s", "model_unblocked_syscall_latency": True}
    if any(host.files for host in lab.hosts):
        general["template_directory"] = TEMPLATE
    network = {"use_shortest_path": True, "graph": {"type": "gml", "file": {"path": GRAPH}}}
    text = yaml.safe_dump({"general": general, "network": network, "hosts": hosts}, sort_keys=False, width=1000)
    bundle.texts[GRAPH] = _graph(lab, nodes)
    bundle.texts[FILE] = "".join(f"# {note}\n" for note in notes) + text
    return bundle


def _host(lab: Lab, host: LabHost, number: int, bundle: Bundle) -> dict[str, Any]:
    ends = lab.ends(host.name)
    if len(ends) != 1 or not ends[0].addresses:
        raise TopologyError(
            f"a host of Shadow has one address and one link, {host.name} has {len(ends)} links: export to kathara"
        )
    processes = []
    for line in host.serves:
        # Shadow starts a host's processes in DATA/hosts/HOST, three folders below the configuration.
        words = bundle.command(line, f"../../../{SHARED}")
        processes.append({"path": words[0], "args": words[1:], "start_time": "1s", "expected_final_state": "running"})
    up, down = _rates(lab, ends[0])
    options = {"bandwidth_up": up, "bandwidth_down": down, "processes": processes}
    return {"network_node_id": number, "ip_addr": ends[0].addresses[0].partition("/")[0], **options}


def _rates(lab: Lab, end: End) -> tuple[str, str]:
    """Return the rates of a host's link in both directions, (up, down), in the format of Shadow."""
    far = next(other for link in lab.links for one, other in (link, link[::-1]) if one == end)
    rates = (each.shape.rate_bps if each.shape is not None else None for each in (end, far))
    up, down = (f"{UNLIMITED_BPS if rate is None else rate:.0f} bit" for rate in rates)
    return up, down


def _graph(lab: Lab, nodes: dict[str, int]) -> str:
    """Return the network as a directed graph in GML; it is directed since both directions of a link may differ."""
    lines = ["graph [", "  directed 1"]
    for node, number in nodes.items():
        rate = f'"{UNLIMITED_BPS:.0f} bit"'
        lines.append(f'  node [ id {number} label "{node}" host_bandwidth_up {rate} host_bandwidth_down {rate} ]')
    # Shadow needs a path from every node to itself.
    lines += [_edge(number, number, None) for number in nodes.values()]
    for link in lab.links:
        lines += [_edge(nodes[near.node], nodes[far.node], near) for near, far in (link, link[::-1])]
    return "\n".join([*lines, "]", ""])


def _edge(source: int, target: int, end: End | None) -> str:
    shape = None if end is None else end.shape
    delay_s = max(LEAST_DELAY_S, 0.0 if shape is None else shape.delay_s)
    loss = 0.0 if shape is None else shape.loss
    latency = f'latency "{delay_s * 1e9:.0f} ns"'
    return f"  edge [ source {source} target {target} {latency} packet_loss {loss:.6f} ]"


def _left_out(lab: Lab, link: tuple[End, End]) -> list[str]:
    shapes = [end.shape for end in link if end.shape is not None]
    between_switches = all(end.node in lab.switches for end in link)
    parts = {
        "the rate": between_switches and any(shape.rate_bps is not None for shape in shapes),
        "jitter": any(shape.jitter_s for shape in shapes),
        "reordering": any(shape.reorder for shape in shapes),
    }
    return [name for name, there in parts.items() if there]
