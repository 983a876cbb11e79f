"""Authoritative server, queried by dig, drill and dnspython."""

from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.zone
import pytest

from tests.loopback.dns.authority import HOST, PATIENCE_S, ZONE, dig, run, served


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("zones"), "--allow-transfer", HOST) as port:
        yield port


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("mail.example.com", "A"), "mail.example.com. 3600 IN A 192.0.2.2"),
        (("example.com", "MX"), "example.com. 3600 IN MX 10 mail.example.com."),
        (("_sip._tcp.example.com", "SRV"), "_sip._tcp.example.com. 3600 IN SRV 1 2 5060 mail.example.com."),
        (("x.y.w.example.com", "TXT"), 'x.y.w.example.com. 3600 IN TXT "wild card"'),
        (("odd.example.com", "TYPE65280"), "odd.example.com. 3600 IN TYPE65280 \\# 3 010203"),
        (("10.example.com", "PTR"), "10.example.com. 3600 IN PTR www.example.com."),
        (("a.old.example.com", "CNAME"), "a.old.example.com. 3600 IN CNAME a.new.example.com."),
        (("a.old.example.com", "A"), "a.new.example.com. 3600 IN A 192.0.2.20"),
    ],
)
def test_dig_gets_the_record(port: int, question: tuple[str, str], answer: str) -> None:
    output = [" ".join(line.split()) for line in dig(port, "+noall", "+answer", *question).splitlines()]
    assert answer in output


@pytest.mark.parametrize(
    ("question", "header"),
    [
        (("www.example.com",), "status: NOERROR"),
        (("none.example.com",), "status: NXDOMAIN"),
        (("www.example.net",), "status: REFUSED"),
        (("version.bind", "CH", "TXT"), "status: REFUSED"),
        (("+opcode=UPDATE", "example.com", "SOA"), "status: NOTIMP"),
        (("+edns=1", "+noednsneg", "www.example.com"), "status: BADVERS"),
        (("x.child.example.com",), "flags: qr rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 2"),
    ],
)
def test_dig_gets_the_code(port: int, question: tuple[str, ...], header: str) -> None:
    assert header in dig(port, *question)


def test_dig_turns_to_tcp_when_the_answer_was_cut(port: int) -> None:
    ignoring = dig(port, "+ignore", "+bufsize=512", "big.example.com", "TXT")
    assert "flags: qr aa tc rd" in ignoring
    whole = dig(port, "+bufsize=512", "big.example.com", "TXT")
    assert "retrying in TCP mode" in whole
    assert "f" * 250 in whole


def test_dig_transfers_the_zone_and_dnspython_finds_it_whole(port: int) -> None:
    output = dig(port, "example.com", "AXFR")
    assert "XFR size: 19 records" in output
    found = dns.zone.from_xfr(
        dns.query.xfr(HOST, "example.com", port=port, lifetime=PATIENCE_S, relativize=False), relativize=False
    )
    assert found == dns.zone.from_text(ZONE, relativize=False)


def test_a_transfer_is_refused_to_others(tmp_path: Path) -> None:
    with served(tmp_path) as port:
        assert "Transfer failed" in dig(port, "example.com", "AXFR")


def test_drill_reads_the_answer(port: int) -> None:
    output = run("drill", "-p", str(port), f"@{HOST}", "alias.example.com", "A")
    assert "rcode: NOERROR" in output
    assert "192.0.2.12" in output


def test_addresses_rotate_for_a_client_that_asks_again(port: int) -> None:
    firsts = []
    for _ in range(6):
        response = dns.query.udp(dns.message.make_query("www.example.com", "A"), HOST, port=port, timeout=PATIENCE_S)
        firsts.append(str(response.answer[0][0]))
    assert sorted(firsts[:3]) == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    assert firsts[3:] == firsts[:3]


def test_rotation_can_be_switched_off(tmp_path: Path) -> None:
    with served(tmp_path, "--no-rotate") as port:
        answers = {dig(port, "+short", "www.example.com") for _ in range(3)}
    assert answers == {"192.0.2.10\n192.0.2.11\n192.0.2.12\n"}


def test_several_processes_share_one_port_and_end_together(tmp_path: Path) -> None:
    with served(tmp_path, "--processes", "3") as port:
        for _ in range(10):
            query = dns.message.make_query("mail.example.com", "A")
            assert dns.query.udp(query, HOST, port=port, timeout=PATIENCE_S).rcode() == dns.rcode.NOERROR
            assert dns.query.tcp(query, HOST, port=port, timeout=PATIENCE_S).rcode() == dns.rcode.NOERROR
