"""DNS message rules: each fault gives exactly one violation, with its octets, and correct traffic gives none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet import UDP

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.analysis.rules.rule import Violation
from tests.core.experiments.dns.dns_wire import Asked, Net, a, mx, opt, response, rr, soa


def violations(net: Net) -> list[Violation]:
    return list(inspect(net.capture(), ("dns",)).violations)


def raw(net: Net, asked: Asked, octets: bytes) -> None:
    """Send these octets as the response."""
    net.add(asked.target, asked.source, UDP(sport=53, dport=asked.port), octets)


def edited(net: Net, change: Callable[[bytes], bytes], **how: Any) -> None:
    """Answer a query by a response whose octets are changed."""
    asked = net.query("client", "local", "www.example.com")
    raw(net, asked, change(bytes(response(asked, **how))))


def test_a_resolution_gives_no_violation() -> None:
    net = Net()
    asked = net.query("client", "local", "www.example.com")
    net.ask(
        "local",
        "root",
        "www.example.com",
        authority=[rr("com.", "NS", "ns.com.")],
        additional=[a("ns.com.", "10.2.0.53")],
    )
    net.ask(
        "local", "com", "www.example.com",
        authority=[rr("example.com.", "NS", "ns1.example.com.")], additional=[a("ns1.example.com.", "10.3.0.53")],
    )  # fmt: skip
    net.ask("local", "example", "www.example.com", answer=[a("www.example.com.", "10.9.0.1")], aa=1)
    net.answer(asked, [a("www.example.com.", "10.9.0.1")], ra=1)
    net.after(3000)
    net.ask("client", "local", "www.example.com", answer=[a("www.example.com.", "10.9.0.1", 297)], ra=1)
    net.tcp("client", "local", "www.example.com", answer=[a("www.example.com.", "10.9.0.1", 297)])
    net.ask("client", "local", "no.example.com", authority=[soa("example.com.")], rcode=3)
    net.ask("local", "example", "no.example.com", authority=[soa("example.com.")], rcode=3, aa=1)
    assert violations(net) == []


def test_a_fresh_ttl_after_a_query_upstream_gives_no_violation() -> None:
    net = Net()
    for _ in range(2):
        asked = net.query("client", "local", "www.example.com")
        net.ask("local", "example", "www.example.com", answer=[a("www.example.com.", "10.9.0.1")], aa=1)
        net.answer(asked, [a("www.example.com.", "10.9.0.1")], ra=1)
        net.after(4000)
    assert violations(net) == []


EDITS: dict[str, tuple[Callable[[bytes], bytes], str, bytes]] = {
    "another ID": (lambda octets: b"\x99\x99" + octets[2:], "dns-id", b"\x99\x99"),
    "no QR": (lambda octets: octets[:2] + bytes([octets[2] & 0x7F]) + octets[3:], "dns-qr", b"\x01\x00"),
    "RDLENGTH too large": (
        lambda octets: octets.replace(b"\x00\x04\x0a\x09", b"\x00\x06\x0a\x09"),
        "dns-format",
        b"\x00\x06",
    ),
    "octets behind the message": (lambda octets: octets + b"xyz", "dns-format", b"xyz"),
    "a missing record": (
        lambda octets: octets[:6] + b"\x00\x02" + octets[8:],
        "dns-format",
        b"\x00\x01\x00\x02\x00\x00\x00\x00",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_changed_octets_give_one_violation(name: str) -> None:
    change, rule, octets = EDITS[name]
    net = Net()
    edited(net, change, answer=[a("www.example.com.", "10.9.0.1")])
    assert [(one.rule.id, one.octets) for one in violations(net)] == [(rule, octets)]


def test_a_response_without_question() -> None:
    net = Net()

    def without_question(octets: bytes) -> bytes:
        return octets[:4] + b"\0\0" + octets[6:12] + octets[12 + 17 + 4 :]

    edited(net, without_question, answer=[a("www.example.com.", "10.9.0.1")])
    assert [one.rule.id for one in violations(net)] == ["dns-question"]


CONTENTS: dict[str, tuple[dict[str, Any], str]] = {
    "NXDOMAIN without SOA": ({"rcode": 3, "aa": 1}, "dns-negative"),
    "NODATA without SOA": ({"aa": 1}, "dns-negative"),
    "CNAME beside other data": (
        {"answer": [rr("www.example.com.", "CNAME", "x.example.com."), a("www.example.com.", "10.9.0.1")], "aa": 1},
        "dns-alias",
    ),
    "two TTLs": (
        {"answer": [a("www.example.com.", "10.9.0.1", 300), a("www.example.com.", "10.9.0.2", 200)], "aa": 1},
        "dns-rrset-ttl",
    ),
    "referral without glue": ({"authority": [rr("example.com.", "NS", "ns1.example.com.")]}, "dns-glue"),
    "too long for UDP": (
        {"answer": [rr("www.example.com.", "TXT", "x" * 250), rr("www.example.com.", "TXT", "y" * 250)], "aa": 1},
        "dns-truncation",
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_give_one_violation(name: str) -> None:
    how, rule = CONTENTS[name]
    net = Net()
    net.ask("local", "example", "www.example.com", **how)
    assert [one.rule.id for one in violations(net)] == [rule]


def test_a_long_response_within_the_limit_of_edns() -> None:
    net = Net()
    asked = net.query("local", "example", "www.example.com", "TXT", extra=[opt(1232)])
    net.answer(asked, [rr("www.example.com.", "TXT", letter * 250) for letter in "xy"], aa=1)
    assert violations(net) == []


def test_an_mx_that_points_to_an_alias() -> None:
    net = Net()
    net.ask("local", "example", "example.com", "MX", answer=[mx("example.com.", 10, "mail.example.com.")], aa=1)
    net.ask(
        "local", "example", "mail.example.com",
        answer=[rr("mail.example.com.", "CNAME", "host.example.com."), a("host.example.com.", "10.9.0.1")], aa=1,
    )  # fmt: skip
    assert [one.rule.id for one in violations(net)] == ["dns-target"]


@pytest.mark.parametrize("how", [{"rcode": 5}, {"rcode": 2}, {}], ids=["REFUSED", "SERVFAIL", "no AA"])
def test_a_lame_delegation(how: dict[str, Any]) -> None:
    net = Net()
    net.ask(
        "local", "com", "www.example.com",
        authority=[rr("example.com.", "NS", "ns1.example.com.")], additional=[a("ns1.example.com.", "10.3.0.53")],
    )  # fmt: skip
    net.ask("local", "example", "www.example.com", rd=0, **how)
    (one,) = violations(net)
    assert one.rule.id == "dns-lame"
    assert "10.3.0.53, to which example.com. is delegated" in one.found


def test_a_ttl_that_is_not_decremented() -> None:
    net = Net()
    for rtt_ms in (80, 1, 1):
        net.ask("client", "local", "www.example.com", answer=[a("www.example.com.", "10.9.0.1")], ra=1, rtt_ms=rtt_ms)
        net.after(5000)
    (one,) = violations(net)
    assert (one.rule.id, one.octets) == ("dns-ttl", (300).to_bytes(4, "big"))
    assert one.expected == "TTL 295"


@pytest.mark.parametrize("size", range(40))
def test_every_cut_of_a_message_is_a_fault_of_its_format(size: int) -> None:
    net = Net()
    edited(net, lambda octets: octets[:size], answer=[a("www.example.com.", "10.9.0.1")])
    assert {one.rule.id for one in violations(net)} <= {"dns-format"}
    assert violations(net)


def test_the_frame_is_named() -> None:
    net = Net()
    edited(net, lambda octets: octets + b"xyz", answer=[a("www.example.com.", "10.9.0.1")])
    (one,) = violations(net)
    # Each packet is captured at both ends: the query in frames 1 and 2, the response in 3 (server) and 4 (client).
    assert (one.frame, one.interface) == (4, "client")
