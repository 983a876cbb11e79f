"""Labs of Kathara and containerlab: written, parsed by Kathara's own code, read back equal; Shadow's configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from mininet.topo import Topo

from lab7.experiments.export.cli import export_command
from lab7.experiments.harness.discovery import all_topologies, find_topology
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import Shape, parse_rate_bps
from lab7.topologies.interchange.commands import read_lines
from lab7.topologies.interchange.containerlab import containerlab_lab, read_containerlab
from lab7.topologies.interchange.kathara import kathara_lab, read_kathara
from lab7.topologies.interchange.lab import Lab, LabTopo, lab_of
from lab7.topologies.interchange.shadow import shadow_lab


class RouterTopo(Topo):  # type: ignore[misc]
    """Two networks behind a router, with every parameter of a link."""

    def build(self) -> None:
        near, far = self.addSwitch("s1"), self.addSwitch("s2")
        router = self.addHost("r-1", ip="10.1.0.1/24")
        client = self.addHost("Client", ip="10.1.0.2/24", mac="02:00:00:00:00:07", defaultRoute="via 10.1.0.1")
        server = self.addHost("server", ip="10.2.0.2/24", routes=["10.1.0.0/24 via 10.2.0.1"])
        self.addLink(client, near, bw=1.5, delay="20ms", jitter="2ms", loss=1, max_queue_size=20, reorder=25)
        self.addLink(router, near)
        self.addLink(router, far, params1={"ip": "10.2.0.1/24"}, delay="300us")
        self.addLink(server, far, params1={"delay": "5ms"}, loss=0.25)
        self.addLink(self.addHost("counted"), far)


def strict(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON Schema of an object with these properties and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


TEXT, NUMBER = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "array", "items": {"type": "string"}}
SOME_TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": False}
# The part of https://containerlab.dev/clab.schema.json that lab7 writes.
CONTAINERLAB_NODE = strict(
    {}, {"kind": {"const": "linux"}, "image": TEXT, "exec": SOME_TEXTS, "binds": {**SOME_TEXTS, "uniqueItems": True}}
)
ENDPOINTS = {"type": "array", "items": {"type": "string", "pattern": r"^\S+:\S+$"}, "minItems": 2, "uniqueItems": True}
CONTAINERLAB_SCHEMA = strict(
    {
        "name": TEXT,
        "topology": strict(
            {"nodes": {"type": "object", "additionalProperties": CONTAINERLAB_NODE}},
            {
                "kinds": strict({"linux": CONTAINERLAB_NODE}),
                "links": {"type": "array", "minItems": 1, "items": strict({"endpoints": ENDPOINTS})},
            },
        ),
    }
)
# The part of https://shadow.github.io/docs/guide/shadow_config_spec.html that lab7 writes.
RATE, SPAN = {"type": "string", "pattern": r"^\d+ bit$"}, {"type": "string", "pattern": r"^\d+ ?(s|ms|ns)$"}
SHADOW_PROCESS = strict(
    {"path": TEXT}, {"args": TEXTS, "start_time": SPAN, "expected_final_state": {"const": "running"}}
)
SHADOW_HOST = strict(
    {"network_node_id": NUMBER, "processes": {"type": "array", "items": SHADOW_PROCESS}},
    {"ip_addr": {"type": "string", "pattern": r"^\d+(\.\d+){3}$"}, "bandwidth_up": RATE, "bandwidth_down": RATE},
)
SHADOW_SCHEMA = strict(
    {
        "general": strict(
            {"stop_time": SPAN}, {"model_unblocked_syscall_latency": {"type": "boolean"}, "template_directory": TEXT}
        ),
        "network": strict(
            {"graph": strict({"type": {"const": "gml"}, "file": strict({"path": TEXT})})},
            {"use_shortest_path": {"type": "boolean"}},
        ),
        "hosts": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"},
            "additionalProperties": SHADOW_HOST,
        },
    }
)
TOPOLOGIES = [*all_topologies(), "router"]


def topology(name: str) -> Topo:
    return RouterTopo() if name == "router" else find_topology(name).make()


def through_kathara(lab: Lab, folder: Path) -> Lab:
    kathara_lab(lab, "sample").write(folder)
    return read_kathara(folder)


def through_containerlab(lab: Lab, folder: Path) -> Lab:
    containerlab_lab(lab, "sample").write(folder)
    return read_containerlab(folder / "sample.clab.yml")


@pytest.mark.parametrize("through", [through_kathara, through_containerlab])
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_topology_is_read_back_equal(name: str, through: Any, tmp_path: Path) -> None:
    lab = lab_of(topology(name))
    read = through(lab, tmp_path)
    assert read.network == lab.network
    # And as a topology of lab7 again.
    assert lab_of(LabTopo(read)).network == lab.network


def test_a_lab_has_the_addresses_and_shapes_of_its_topology() -> None:
    lab = lab_of(RouterTopo())
    (client,) = lab.ends("Client")
    assert client.addresses == ("10.1.0.2/24",)
    assert client.mac == "02:00:00:00:00:07"
    assert client.shape == Shape(1.5e6, 0.02, 0.002, 0.01, 0.25, 20)
    assert [end.addresses for end in lab.ends("r-1")] == [("10.1.0.1/24",), ("10.2.0.1/24",)]
    (server,) = lab.ends("server")
    assert server.shape == Shape(None, 0.005, loss=0.0025)
    (counted,) = lab.ends("counted")
    assert counted.addresses == ("10.0.0.2/8",)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_katharas_own_parser_reads_the_same_devices_and_links(name: str, tmp_path: Path) -> None:
    pytest.importorskip("Kathara", reason="Kathara is not installed (pip install kathara)")
    from Kathara.parser.netkit.LabParser import LabParser

    lab = lab_of(topology(name))
    kathara_lab(lab, "sample").write(tmp_path)
    parsed = LabParser.parse(str(tmp_path))
    assert len(parsed.machines) == len(lab.hosts) + len(lab.switches)
    links = {frozenset(link.machines) for link in parsed.links.values()}
    assert links == {frozenset(re.sub("[^a-z0-9_]", "_", end.node.lower()) for end in link) for link in lab.links}
    for device, machine in parsed.machines.items():
        assert list(machine.interfaces) == list(range(len(machine.interfaces)))
        assert machine.meta["image"] == "lab7"
        assert (tmp_path / f"{device}.startup").is_file()


def test_a_shape_without_an_effect_is_none_and_a_trace_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("1\n")
    topo = Topo()
    for number, options in enumerate(({"delay": "0ms"}, {"trace": str(tmp_path / "trace")})):
        topo.addLink(topo.addHost(f"a{number}"), topo.addHost(f"b{number}"), **options)
    lab = lab_of(topo)
    assert [end.shape for link in lab.links for end in link] == [None] * 4
    assert lab.notes == ("the trace of the link a1-b1 is left out",)


def test_services_are_in_the_startup_files_with_copies_of_their_folders(tmp_path: Path) -> None:
    kathara_lab(lab_of(topology("web")), "web").write(tmp_path)
    startup = (tmp_path / "origin.startup").read_text()
    assert "nohup python3 -m lab7.services.http.origin --root /shared/www --listen 0.0.0.0 --port 80 --push" in startup
    assert (tmp_path / "shared" / "www" / "index.html").is_file()
    assert "echo '10.7.1.1 www.example.com origin' >> /etc/hosts" in startup


def test_files_and_name_servers_of_hosts_are_in_the_lab(tmp_path: Path) -> None:
    containerlab_lab(lab_of(topology("mail")), "mail").write(tmp_path)
    assert (tmp_path / "mail-a" / "accounts").read_text().startswith("alice:")
    script = (tmp_path / "alice" / "start.sh").read_text()
    assert "nameserver 10.25.1.53" in script
    assert "/etc/hosts" not in script
    data = yaml.safe_load((tmp_path / "mail.clab.yml").read_text())
    node = data["topology"]["nodes"]["mail-a"]
    assert node["binds"] == ["mail-a:/lab7", "shared:/shared:ro"]
    assert node["exec"][-1] == "sh /lab7/start.sh"


KATHARA = """
LAB_NAME="routing"
pc1[0]="A"
pc1[image]="kathara/base"
pc2[0]="A/02:00:00:00:00:02"   # with a MAC address
pc3[0]=A
r1[0]="A"
r1[1]="B"
pc4[0]="B"
pc4[exec]="ip route add default via 10.2.0.1"
"""
STARTUPS = {
    "pc1": "ip a add 10.1.0.11/24 dev eth0\n/etc/init.d/ssh start\n",
    "pc2": "ifconfig eth0 10.1.0.12 netmask 255.255.255.0 up\nroute add default gw 10.1.0.1 dev eth0\n",
    "pc3": "#!/bin/bash\nip address add 10.1.0.13/24 dev eth0   # its address\n",
    "r1": "ip addr add 10.1.0.1/24 dev eth0\nip addr add 10.2.0.1/24 dev eth1\n"
    "tc qdisc add dev eth1 root netem delay 30ms 5ms loss 1.5% rate 2mbit\n",
    "pc4": "/sbin/ip address add 10.2.0.2/24 dev eth0\n",
}


def kathara_folder(folder: Path, conf: str = KATHARA) -> Path:
    (folder / "lab.conf").write_text(conf)
    for device, text in STARTUPS.items():
        (folder / f"{device}.startup").write_text(text)
    return folder


def test_a_lab_of_katharas_users_is_read(tmp_path: Path) -> None:
    lab = read_kathara(kathara_folder(tmp_path))
    # Four devices share A, which becomes a switch; B connects two directly.
    assert [host.name for host in lab.hosts] == ["pc1", "pc2", "pc3", "r1", "pc4"]
    assert lab.switches == ("s1",)
    assert len(lab.links) == 5
    addresses = {host.name: [end.addresses for end in lab.ends(host.name)] for host in lab.hosts}
    assert addresses["pc2"] == [("10.1.0.12/24",)]
    assert addresses["r1"] == [("10.1.0.1/24",), ("10.2.0.1/24",)]
    assert lab.ends("pc2")[0].mac == "02:00:00:00:00:02"
    assert {host.name: host.routes for host in lab.hosts if host.routes} == {
        "pc2": ("default via 10.1.0.1",),
        "pc4": ("default via 10.2.0.1",),
    }
    assert lab.ends("r1")[1].shape == Shape(2e6, 0.03, 0.005, 0.015)


CONTAINERLAB = """
name: two
topology:
  defaults:
    kind: linux
  nodes:
    a:
      exec: [ip address add 10.1.0.1/24 dev eth1]
    b:
      kind: linux
      exec: [ip address add 10.1.0.2/24 dev net0]
    c:
    br:
      kind: bridge
  links:
    - endpoints: [a:eth1, br:eth1]
    - type: veth
      endpoints:
        - node: b
          interface: net0
        - {node: br, interface: eth2}
    - endpoints: ["c:eth1", "br:eth3"]
