"""Resolver with real servers, queried by independent clients: dig and dnspython."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Internet, Resolver, internet, resolver

dns_message = pytest.importorskip("dns.message")
dns_query = pytest.importorskip("dns.query")
dns_flags = pytest.importorskip("dns.flags")
dns_rcode = pytest.importorskip("dns.rcode")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with internet(tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture(scope="module")
def local(net: Internet) -> Iterator[Resolver]:
    with resolver(net.folder, *net.flags) as made:
        yield made


def dig(port: int, *words: str) -> str:
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    command = ["dig", f"@{CLIENT_HOST}", "-p", str(port), "+tries=1", "+time=10", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def ask(port: int, name: str, rtype: str = "A", **query: object) -> object:
    made = dns_message.make_query(name, rtype, **query)
    return dns_query.udp(made, CLIENT_HOST, timeout=PATIENCE_S, port=port)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("www.example.com",), {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        (("WWW.Example.COM", "+tcp"), {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        (("alias.example.com",), {"www.example.com.", "192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        (("away.example.com",), {"host.net.", "192.0.2.60"}),
        (("example.com", "MX"), {"10 mail.example.com."}),
        (("-x", "192.0.2.1"), {"www.example.com."}),
        (("www.example.com", "+noedns"), {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
    ],
)
def test_dig_gets_answers(local: Resolver, words: tuple[str, ...], expected: set[str]) -> None:
    assert set(dig(local.port, "+short", *words).split("\n")) - {""} == expected


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nope.example.com",), "NXDOMAIN"),
        (("below.example.com",), "NOERROR"),
        (("www.example.com", "AXFR", "+notcp"), "REFUSED"),
        (("www.example.com", "CH", "TXT"), "REFUSED"),
    ],
)
def test_dig_shows_errors(local: Resolver, words: tuple[str, ...], status: str) -> None:
    out = dig(local.port, *words)
    # dig has its own message for a failed transfer.
    assert f"status: {status}" in out or "Transfer failed" in out


def test_the_answer_is_not_the_resolvers_own(local: Resolver) -> None:
    reply = ask(local.port, "www.example.com", use_edns=True)
    flags = reply.flags  # type: ignore[attr-defined]
    assert flags & dns_flags.RA
    assert flags & dns_flags.RD
    assert not flags & dns_flags.AA


def test_an_answer_that_is_too_long_comes_over_tcp_on_both_sides(local: Resolver) -> None:
    out = dig(local.port, "big.example.com", "TXT")
    assert "retrying in TCP mode" in out or "(TCP)" in out
    assert "h" * 250 in out
    assert any(event["over"] == "tcp" and event["qtype"] == "TXT" for event in local.events("upstream"))


def test_queries_on_one_connection(local: Resolver) -> None:
    names = ["www.example.com", "nope.example.com", "alias.example.com", "mail.example.com"]
    with socket.create_connection((CLIENT_HOST, local.port), timeout=PATIENCE_S) as connection:
        for name in names:
            dns_query.send_tcp(connection, dns_message.make_query(name, "A"))
        replies = [dns_query.receive_tcp(connection)[0] for _ in names]
    assert {str(reply.question[0].name).rstrip(".") for reply in replies} == set(names)


def test_the_second_question_goes_nowhere(net: Internet) -> None:
    with resolver(net.folder, *net.flags) as local:
        first, second = (ask(local.port, "www.example.com") for _ in range(2))
        assert [one.answer[0].ttl >= 290 for one in (first, second)] == [True, True]  # type: ignore[attr-defined]
        assert local.upstream()[:2] == ["1", "2"]
        assert len(local.upstream()) == 3
        # The other order, and no other difference.
        assert set(first.answer[0]) == set(second.answer[0])  # type: ignore[attr-defined]
        ask(local.port, "once.example.com")
        ask(local.port, "once.example.com")
        assert len(local.upstream()) == 5


def test_without_a_cache_each_question_goes_all_the_way(net: Internet) -> None:
    with resolver(net.folder, *net.flags, "--no-cache") as local:
        for _ in range(3):
            ask(local.port, "www.example.com")
        assert [number for number in local.upstream() if number == "1"] == ["1", "1", "1"]
        assert len(local.upstream()) == 9


def test_addresses_take_turns(local: Resolver) -> None:
    firsts = {
        str(next(iter(ask(local.port, "www.example.com").answer[0])))  # type: ignore[attr-defined]
        for _ in range(4)
    }
    assert firsts == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}


def test_without_rd_answers_come_from_the_cache(net: Internet) -> None:
    with resolver(net.folder, *net.flags) as local:
        unknown = dig(local.port, "www.example.com", "+norecurse")
        assert "ANSWER: 0" in unknown
        assert "a.root.test." in unknown
        assert local.upstream() == []
        dig(local.port, "www.example.com")
        asked = len(local.upstream())
        assert "192.0.2.1" in dig(local.port, "www.example.com", "+norecurse")
        assert "ns1.example.com." in dig(local.port, "mail.example.com", "+norecurse")
        assert len(local.upstream()) == asked


def test_strangers_are_refused(net: Internet) -> None:
    with resolver(net.folder, *net.flags, "--allow", "10.0.0.0/8") as local:
        assert "status: REFUSED" in dig(local.port, "www.example.com")
        assert local.upstream() == []


def test_minimised_the_root_sees_one_label(net: Internet) -> None:
    with resolver(net.folder, *net.flags, "--qname-minimisation") as local:
        assert "192.0.2.5" in dig(local.port, "+short", "deep.down.below.example.com")
        seen = [(event["zone"], event["qname"]) for event in local.events("upstream")]
        assert seen[:3] == [(".", "com."), ("com.", "example.com."), ("example.com.", "below.example.com.")]


def test_hints_from_a_file_and_priming(net: Internet, tmp_path: Path) -> None:
    hints = tmp_path / "named.root"
    hints.write_text(f". 3600 NS a.root.test.\na.root.test. 3600 A {net.net}.1\n")
    flags = ("--root-hints", str(hints), "--upstream-port", str(net.port), "--prime")
    with resolver(net.folder, *flags) as local:
        assert local.events("upstream")[0]["qtype"] == "NS"
        assert "192.0.2.1" in dig(local.port, "+short", "www.example.com")


def test_the_next_server_when_one_dies(tmp_path: Path) -> None:
    with internet(tmp_path) as net, resolver(tmp_path, *net.flags) as local:
        ask(local.port, "www.example.com")
        net.kill(3)
        for name in ("mail", "alias", "nope"):
            reply = ask(local.port, f"{name}.example.com")
            assert reply.rcode() in (dns_rcode.NOERROR, dns_rcode.NXDOMAIN)  # type: ignore[attr-defined]
        net.kill(4)
        assert ask(local.port, "other.example.com").rcode() == dns_rcode.SERVFAIL  # type: ignore[attr-defined]
        # The cache still answers.
        assert ask(local.port, "www.example.com").rcode() == dns_rcode.NOERROR  # type: ignore[attr-defined]
