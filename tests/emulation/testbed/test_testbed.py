"""A topology as a running network: hosts as on a real one, frames as on a real wire, and nothing left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.experiments.harness.results.network_record import describe
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import CLIENT, SERVER, pair

OFFLOADS = (
    "rx-checksumming",
    "tx-checksumming",
    "scatter-gather",
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
)
HOSTS = ("client", "server")


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with pair(delay="1ms") as running:
        yield running


def output(bed: Testbed, host: str, *words: str) -> str:
    done = bed.host(host).run(words)
    assert done.returncode == 0, done.stderr.decode()
    return str(done.stdout.decode())


def test_its_description_has_the_addresses_and_both_directions_of_the_link(bed: Testbed) -> None:
    described = describe(bed)
    assert described.names == {CLIENT: "client", SERVER: "server"}
    (switch,) = described.switches
    ends = [(link.first, link.first_interface, link.second, link.second_interface) for link in described.links]
    assert ends == [
        ("client", "client-eth0", switch, f"{switch}-eth1"),
        ("server", "server-eth0", switch, f"{switch}-eth2"),
    ]
    assert sum(link.there.delay_s for link in described.links) == 0.001
    assert [link.back.delay_s for link in described.links] == [link.there.delay_s for link in described.links]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_has_its_own_name(bed: Testbed, host: str) -> None:
    assert output(bed, host, "hostname").strip() == host
    assert output(bed, host, "cat", "/etc/hostname").strip() == host
    assert socket.gethostname() not in HOSTS


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_sees_its_own_files_in_etc(bed: Testbed, host: str) -> None:
    assert output(bed, host, "cat", "/etc/hosts").splitlines() == [
        "127.0.0.1 localhost",
        f"{CLIENT} client",
        f"{SERVER} www.example.com server",
    ]
    assert output(bed, host, "cat", "/etc/resolv.conf") == "options timeout:1 attempts:1\n"
    assert "www.example.com server" not in Path("/etc/hosts").read_text()


@pytest.mark.parametrize(("host", "address"), [("client", CLIENT), ("server", SERVER)])
def test_a_host_has_its_address_and_no_other(bed: Testbed, host: str, address: str) -> None:
    lines = output(bed, host, "ip", "-o", "-4", "address", "show", "scope", "global").splitlines()
    assert [line.split()[1:4] for line in lines] == [[f"{host}-eth0", "inet", f"{address}/24"]]


@pytest.mark.parametrize(
    ("name", "address"),
    [("www.example.com", SERVER), ("server", SERVER), ("client", CLIENT), ("localhost", "127.0.0.1")],
)
def test_names_resolve_by_the_c_library(bed: Testbed, name: str, address: str) -> None:
    assert output(bed, "client", "getent", "ahostsv4", name).split()[0] == address


def test_a_name_that_nobody_has_does_not_resolve(bed: Testbed) -> None:
    assert bed.host("client").run(["getent", "ahostsv4", "nobody.example.com"]).returncode == 2


@pytest.mark.parametrize("host", HOSTS)
def test_offload_is_off_on_wires_and_on_plain_links(bed: Testbed, host: str) -> None:
    lines = output(bed, host, "ethtool", "-k", f"{host}-eth0").splitlines()
    found = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    assert {name: found[name].split()[0] for name in OFFLOADS} == dict.fromkeys(OFFLOADS, "off")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_sees_its_own_network_alone(bed: Testbed, host: str) -> None:
    own = sorted([f"{host}-eth0", "lo"])
    for folder in ("/sys/class/net", "/sys/devices/virtual/net"):
        assert sorted(output(bed, host, "ls", folder).split()) == own
    assert sorted(set(output(bed, host, "ls", "/proc/sys/net/ipv4/conf").split()) - {"all", "default"}) == own
    assert sorted(line.split(":")[0].strip() for line in open_lines(bed, host, "/proc/net/dev")[2:]) == own
    # The switches' bridges, the other hosts' names and namespaces.
    assert output(bed, host, "brctl", "show") == ""
    assert output(bed, host, "ip", "netns") == ""
    assert bed.host(host).run(["ip", "link"]).stderr == b""
    assert output(bed, host, "cat", f"/sys/class/net/{host}-eth0/operstate") == "up\n"


def open_lines(bed: Testbed, host: str, path: str) -> list[str]:
    return output(bed, host, "cat", path).splitlines()


@pytest.mark.parametrize("host", HOSTS)
def test_ipv6_is_off(bed: Testbed, host: str) -> None:
    assert output(bed, host, "ip", "-6", "address") == ""


@pytest.mark.parametrize(("host", "other"), [("client", SERVER), ("server", CLIENT)])
def test_neighbours_are_known_for_good(bed: Testbed, host: str, other: str) -> None:
    (line,) = output(bed, host, "ip", "neighbour").splitlines()
    assert line.split()[0] == other
    assert line.split()[-1] == "PERMANENT"


def test_congestion_control_is_the_same_everywhere(bed: Testbed) -> None:
    found = {output(bed, host, "cat", "/proc/sys/net/ipv4/tcp_congestion_control").strip() for host in HOSTS}
    assert found == {bed.congestion_control}


def test_run_gives_output_and_exit_code(bed: Testbed) -> None:
    done = bed.host("client").run(["sh", "-c", "hostname; echo trouble >&2; exit 7"])
    assert (done.returncode, done.stdout, done.stderr) == (7, b"client\n", b"trouble\n")


def test_run_gives_up_on_what_does_not_end(bed: Testbed) -> None:
    with pytest.raises(
        EmulationError, match=r"^`tail -f /dev/null` in client took longer than 0.1 s: give run\(\) another timeout_s$"
    ):
        bed.host("client").run(["tail", "-f", "/dev/null"], timeout_s=0.1)


@pytest.mark.parametrize("words", [(["hostname"],), ("hostname",), ("sh", "-c", "hostname")])
def test_popen_takes_words_or_a_string(bed: Testbed, words: tuple[str | list[str], ...]) -> None:
    process = bed.host("server").popen(*words)
    assert process.communicate(timeout=30)[0] == b"server\n"
    assert process.returncode == 0


def test_popen_gives_the_exit_code(bed: Testbed) -> None:
    assert bed.host("server").popen("exit 5", shell=True).wait(timeout=30) == 5


def test_an_unknown_host_is_named_with_those_that_exist(bed: Testbed) -> None:
    with pytest.raises(
        EmulationError, match=r"^there is no host 'printer' in this topology: its hosts are client, server$"
    ):
        bed.host("printer")