"""


def test_a_topology_of_containerlabs_users_is_read(tmp_path: Path) -> None:
    (tmp_path / "two.clab.yml").write_text(CONTAINERLAB)
    lab = read_containerlab(tmp_path / "two.clab.yml")
    assert ([host.name for host in lab.hosts], lab.switches) == (["a", "b", "c"], ("br",))
    assert [end.addresses for node in "abc" for end in lab.ends(node)] == [("10.1.0.1/24",), ("10.1.0.2/24",), ()]
    assert len(lab.ends("br")) == 3


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("lab.conf", "pc1(0)=A\n", "lab.conf, line 1: 'pc1(0)=A' is not DEVICE[NUMBER]="),
        (
            "lab.conf",
            'pc1[0]="A"\npc1[exec]="ip addr add 10.1 dev eth0"\n',
            "the command 'ip addr add 10.1 dev eth0' cannot",
        ),
        ("a.clab.yml", "a: [", "a.clab.yml is not YAML"),
        ("a.clab.yml", "a: 1", "a.clab.yml is not a topology of containerlab"),
        ("a.clab.yml", "topology: {nodes: {a: }, links: [{endpoints: ['a:eth1']}]}", "has no two endpoints"),
        ("a.clab.yml", "topology: {nodes: {a: }, links: [{endpoints: ['a:eth1', 'b:eth1']}]}", "b:eth1 names no node"),
    ],
)
def test_an_invalid_lab_is_one_sentence(file: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(TopologyError, match=re.escape(message)):
        find_topology(str(tmp_path / file)).make()


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"a.clab.yml: No such file or directory"):
        find_topology(str(tmp_path / "a.clab.yml")).make()


@pytest.mark.parametrize(("text", "rate"), [("10mbit", 10e6), ("1Gbit", 1e9), ("125kbps", 1e6), ("64000", 64e3)])
def test_a_rate_of_tc_is_parsed(text: str, rate: float) -> None:
    assert parse_rate_bps(text) == rate


def test_other_commands_are_ignored() -> None:
    found = read_lines(
        ["sysctl -w net.ipv4.ip_forward=1", "ip link set eth0 up", "", "# ip addr add 1.1.1.1/8 dev eth0"]
    )
    assert (found.addresses, found.routes, found.bridged) == ({}, [], False)


def test_shadow_has_a_graph_with_the_delays_and_a_process_for_each_service(tmp_path: Path) -> None:
    lab = lab_of(find_topology("web").make(delay="15ms", loss=2))
    shadow_lab(lab, "web").write(tmp_path)
    text = (tmp_path / "shadow.yaml").read_text()
    assert "# left out: the rate of s1-s2\n" in text
    data = yaml.safe_load(text)
    assert list(data) == ["general", "network", "hosts"]
    origin = data["hosts"]["origin"]
    assert origin["ip_addr"] == "10.7.1.1"
    assert origin["processes"][0]["args"][:4] == ["-m", "lab7.services.http.origin", "--root", "../../../shared/www"]
    graph = (tmp_path / data["network"]["graph"]["file"]["path"]).read_text()
    ids = {name: int(number) for number, name in re.findall(r'id (\d+) label "(\w+)"', graph)}
    edges = {
        (int(source), int(target)): (int(latency), float(loss))
        for source, target, latency, loss in re.findall(
            r'source (\d+) target (\d+) latency "(\d+) ns" packet_loss ([\d.]+)', graph
        )
    }
    assert edges[ids["s1"], ids["s2"]] == edges[ids["s2"], ids["s1"]] == (15_000_000, 0.02)
    assert all((number, number) in edges for number in ids.values())
    assert origin["network_node_id"] == ids["origin"]
    # Each link in both directions, and each node to itself.
    assert len(edges) == 2 * len(lab.links) + len(ids)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_containerlabs_schema_permits_each_topology(name: str, tmp_path: Path) -> None:
    containerlab_lab(lab_of(topology(name)), "sample").write(tmp_path)
    written = yaml.safe_load((tmp_path / "sample.clab.yml").read_text())
    jsonschema.validate(written, CONTAINERLAB_SCHEMA)
    ends = [end for link in written["topology"]["links"] for end in link["endpoints"]]
    assert len(set(ends)) == len(ends)
    assert {end.partition(":")[0] for end in ends} <= set(written["topology"]["nodes"])
    for bind in (bind for node in written["topology"]["nodes"].values() for bind in node.get("binds", [])):
        assert (tmp_path / bind.partition(":")[0]).is_dir(), bind


@pytest.mark.parametrize("name", [name for name in TOPOLOGIES if name not in ("ftp", "router")])
def test_shadows_specification_permits_each_topology_without_a_router(name: str, tmp_path: Path) -> None:
    shadow_lab(lab_of(topology(name)), "sample").write(tmp_path)
    written = yaml.safe_load((tmp_path / "shadow.yaml").read_text())
    jsonschema.validate(written, SHADOW_SCHEMA)
    graph = (tmp_path / written["network"]["graph"]["file"]["path"]).read_text()
    nodes = re.findall(
        r'^  node \[ id (\d+) label "[^"]+" host_bandwidth_up "\d+ bit" host_bandwidth_down', graph, re.M
    )
    edge = r'^  edge \[ source (\d+) target (\d+) latency "[1-9]\d* ns" packet_loss [01]\.\d+ \]$'
    edges = {(source, target) for source, target in re.findall(edge, graph, re.M)}
    assert len(set(nodes)) == len(nodes) == graph.count("  node ")
    assert len(edges) == graph.count("  edge ")
    # A directed graph: a path there and back, and from each node to itself.
    assert {(node, node) for node in nodes} <= edges
    assert {(target, source) for source, target in edges} == edges
    hosts = written["hosts"].values()
    assert {str(host["network_node_id"]) for host in hosts} <= set(nodes)
    assert len({host["ip_addr"] for host in hosts}) == len(hosts)


def test_a_router_is_refused_for_shadow() -> None:
    with pytest.raises(TopologyError, match="a host of Shadow has one address and one link, r-1 has 2 links"):
        shadow_lab(lab_of(RouterTopo()), "router")


@pytest.mark.parametrize("tool", ["kathara", "containerlab", "shadow"])
def test_the_command_writes_a_new_folder(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(export_command, [tool, "web", "--set", "clients=2"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"web-{tool}\nstart: cd web-{tool} && ")
    again = CliRunner().invoke(export_command, [tool, "web"])
    assert again.exit_code == 2
    assert f"web-{tool} exists and is not an empty folder" in again.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("kathara",), "give a topology, as in `lab7 export kathara web`"),
        (("kathara", "nothing"), "unknown topology 'nothing'"),
        (("run", "csv", "--set", "a=b"), "--set is for a topology"),
        (("run", "cvs"), "there is no format 'cvs' (did you mean csv?): give one of har, csv"),
        (("run", "csv", "-o", "."), ". is a folder: give the name of a file"),
    ],
)
def test_wrong_use_is_one_sentence(words: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(export_command, words)
    assert done.exit_code == 2
    assert message in done.output
