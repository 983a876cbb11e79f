"""How a testbed comes and goes: refused before anything is built, and gone with all it made.

One testbed at a time: within one sandbox the names of two would collide.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import PairTopo, pair

# In the environment of all that a test here starts; other tests run beside it in the same sandbox.
MARK = "LAB7_LIFECYCLE"


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "yes")


def footprint() -> tuple[list[tuple[int, str]], list[str], list[str]]:
    """What a testbed might leave in the sandbox: interfaces, files, processes."""
    files = sorted(str(path) for path in Path("/run").rglob("*"))
    return socket.if_nameindex(), files, [name for name in os.listdir("/proc") if name.isdigit() and is_marked(name)]


def is_marked(pid: str) -> bool:
    try:
        return f"{MARK}=yes".encode() in Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def test_what_a_testbed_starts_is_seen() -> None:
    with pair(delay="1ms"):
        assert footprint()[2]


def test_bash_is_started_by_the_first_cmd() -> None:
    with pair() as bed:
        client = bed.host("client")
        assert "shell" not in vars(client)
        assert client.cmd("hostname").strip() == "client"
        assert client.shell is not None
        client.cmd("word=kept")
        assert client.cmd("echo $word").strip() == "kept"
        assert "shell" not in vars(bed.host("server"))


def test_a_topology_that_cannot_be_is_refused_before_anything_is_built() -> None:
    before = footprint()
    with pytest.raises(TopologyError, match=r"^the link client-s1: loss=200 "):
        pair(loss=200)
    assert footprint() == before


def test_an_unknown_back_end_is_named_with_those_that_exist() -> None:
    with pytest.raises(EmulationError, match=r"^unknown link back end 'wires': choose one of auto, netem, wire$"):
        Testbed(PairTopo(), links="wires").__enter__()


def test_two_testbeds_one_after_the_other_leave_nothing() -> None:
    before = footprint()
    for _ in range(2):
        with pair(delay="1ms") as bed:
            assert bed.host("client").run(["ping", "-c", "1", "server"]).returncode == 0
    interfaces, files, processes = footprint()
    # The kernel numbers interfaces on; what counts is which there are.
    assert [name for _, name in interfaces] == [name for _, name in before[0]]
    assert (files, processes) == before[1:]


def test_an_error_while_building_leaves_nothing_either() -> None:
    before = footprint()
    with pytest.raises(EmulationError, match="origin"), pair("lab7.services.http.origin --root /nowhere", delay="1ms"):
        pytest.fail("a testbed whose service failed is no testbed")
    assert footprint()[1:] == before[1:]


def test_a_second_network_with_the_same_switch_is_refused_and_the_first_goes_on() -> None:
    with pair() as bed:
        before = footprint()
        with pytest.raises(TopologyError, match=r"^another network of this program has a switch s1 as well: stop"):
            pair().__enter__()
        assert footprint() == before
        assert bed.host("client").run(["ping", "-c1", "server"]).returncode == 0
