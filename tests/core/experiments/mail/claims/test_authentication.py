"""A1 to A6: forged, signed, altered and forwarded messages, and each way in which a server gets them wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

import dkim
import pytest

from lab7.experiments.dns.wire.messages import DnsMessage, DnsRecord, Question
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from lab7.experiments.harness.judge.verdict import Inconclusive, Verdict
from lab7.experiments.mail.claims.authentication import (
    Check,
    Scene,
    check_of,
    decide_forgery_with_checks,
    decide_forgery_without_checks,
    decide_forwarding,
    decide_lookup_cost,
    decide_policies,
    decide_signature_of_content,
)
from lab7.experiments.mail.theory.authentication import first_check
from lab7.experiments.mail.wire.dkim import UnreadableSignature, check_signature, signatures
from lab7.experiments.mail.wire.sender_records import Published, dmarc_policy, spf_result
from lab7.topologies.mail_forgery import FORWARD_ADDRESS, MALLORY_ADDRESS, POLICIES, PUBLIC_KEY, SELECTOR
from tests.core.experiments.mail.smtp_wire import RECEIVER, SENDER, SmtpWire

NAMES = ["Forged", "Genuine", "Altered", "Signed", "Unsigned", "News", "Lists"]
KEY = f"v=DKIM1; k=rsa; p={PUBLIC_KEY}"
RECORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{(f"{domain}.", "TXT"): ('"v=spf1 mx:example.org -all"',) for domain in POLICIES},
    **{(f"_dmarc.{domain}.", "TXT"): (f'"v=DMARC1; p={policy}"',) for domain, policy in POLICIES.items()},
    ("example.org.", "MX"): ("10 mail.example.org.",),
    ("mail.example.org.", "A"): (SENDER,),
    (f"{SELECTOR}._domainkey.example.org.", "TXT"): (f'"{KEY[:255]}" "{KEY[255:]}"',),
}


def dns(records: Mapping[tuple[str, str], tuple[str, ...]] = RECORDS) -> DnsTraffic:
    """Responses with these records, one a frame from 1001 on."""
    exchanges = []
    for number, ((name, rtype), values) in enumerate(records.items(), start=1001):
        question = Question(name, rtype)
        common = (number, 0, "10.0.2.25", 5000, "10.0.2.53", 53, "udp", 100, 1)
        query = DnsMessage(*common, False, 0, 0, False, False, True, False, question)  # type: ignore[arg-type]
        answer = tuple(DnsRecord(name, rtype, "IN", 60, value) for value in values)
        exchanges.append(DnsExchange(query, replace(query, is_response=True, answer=answer)))
    return DnsTraffic(tuple(exchanges))


@cache
def key() -> bytes:
    return resources.files("lab7.topologies").joinpath("templates", "dkim.pem").read_bytes()


def letter(name: str, domain: str = "example.org") -> bytes:
    head = f"From: Alice <alice@{domain}>\r\nTo: bob@example.com\r\nSubject: Account\r\n\r\n"
    return f"{head}Dear Bob,\r\npay 100 crowns.\r\n({name})\r\n".encode()


@cache
def signed(name: str, methods: tuple[bytes, bytes] = (b"relaxed", b"relaxed")) -> bytes:
    content = letter(name)
    field: bytes = dkim.sign(content, SELECTOR.encode(), b"example.org", key(), canonicalize=methods)
    return field + content


def altered() -> bytes:
    return signed("Genuine").replace(b"100 crowns", b"900 crowns").replace(b"(Genuine)", b"(Altered)")


Letter = tuple[str, str, bytes, int]


def letters(**changed: Letter) -> dict[str, Letter]:
    """Client address, envelope sender, content and reply code of each message, some of them changed."""
    right: dict[str, Letter] = {
        "Forged": (MALLORY_ADDRESS, "alice@example.org", letter("Forged"), 550),
        "Genuine": (SENDER, "alice@example.org", signed("Genuine"), 250),
        "Altered": (MALLORY_ADDRESS, "alice@example.org", altered(), 550),
        "Signed": (FORWARD_ADDRESS, "alice@example.org", signed("Signed"), 250),
        "Unsigned": (FORWARD_ADDRESS, "alice@example.org", letter("Unsigned"), 550),
        "News": (MALLORY_ADDRESS, "a@news.example.org", letter("News", "news.example.org"), 250),
        "Lists": (MALLORY_ADDRESS, "a@lists.example.org", letter("Lists", "lists.example.org"), 250),
    }
    return {**right, **changed}


def scene(
    folder: Path, of: Mapping[str, Letter], records: Mapping[tuple[str, str], tuple[str, ...]] = RECORDS
) -> Scene:
    """The messages at the receiver's server; INBOX and Junk are as a right server fills them."""
    wire = SmtpWire().wire
    for number, (client, sender, content, code) in enumerate(of.values()):
        one = SmtpWire(wire, 41000 + number, client=client).begin().hello().say(f"MAIL FROM:<{sender}>", 250)
        one.say("RCPT TO:<bob@example.com>", 250).say("DATA", 354).data(content + b".\r\n", code).quit()
    held = {name: b"Return-Path: <>\r\n" + content for name, (_, _, content, code) in of.items() if code == 250}
    inbox = tuple(content for name, content in held.items() if name != "News")
    junk = tuple(content for name, content in held.items() if name == "News")
    return Scene(one.traffic(folder), dns(records), inbox, junk)


