"""Transfer parameters: PORT, PASV, EPRT, EPSV, TYPE, MODE, STRU, ALLO, REST, OPTS (RFC 959, RFC 2428, RFC 2577)."""

from pathlib import Path

import pytest

from lab7.services.ftp.server_pi.session import ConnectionInfo
from tests.core.services.ftp.fake_connection import OWN, PEER, FakeConnection, codes_of

MINE = PEER.replace(".", ",")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"PORT {MINE},200,1", 200),
        (f"EPRT |1|{PEER}|51201|", 200),
        (f"EPRT !1!{PEER}!51201!", 200),
        # RFC 2577 section 3: a third address, and ports below 1024.
        ("PORT 198,51,100,9,200,1", 504),
        ("EPRT |1|198.51.100.9|51201|", 504),
        (f"PORT {MINE},3,255", 504),
        (f"PORT {MINE},0,25", 504),
        (f"EPRT |1|{PEER}|25|", 504),
        ("EPRT |2|2001:db8::1|51201|", 522),
        ("EPRT |3|x|51201|", 522),
        ("EPRT |1|2001:db8::1|51201|", 501),
        ("EPRT |1|host|51201|", 501),
        (f"EPRT |1|{PEER}|99999|", 501),
        (f"EPRT |1|{PEER}|51201", 501),
        (f"PORT {MINE},200", 501),
        (f"PORT {MINE},200,256", 501),
        (f"PORT {MINE},200,-1", 501),
        (f"PORT {MINE},200,1,1", 501),
        ("PORT", 501),
        ("PASV", 227),
        ("PASV x", 501),
        ("EPSV", 229),
        ("EPSV 1", 229),
        ("EPSV 2", 522),
        ("EPSV all", 200),
        ("EPSV x", 501),
        # RFC 2428 section 3: also an unassigned protocol.
        ("EPSV 3", 522),
        ("EPSV 0", 522),
        ("TYPE A", 200),
        ("TYPE a n", 200),
        ("TYPE I", 200),
        ("TYPE L 8", 200),
        ("TYPE L 36", 504),
        ("TYPE E", 504),
        ("TYPE A T", 504),
        ("TYPE A C", 504),
        ("TYPE X", 501),
        ("TYPE L", 501),
        ("TYPE", 501),
        ("MODE S", 200),
        ("MODE B", 504),
        ("MODE C", 504),
        ("MODE X", 501),
        ("STRU F", 200),
        ("STRU R", 504),
        ("STRU P", 504),
        ("STRU X", 501),
        ("ALLO 100", 202),
        ("ALLO 100 R 10", 202),
        ("ALLO x", 501),
        ("REST 0", 350),
        ("REST 100", 350),
        ("REST -1", 501),
        ("REST 99999999999999999999", 501),
        ("OPTS UTF8 ON", 200),
        ("OPTS UTF8 OFF", 501),
        ("OPTS MLST type;size;", 200),
        ("OPTS MLST", 200),
        ("OPTS X", 501),
    ],
)
def test_a_parameter_and_its_reply(desk: FakeConnection, command: str, code: int) -> None:
    assert desk.codes(command) == [code]


def test_pasv_tells_address_and_port(desk: FakeConnection) -> None:
    assert f"({OWN.replace('.', ',')},195,80)" in desk.say("PASV")[0]


def test_epsv_tells_the_port_alone(desk: FakeConnection) -> None:
    assert desk.say("EPSV")[0].endswith("(|||50000|)")


def test_after_epsv_all_nothing_else_makes_a_connection(desk: FakeConnection) -> None:
    commands = ["EPSV ALL", "PASV", f"PORT {MINE},200,1", f"EPRT |1|{PEER}|51201|", "EPSV"]
    assert desk.codes(*commands) == [200, 503, 503, 503, 229]


def test_no_free_port_is_425(desk: FakeConnection) -> None:
    desk.passive_ports = []
    assert desk.codes("PASV", "EPSV") == [425, 425]


def test_a_bounce_is_noted(desk: FakeConnection) -> None:
    desk.say("PORT 198,51,100,9,0,25")
    note = desk.log_events[-1]
    assert (note.event, dict(note.values)) == ("bounce_refused", {"asked_host": "198.51.100.9", "asked_port": 25})


def test_ipv6_has_the_extended_commands(root: Path) -> None:
    desk = FakeConnection(root, ConnectionInfo("2001:db8::7", "2001:db8::1"))
    desk.log_in()
    commands = ["PASV", "EPSV", "EPSV 2", "EPSV 1", "EPRT |2|2001:db8::7|51201|", "EPRT |1|192.0.2.7|51201|"]
    assert desk.codes(*commands, f"PORT {MINE},200,1") == [502, 229, 229, 522, 200, 522, 504]


def test_facts_are_chosen_by_opts(desk: FakeConnection) -> None:
    assert desk.say("OPTS MLST size;unknown;TYPE;") == ["200 MLST OPTS type;size;"]
    assert desk.say("MLST a.txt")[1] == " type=file;size=8; /a.txt"
    feature = next(line for line in desk.say("FEAT") if "MLST" in line)
    assert feature == " MLST type*;size*;modify;perm;unique;UNIX.mode;"


@pytest.mark.parametrize("command", ["OPTS MLST", "OPTS MLST unknown;"])
def test_no_fact_and_no_space_where_none_is_chosen(desk: FakeConnection, command: str) -> None:
    """RFC 3659 section 7.9."""
    assert desk.say(command, "MLST a.txt")[:3] == ["200 MLST OPTS", "250-Listing /a.txt", "  /a.txt"]


def test_user_keeps_the_parameters(desk: FakeConnection) -> None:
    assert codes_of(desk.say("TYPE I", "USER ann", "PASS secret")) == [200, 331, 230]
    assert any("TYPE I" in line for line in desk.say("STAT"))
