"""V1 to V3: the chain of trust, a forged answer, and the cost of validation: shown, contradicted, undecided.

Keys, digests and octets are dnspython's.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from itertools import pairwise

import dns.dnssec
import dns.message
import dns.name
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from lab7.experiments.dns.claims.security import (
    Step,
    decide_chain_of_trust,
    decide_cost,
    decide_forgery_refused,
    is_digest_of,
    key_tag,
    record_octets,
)
from lab7.experiments.dns.security import CHAIN, NAME
from lab7.experiments.dns.wire.messages import Carrier, DnsMessage, DnsRecord, Question, read_message
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from tests.core.experiments.dns.dns_wire import ADDRESSES

ZONES = (".", "com.", "example.com.")
SERVERS = {".": "root", "com.": "com", "example.com.": "example"}
PRIVATE = {zone: ed25519.Ed25519PrivateKey.from_private_bytes(bytes((place,)) * 32) for place, zone in enumerate(ZONES)}
DNSKEYS = {
    zone: dns.dnssec.make_dnskey(private.public_key(), "ED25519", flags=257) for zone, private in PRIVATE.items()
}
KEYS = {zone: DNSKEYS[zone].to_text().replace("\n", "") for zone in ZONES}
DS = {zone: dns.dnssec.make_ds(zone, DNSKEYS[zone], "SHA256").to_text().upper() for zone in ZONES}
GENUINE, FORGED = "10.53.4.1", "10.53.4.3"
SIGNATURE = b64encode(bytes(64)).decode()


def key_text(zone: str) -> str:
    flags, protocol, algorithm, *key = KEYS[zone].split(" ")
    return f"{flags} {protocol} {algorithm} {''.join(key)}"


def rrsig(name: str, covered: str, zone: str, tag: int | None = None) -> DnsRecord:
    tag = key_tag(key_text(zone)) if tag is None else tag
    return DnsRecord(name, "RRSIG", "IN", 60, f"{covered} 15 3 60 2000000000 1000000000 {tag} {zone} {SIGNATURE}")


class Capture:
    """Exchanges in the making; each takes two frames and 10 ms."""

    def __init__(self) -> None:
        self.exchanges: list[DnsExchange] = []

    def ask(
        self,
        source: str,
        target: str,
        qname: str,
        qtype: str = "A",
        answer: tuple[DnsRecord, ...] = (),
        authority: tuple[DnsRecord, ...] = (),
        size_bytes: int = 100,
        rcode: int = 0,
        ad: bool = False,
    ) -> Capture:
        frame = 2 * len(self.exchanges) + 1
        at = frame * 5_000_000
        carrier = Carrier(frame, at, ADDRESSES[source], 1000 + frame, ADDRESSES[target], 53, "udp")
        question = Question(qname if qname.endswith(".") else qname + ".", qtype)
        query = DnsMessage(
            **vars(carrier),
            size_bytes=40,
            id=frame,
            is_response=False,
            opcode=0,
            rcode=0,
            aa=False,
            tc=False,
            rd=source == "client",
            ra=False,
            question=question,
        )
        reply = replace(
            query,
            frame=frame + 1,
            time_ns=at + 5_000_000,
            source=query.target,
            target=query.source,
            is_response=True,
            answer=answer,
            authority=authority,
            size_bytes=size_bytes,
        )
        self.exchanges.append(DnsExchange(query, replace(reply, rcode=rcode, ad=ad)))
        return self

    @property
    def traffic(self) -> DnsTraffic:
        return DnsTraffic(tuple(self.exchanges))


def a(address: str = GENUINE) -> DnsRecord:
    return DnsRecord(NAME + ".", "A", "IN", 60, address)


def at_local(
    keys: dict[str, str] | None = None, ds: dict[str, str] | None = None, signature: DnsRecord | None = None
) -> Capture:
    """Return the queries of a first lookup with validation."""
    keys = {zone: key_text(zone) for zone in ZONES} | (keys or {})
    digests = DS | (ds or {})
    capture = Capture()
    for zone, below in (*pairwise(ZONES), ("example.com.", None)):
        if below is None:
            capture.ask("local", SERVERS[zone], NAME, answer=(a(), signature or rrsig(NAME + ".", "A", zone)))
        else:
            record = DnsRecord(below, "DS", "IN", 60, digests[below])
            capture.ask("local", SERVERS[zone], NAME, authority=(record, rrsig(below, "DS", zone)))
    for zone in ZONES:
        if keys[zone]:
            capture.ask(
                "local", SERVERS[zone], zone, "DNSKEY", answer=(DnsRecord(zone, "DNSKEY", "IN", 60, keys[zone]),)
            )
    return capture


def client(address: str | None = GENUINE, rcode: int = 0, ad: bool = False) -> DnsTraffic:
    return (
        Capture()
        .ask("client", "local", NAME, answer=() if address is None else (a(address),), rcode=rcode, ad=ad)
        .traffic
    )


def chain(local: Capture, at_client: DnsTraffic | None = None, anchor: str = DS["."]) -> str:
    seen = client(ad=True) if at_client is None else at_client
    return decide_chain_of_trust(seen, local.traffic, NAME, CHAIN, ADDRESSES, anchor).verdict


def test_the_chain_of_trust_is_shown() -> None:
    assert chain(at_local()) == "shown"


@pytest.mark.parametrize("zone", ZONES)
def test_a_key_without_the_digest_of_its_ds_contradicts_it(zone: str) -> None:
    other = key_text("com." if zone != "com." else ".")
    assert chain(at_local(keys={zone: other})) == "failed"


def test_a_ds_or_an_anchor_of_another_key_contradicts_it() -> None:
    assert chain(at_local(ds={"com.": DS["example.com."]})) == "failed"
    assert chain(at_local(), anchor=DS["com."]) == "failed"


def test_no_ad_contradicts_it_and_so_does_an_answer_signed_by_another_key() -> None:
    assert chain(at_local(), client(ad=False)) == "failed"
    assert chain(at_local(signature=rrsig(NAME + ".", "A", "example.com.", tag=1))) == "failed"
    assert chain(at_local(signature=rrsig(NAME + ".", "A", "com."))) == "failed"


@pytest.mark.parametrize("zone", ZONES)
def test_without_a_query_for_keys_it_is_undecided(zone: str) -> None:
    assert chain(at_local(keys={zone: ""})) == "undecided"


def test_a_digest_is_that_of_the_octets() -> None:
    for zone in ZONES:
        assert is_digest_of(DS[zone], zone, key_text(zone))
        assert key_tag(key_text(zone)) == dns.dnssec.key_id(DNSKEYS[zone])
        assert not is_digest_of(DS[zone], "other.", key_text(zone))


# V2


def refused(at_client: DnsTraffic, believed: DnsTraffic | None = None, received: str = FORGED) -> str:
    local = Capture().ask("local", "example", NAME, answer=(a(received),)).traffic
    plain = client(FORGED) if believed is None else believed
    return decide_forgery_refused({"client": at_client, "local": local}, {"client": plain}, NAME, FORGED).verdict


def test_a_forged_answer_that_becomes_servfail_is_shown() -> None:
    assert refused(client(None, rcode=2)) == "shown"


def test_a_forged_answer_that_is_passed_on_contradicts_it() -> None:
    assert refused(client(FORGED)) == "failed"
    assert refused(client(None, rcode=3)) == "failed"
    assert refused(client(None, rcode=2, ad=True)) == "failed"


def test_an_attack_that_does_not_work_leaves_it_undecided() -> None:
    assert refused(client(None, rcode=2), believed=client(GENUINE)) == "undecided"
    assert refused(client(None, rcode=2), received=GENUINE) == "undecided"


# V3


def plain_lookup() -> Capture:
    capture = Capture()
    for role in ("root", "com", "example"):
        capture.ask("local", role, NAME, answer=(a(),) if role == "example" else ())
    return capture


def validated_lookup(extra_octets: int = 0) -> Capture:
    capture = at_local()
    for place, one in enumerate(capture.exchanges[:3]):
        assert one.response is not None
        added = sum(record_octets(each) for each in one.response.records if each.type in ("DS", "RRSIG"))
        response = replace(one.response, size_bytes=100 + added + extra_octets)
        capture.exchanges[place] = replace(one, response=response)
    return capture


def cost(plain: Capture, validated: Capture) -> str:
    return decide_cost(plain.traffic, validated.traffic, NAME, ZONES, ADDRESSES["local"]).verdict


def test_a_query_for_keys_a_zone_and_the_octets_of_signatures_are_shown() -> None:
    assert cost(plain_lookup(), validated_lookup()) == "shown"


def test_other_octets_and_other_queries_contradict_it() -> None:
    assert cost(plain_lookup(), validated_lookup(extra_octets=1)) == "failed"
    fewer = validated_lookup()
    del fewer.exchanges[-1]
    assert cost(plain_lookup(), fewer) == "failed"
    more = plain_lookup().ask("local", "provider", "www.shop.org")
    assert cost(more, validated_lookup()) == "failed"


@pytest.mark.parametrize("zone", ZONES)
def test_the_octets_of_a_record_are_those_of_its_wire_form(zone: str) -> None:
    """Beside a question with the same name, so that the owner is a pointer; scapy reads what dnspython wrote."""
    message = dns.message.make_response(dns.message.make_query(zone, "DS"))
    before = len(message.to_wire())
    data = dns.rrset.from_rdata(zone, 60, dns.dnssec.make_ds(zone, DNSKEYS[zone], "SHA256"))
    signed = dns.dnssec.sign(data, PRIVATE[zone], dns.name.from_text(zone), DNSKEYS[zone], lifetime=60)
    message.answer += [data, dns.rrset.from_rdata(zone, 60, signed), dns.rrset.from_rdata(zone, 60, DNSKEYS[zone])]
    carrier = Carrier(1, 0, "10.0.0.1", 53, "10.0.0.2", 1000, "udp")
    ds, rrsig_, key = read_message(message.to_wire(), carrier).answer
    assert (ds.rdata, key.rdata) == (DS[zone], key_text(zone))
    assert rrsig_.rdata.split(" ")[6:8] == [str(dns.dnssec.key_id(DNSKEYS[zone])), zone]
    del message.answer[2]
    assert len(message.to_wire()) - before == record_octets(ds) + record_octets(rrsig_)


def test_the_steps_are_those_of_the_topology() -> None:
    assert CHAIN[0] == Step(".", "root", None)
    assert [step.zone for step in CHAIN] == list(ZONES)