DECIDERS: dict[str, Callable[[Scene], Verdict]] = {
    "A1": lambda scene: decide_forgery_without_checks(scene, "Forged", (SENDER,)),
    "A2": lambda scene: decide_forgery_with_checks(scene, "Forged", "Genuine"),
    "A3": lambda scene: decide_signature_of_content(scene, "Genuine", "Altered"),
    "A4": lambda scene: decide_forwarding(scene, "Signed", "Unsigned", FORWARD_ADDRESS),
    "A5": lambda scene: decide_policies(scene, ("Lists", "News", "Forged")),
}


@pytest.mark.parametrize("claim", ["A2", "A3", "A4", "A5"])
def test_a_server_that_checks_shows_it(tmp_path: Path, claim: str) -> None:
    verdict = DECIDERS[claim](scene(tmp_path, letters()))
    assert (verdict.id, verdict.verdict) == (claim, "shown"), verdict.evidence
    assert verdict.frames


def test_a_server_that_does_not_check_shows_that_anything_goes(tmp_path: Path) -> None:
    delivered = letters(Forged=(MALLORY_ADDRESS, "alice@example.org", letter("Forged"), 250))
    verdict = DECIDERS["A1"](scene(tmp_path, delivered, {}))
    assert verdict.verdict == "shown", verdict.evidence
    assert MALLORY_ADDRESS in verdict.evidence


FORGED_TAKEN = letters(Forged=(MALLORY_ADDRESS, "alice@example.org", letter("Forged"), 250))


@pytest.mark.parametrize(
    ("claim", "of", "why"),
    [
        ("A1", letters(), "is answered by 550, not by 250"),
        ("A1", letters(Forged=(SENDER, "alice@example.org", letter("Forged"), 250)), "comes from 10.0.1.25, a server"),
        ("A1", letters(Forged=(MALLORY_ADDRESS, "m@example.net", letter("Forged"), 250)), "does not name a sender"),
        ("A2", FORGED_TAKEN, "is answered by 250, not by 550"),
        ("A2", letters(Genuine=(SENDER, "alice@example.org", signed("Genuine"), 550)), "answered by 550, not by 250"),
        ("A2", letters(Forged=(SENDER, "alice@example.org", letter("Forged"), 550)), "no forgery by the records"),
        (
            "A2",
            letters(Genuine=(MALLORY_ADDRESS, "alice@example.org", letter("Genuine"), 250)),
            "passes neither SPF (fail) nor DKIM",
        ),
        ("A3", letters(Altered=(MALLORY_ADDRESS, "alice@example.org", altered(), 250)), "answered by 250, not by 550"),
        ("A3", letters(Genuine=(SENDER, "alice@example.org", letter("Genuine"), 250)), "no valid signature"),
        ("A3", letters(Altered=(SENDER, "alice@example.org", letter("Altered"), 550)), "has no signature"),
        ("A3", letters(Altered=(SENDER, "alice@example.org", signed("Altered"), 550)), "'Altered' verifies"),
        ("A4", letters(Signed=(SENDER, "alice@example.org", signed("Signed"), 250)), "not forwarded"),
        ("A4", letters(Signed=(FORWARD_ADDRESS, "alice@example.org", signed("Signed"), 550)), "answered by 550"),
        ("A4", letters(Unsigned=(FORWARD_ADDRESS, "alice@example.org", letter("Unsigned"), 250)), "answered by 250"),
        ("A4", letters(Unsigned=(FORWARD_ADDRESS, "alice@example.org", signed("Unsigned"), 550)), "Not 'Signed' alone"),
        ("A5", FORGED_TAKEN, "asks for reject, and the reply is 250"),
        (
            "A5",
            letters(News=(MALLORY_ADDRESS, "a@news.example.org", letter("News", "news.example.org"), 550)),
            "asks for quarantine, and the reply is 550",
        ),
    ],
)
def test_a_server_that_does_otherwise_fails(tmp_path: Path, claim: str, of: dict[str, Letter], why: str) -> None:
    verdict = DECIDERS[claim](scene(tmp_path, of))
    assert verdict.verdict == "failed", verdict.evidence
    assert why in verdict.evidence


