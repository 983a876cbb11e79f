"""Topologies in YAML: what is built, and mistakes with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.catalogue.topologies import find_topology
from lab7.experiments.harness.catalogue.topology_parameters import TopologyParameterError, make_topology
from lab7.topologies.description.yaml_topology import load_yaml, schema
from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.errors import UserFileError

REPOSITORY = Path(__file__).resolve().parents[4]
OFFICE = REPOSITORY / "docs" / "examples" / "networks" / "office.yaml"
GOOD = """parameters: {delay: 10ms, bw: 10, first: "10.0.0"}
switches: [s1]
hosts:
  a: {ip: "${first}.1/24"}
  r:
    ip: 10.0.0.2/24
    forwards: true
links:
  - [a, s1]
  - {between: [r, s1], delay: "${delay}", bw: "${bw}"}
  - {between: [a, r], ips: {a: 10.1.0.1/24, r: 10.1.0.2/24}}
"""


def written(folder: Path, text: str) -> str:
    (folder / "net.yaml").write_text(text)
    return str(folder / "net.yaml")


def test_a_file_becomes_a_topology_with_parameters(tmp_path: Path) -> None:
    entry = find_topology(written(tmp_path, GOOD))
    topo = make_topology(entry.name, entry.make, {"delay": "30ms", "first": "10.0.0"})
    assert (entry.name, topo.hosts(), topo.switches()) == ("net", ["a", "r"], ["s1"])
    assert topo.nodeInfo("a")["ip"] == "10.0.0.1/24"
    assert topo.nodeInfo("r")["forwards"] is True
    (shaped,) = [info for _, _, info in topo.links(withInfo=True) if "delay" in info]
    assert (shaped["delay"], shaped["bw"]) == ("30ms", 10)
    (direct,) = [info for _, _, info in topo.links(withInfo=True) if "params1" in info]
    assert (direct["params1"], direct["params2"]) == ({"ip": "10.1.0.1/24"}, {"ip": "10.1.0.2/24"})
    topology_checks.check(topo)


def test_parameters_of_a_file_are_checked_as_those_of_a_class(tmp_path: Path) -> None:
    entry = find_topology(written(tmp_path, GOOD))
    with pytest.raises(TopologyParameterError, match=r"no parameter 'dealy' \(did you mean delay\?\)"):
        make_topology(entry.name, entry.make, {"dealy": "1ms"})
    with pytest.raises(TopologyParameterError, match="delay='30' has no unit"):
        make_topology(entry.name, entry.make, {"delay": "30"})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("forwards: true", "forward: true", ":7: unknown key 'forward' in hosts.r: there are ip, ip6, mac"),
        ("forwards: true", "forwards: maybe", ":7: hosts.r.forwards must be boolean, not string"),
        ("ip: 10.0.0.2/24\n    forwards", "ip: 7\n    forwards", ":6: hosts.r.ip must be string, not number"),
        ("switches: [s1]", "switches: s1", ":2: switches must be array, not string"),
        ("switches: [s1]", "switchs: [s1]", ":2: unknown key 'switchs' in the file: there are name, text"),
        ("- [a, s1]", "- [a, s2]", ":9: there is no node 's2': there are a, r, s1"),
        ("- [a, s1]", "- [a]", ":9: a link joins two nodes, not 1"),
        ("between: [r, s1]", "betwen: [r, s1]", ":10: unknown key 'betwen' in links[1]"),
        ("{between: [r, s1], ", "{", ":10: links[1] needs `between:`"),
        ('"${delay}"', '"${dealy}"', ":10: unknown parameter ${dealy}: declare it in `parameters:`"),
        ("switches: [s1]", "arp: sometimes", ":2: arp must be static or dynamic, not 'sometimes'"),
        ("switches: [s1]", "switches: [s1", "this is not YAML"),
        ("switches: [s1]", "switches: &x [*x]", ":2: "),
        ("  r:\n", "  a:\n", ":5: a is there twice"),
    ],
)
def test_a_mistake_has_its_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(UserFileError) as caught:
        load_yaml(written(tmp_path, GOOD.replace(old, new)))
    assert f"{tmp_path}/net.yaml" in str(caught.value)
    assert says in str(caught.value)


def test_an_empty_or_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserFileError, match="is empty: it needs `hosts:`"):
        load_yaml(written(tmp_path, ""))
    with pytest.raises(UserFileError, match="cannot be read: No such file"):
        load_yaml(str(tmp_path / "none.yaml"))


def test_the_example_is_built_and_valid_by_the_schema() -> None:
    topo = load_yaml(str(OFFICE)).make()
    topology_checks.check(topo)
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    jsonschema.validate(yaml.safe_load(OFFICE.read_text()), schema())
