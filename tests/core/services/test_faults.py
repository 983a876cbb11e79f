"""The flag --fault: its names and their list, the READY line, and the table in docs/faults.md."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from mininet.topo import Topo

from lab7.experiments.analysis.inspection import rules
from lab7.experiments.harness.faults import FaultError, add_faults, known_faults, parse_faults
from lab7.services.faults import add_fault_flag, fault_words
from lab7.services.ftp.faults import CLIENT_FAULTS
from lab7.services.mail.faults import AGENT_FAULTS
from lab7.topologies.emulation.errors import TopologyError

DOCS = Path(__file__).resolve().parents[3] / "docs" / "faults.md"
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| `([a-z0-9-]+)` \| (RFC [0-9]+ section [0-9.]+) \| [^|]+ \|$", re.MULTILINE)
ALL = {name for faults in (*known_faults().values(), CLIENT_FAULTS, AGENT_FAULTS) for name in faults}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser()
    add_fault_flag(flags, {"one": "a fault", "two": "another"})
    return flags


def test_no_fault_is_on_by_default() -> None:
    assert parser().parse_args([]).fault == []
    assert fault_words(parser().parse_args([])) == []


def test_faults_stand_in_the_ready_line_once() -> None:
    options = parser().parse_args(["--fault", "two", "--fault", "one", "--fault", "two"])
    assert fault_words(options) == ["fault=two", "fault=one"]


def test_an_unknown_fault_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--fault", "three"])
    assert ended.value.code == 2
    assert "invalid choice: 'three' (choose from 'one', 'two')" in capsys.readouterr().err


def test_the_table_has_every_fault_with_a_rule_and_its_section() -> None:
    found = {name: (rule, section) for name, rule, section in ROW.findall(DOCS.read_text())}
    assert found.keys() == ALL
    for rule, section in found.values():
        assert rules()[rule].section == section


@pytest.mark.parametrize("text", ["body-in-304", "=body-in-304", "origin=nothing", "origin="])
def test_a_fault_of_a_run_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(FaultError, match=r"give HOST=NAME; the names are lame-no-aa, .*body-in-304"):
        parse_faults([text])


def network() -> Topo:
    topo = Topo()
    topo.addHost("origin", serves="lab7.services.http.origin --root www")
    topo.addHost("mail", serves=["lab7.services.mail.mta --domain a", "lab7.services.mail.pop3 --domain a"])
    topo.addHost("client")
    return topo


def test_faults_are_added_to_the_services_that_have_them() -> None:
    topo = network()
    add_faults(topo, parse_faults(["origin=body-in-304", "origin=silent-close", "mail=lf-in-pop3"]))
    assert topo.nodeInfo("origin")["serves"] == [
        "lab7.services.http.origin --root www --fault body-in-304 --fault silent-close"
    ]
    assert topo.nodeInfo("mail")["serves"] == [
        "lab7.services.mail.mta --domain a",
        "lab7.services.mail.pop3 --domain a --fault lf-in-pop3",
    ]


@pytest.mark.parametrize("host", ["client", "mail", "nobody"])
def test_a_host_without_such_a_service_is_refused(host: str) -> None:
    with pytest.raises(TopologyError, match=f"no service of {host} has .*: the hosts that have it are origin"):
        add_faults(network(), {host: ("body-in-304",)})


def test_a_replaced_service_shows_no_fault() -> None:
    with pytest.raises(TopologyError, match="no host of this network has it"):
        add_faults(network(), {"origin": ("body-in-304",)}, replaced=("origin",))