@pytest.mark.parametrize("claim", ["A2", "A3", "A4", "A5"])
def test_a_server_that_looks_up_nothing_has_checked_nothing(tmp_path: Path, claim: str) -> None:
    verdict = DECIDERS[claim](scene(tmp_path, letters(), {("example.org.", "MX"): ("10 mail.example.org.",)}))
    assert (verdict.verdict, "did not check" in verdict.evidence) == ("failed", True)


def test_junk_in_inbox_fails_and_so_does_a_forgery_that_is_refused_and_kept(tmp_path: Path) -> None:
    right = scene(tmp_path, letters())
    swapped = replace(right, inbox=(*right.inbox, *right.junk), junk=())
    assert "the message is in INBOX" in DECIDERS["A5"](swapped).evidence
    kept = replace(right, inbox=(*right.inbox, letter("Forged")))
    assert DECIDERS["A2"](kept).verdict == DECIDERS["A5"](kept).verdict == "failed"
    lost = replace(right, inbox=())
    assert [DECIDERS[claim](lost).verdict for claim in ("A2", "A4", "A5")] == ["failed"] * 3


def test_without_traffic_nothing_is_decided(tmp_path: Path) -> None:
    right = scene(tmp_path, letters())
    for empty in (replace(right, smtp=replace(right.smtp, sessions=())), replace(right, dns=DnsTraffic())):
        assert DECIDERS["A2"](empty).verdict == "undecided"
    assert DECIDERS["A2"](replace(right, smtp=replace(right.smtp, dropped=3))).verdict == "undecided"


def test_a_policy_that_no_message_meets_is_undecided(tmp_path: Path) -> None:
    verdict = decide_policies(scene(tmp_path, letters()), ("Lists", "Forged"))
    assert (verdict.verdict, "quarantine" in verdict.evidence) == ("undecided", True)


# A6: what a check costs.

ZONE_SERVERS = ("10.25.0.1", "10.25.0.2", "10.25.0.4")


def exchange(number: int, source: str, target: str, name: str, start_ms: float, end_ms: float) -> DnsExchange:
    endpoints = (source, 5000, target, 53, "udp", 100, number)
    question = Question(name, "TXT")
    query = DnsMessage(number, int(start_ms * 1e6), *endpoints, False, 0, 0, False, False, True, False, question)  # type: ignore[arg-type]
    return DnsExchange(query, replace(query, is_response=True, time_ns=int(end_ms * 1e6)))


def checks(folder: Path, upstream: list[tuple[float, float]]) -> tuple[list[Check], Scene]:
    """One check: two lookups of the server, and its resolver's queries between these times (ms)."""
    one = SmtpWire(client=MALLORY_ADDRESS).begin().hello().message(letter("Forged"), 550).quit()
    smtp = one.traffic(folder)
    start_ms = smtp.messages[0].data.last_ns / 1e6
    own = [
        exchange(1, RECEIVER, "10.0.2.53", "example.org.", start_ms + 1, start_ms + 21),
        exchange(2, RECEIVER, "10.0.2.53", "_dmarc.example.org.", start_ms + 22, start_ms + 32),
    ]
    asked = [
        exchange(number, "10.0.2.53", server, "example.org.", start_ms + begin, start_ms + end)
        for number, ((begin, end), server) in enumerate(zip(upstream, ZONE_SERVERS, strict=False), start=10)
    ]
    # Of another host: no part of the check.
    stranger = exchange(99, "10.0.2.99", "10.25.0.1", "example.org.", start_ms + 2, start_ms + 30)
    seen = Scene(smtp, DnsTraffic(tuple(own)))
    found = check_of(seen, DnsTraffic((*asked, stranger)))
    assert found is not None
    return [found], seen


def test_lookups_one_after_the_other_are_the_cost_of_a_check(tmp_path: Path) -> None:
    first, seen = checks(tmp_path / "first", [(1, 10), (11, 20), (22, 31)])
    later, _ = checks(tmp_path / "later", [])
    verdict = decide_lookup_cost(seen.traffic, first, later[0])
    assert (verdict.verdict, "causes 3 queries" in verdict.evidence) == ("shown", True), verdict.evidence
    assert first[0].total_s == pytest.approx(0.040)
    assert first[0].terms == pytest.approx({"spf": 0.020, "dmarc": 0.010, "residual": 0.010}, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "later", "why"),
    [
        ([], [], "waits for no lookup"),
        ([(1, 10), (5, 20)], [], "under way at once"),
        ([(1, 10)], [(1, 10)], "With a filled cache"),
    ],
)
def test_a_cost_that_is_otherwise_fails(
    tmp_path: Path, first: list[tuple[float, float]], later: list[tuple[float, float]], why: str
) -> None:
    found, seen = checks(tmp_path / "first", first)
    verdict = decide_lookup_cost(seen.traffic, found, checks(tmp_path / "later", later)[0][0])
    assert (verdict.verdict, why in verdict.evidence) == ("failed", True), verdict.evidence


def test_without_both_checks_the_cost_is_undecided(tmp_path: Path) -> None:
    found, seen = checks(tmp_path, [(1, 10)])
    assert decide_lookup_cost(seen.traffic, found, None).verdict == "undecided"
    assert check_of(replace(seen, smtp=replace(seen.smtp, sessions=())), DnsTraffic()) is None


@pytest.mark.parametrize(("keys", "formula", "total_s"), [(0, "6 RTT", 0.12), (2, "8 RTT", 0.16)])
def test_the_closed_form_counts_lookups(keys: int, formula: str, total_s: float) -> None:
    theory = first_check(3, keys, 0.02)
    assert theory.formula == formula
    assert theory.total_s == pytest.approx(total_s)


# The judge's own reading of signatures and records.


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
def test_signatures_of_dkimpy_are_read(header: bytes, body: bytes) -> None:
    content = signed("Genuine", (header, body))
    (signature,) = signatures(content)
    assert signature.key_name == f"{SELECTOR}._domainkey.example.org."
    assert check_signature(content, signature, KEY).verifies
    spaced = content.replace(b"pay 100", b"pay  100")
    assert check_signature(spaced, signatures(spaced)[0], KEY).body_is_signed is (body == b"relaxed")
    folded = content.replace(b"Subject: Account", b"SUBJECT:  Account")
    assert check_signature(folded, signatures(folded)[0], KEY).header_is_signed is (header == b"relaxed")
    other = content.replace(b"Subject: Account", b"Subject: accounts")
    found = check_signature(other, signatures(other)[0], KEY)
    assert (found.body_is_signed, found.header_is_signed, found.verifies) == (True, False, False)


@pytest.mark.parametrize("value", ["", "AAAA", "/" * 344])
def test_a_value_that_is_no_signature_does_not_verify(value: str) -> None:
    content = re.sub(rb"(?s)( b=).*?(\r\nFrom)", rb"\1" + value.encode() + rb"\2", signed("Genuine"))
    padded = content.replace(value.encode(), value.encode()[: len(value) // 4 * 4]) if value else content
    assert not check_signature(padded, signatures(padded)[0], KEY).verifies


@pytest.mark.parametrize("record", ["v=DKIM1; k=ed25519; p=AAAA", "v=DKIM1; p=", "p=AAAA", "p=!", ""])
def test_other_keys_cannot_be_read(record: str) -> None:
    content = signed("Genuine")
    with pytest.raises(UnreadableSignature):
        check_signature(content, signatures(content)[0], record)


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 -all", "192.0.2.1", "fail"),
        ("v=spf1 mx:example.org -all", SENDER, "pass"),
        ("v=spf1 a:mail.example.org/24 ~all", "10.0.1.99", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 ?all", "192.0.2.7", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 ?all", "192.0.3.7", "neutral"),
        ("v=spf1 include:news.example.org ~all", SENDER, "pass"),
        ("v=spf1 include:news.example.org ~all", "192.0.2.1", "softfail"),
        ("v=spf1 ip4:192.0.2.1", "192.0.2.2", "neutral"),
        ("something else", "192.0.2.2", "none"),
    ],
)
def test_spf_is_evaluated_from_the_responses(record: str, address: str, result: str) -> None:
    published = Published.of(dns({**RECORDS, ("one.example.", "TXT"): (f'"{record}"',)}))
    assert spf_result(published, "one.example", address)[0] == result


def test_what_the_capture_does_not_show_is_inconclusive() -> None:
    published = Published.of(dns())
    with pytest.raises(Inconclusive, match=r"no response for other\.example\. TXT"):
        spf_result(published, "other.example", "192.0.2.1")
    macros = Published.of(dns({("one.example.", "TXT"): ('"v=spf1 exists:%{i}.example.org -all"',)}))
    with pytest.raises(Inconclusive, match="is not read here"):
        spf_result(macros, "one.example", "192.0.2.1")
    assert dmarc_policy(published, "news.example.org")[0] == "quarantine"
