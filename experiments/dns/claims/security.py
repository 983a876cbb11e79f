"""Verdicts on course claims V1 to V3 on DNSSEC: chain of trust, rejection of a forged answer, cost of validation.

    V1  the local server gets the DNSKEY of every zone in the chain of trust, and its DS from the parent zone
    V2  a validating local server answers SERVFAIL instead of a forged address
    V3  validation costs one DNSKEY query per zone, and the octets of RRSIG and DS records

Traffic is captured at the client and at the local name server (see `wire.traffic`). Key tags and key digests are
computed here from the captured DNSKEY records; signatures are not verified. Sources: RFC 4034 (records; Appendix B: key
tags), RFC 4035 sections 3.2.3 (AD), 5.2 (DS) and 5.5 (SERVFAIL).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.dns.claims.evidence import Addresses, addresses_of, answer_of, asks_for
from lab7.experiments.dns.wire.messages import RCODES, DnsMessage, DnsRecord, canonical
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    in_frames,
)

SERVFAIL = 2
SHA256 = "2"
SECURITY_TYPES = ("RRSIG", "DS")
# Octets of a record's fields before its RDATA, and of a compressed owner name (RFC 1035 sections 4.1.3, 4.1.4).
RECORD_OCTETS, POINTER_OCTETS = 10, 2
# Octets of the RDATA fields before an RRSIG's signer name and a DS record's digest (RFC 4034 sections 3.1, 5.1).
RRSIG_OCTETS, DS_OCTETS = 18, 4


@dataclass(frozen=True)
class Step:
    """Zone in the chain of trust, with the roles of its name servers and of its parent's (None for the root)."""

    zone: str
    role: str
    parent_role: str | None


def wire_name(name: str) -> bytes:
    """Encode a canonical domain name in wire format, without compression."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def key_octets(rdata: str) -> bytes:
    """Encode the RDATA of a DNSKEY record, given in presentation format, as octets."""
    flags, protocol, algorithm, key = rdata.split(" ")
    return int(flags).to_bytes(2, "big") + bytes((int(protocol), int(algorithm))) + b64decode(key)


def key_tag(rdata: str) -> int:
    """Return the key tag of a DNSKEY record (RFC 4034 Appendix B)."""
    octets = key_octets(rdata)
    total = sum(octet << 8 if place % 2 == 0 else octet for place, octet in enumerate(octets))
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def is_digest_of(ds: str, zone: str, key: str) -> bool:
    """Return True if a DS record has the SHA-256 digest of a zone's key (RFC 4034 section 5.1.4)."""
    tag, algorithm, digest_type, digest = ds.split(" ")
    if digest_type != SHA256 or int(tag) != key_tag(key) or algorithm != key.split(" ")[2]:
        return False
    return hashlib.sha256(wire_name(zone) + key_octets(key)).hexdigest().upper() == digest.upper()


@decides("V1")
def decide_chain_of_trust(
    claim: str,
    at_client: DnsTraffic,
    at_local: DnsTraffic,
    name: str,
    chain: Sequence[Step],
    addresses: Addresses,
    anchor: str,
) -> Verdict:
    """Decide claim V1: the local name server gets the DNSKEY of every zone in `chain`, and its DS from the parent zone.

    Each zone must have a key whose digest is in its DS. For the first zone, the DS is the trust anchor `anchor` (RDATA
    as text). The answer must have an RRSIG by a key of the last zone, and the response to the client must have AD set.
    """

    def check() -> Finding:
        reply = _reply(at_client, name)
        if not reply.ad:
            raise Contradiction(f"The response in frame {reply.frame} has no AD.", reply.frame)
        frames, words, keys = list[int](), list[str](), list[str]()
        for step in chain:
            fetched, keys = _keys(at_local, step, addresses)
            found, ds = (None, [anchor]) if step.parent_role is None else _delegation(at_local, step, addresses)
            if not any(is_digest_of(one, step.zone, key) for one in ds for key in keys):
                raise Contradiction(
                    f"No key of {step.zone} in frame {fetched.frame} has the digest of its DS.", fetched.frame
                )
            frames += [fetched.frame, *([] if found is None else [found.frame])]
            source = "the trust anchor" if found is None else f"DS in frame {found.frame}"
            words.append(f"{step.zone} ({source}, keys in frame {fetched.frame})")
        signed = _signed_answer(at_local, name, chain[-1], addresses, keys)
        return (
            f"The local server walks {len(words)} zones: {', '.join(words)}; the answer in frame {signed.frame} is "
            f"signed by a key of {chain[-1].zone}, and the client's response in frame {reply.frame} has AD."
        ), dict.fromkeys([*sorted(frames), signed.frame, reply.frame])

    return decide(claim, [merged([at_client, at_local])], check)


def _reply(at_client: DnsTraffic, name: str) -> DnsMessage:
    for exchange in at_client.exchanges:
        if asks_for(exchange, name, "A"):
            return answer_of(exchange)
    raise Inconclusive(f"No query for {canonical(name)} A at the client.")


def _of(at_local: DnsTraffic, role: str, addresses: Addresses) -> Iterator[tuple[DnsExchange, DnsMessage]]:
    """Yield (exchange, response) for the local name server's queries to a role; truncated responses are left out.

    An exchange is a query with its response.
    """
    for exchange in at_local.exchanges:
        if exchange.query.target in addresses_of(addresses, role):
            response = exchange.response
            if response is not None and not response.tc:
                yield exchange, response


def _keys(at_local: DnsTraffic, step: Step, addresses: Addresses) -> tuple[DnsMessage, list[str]]:
    for exchange, response in _of(at_local, step.role, addresses):
        if asks_for(exchange, step.zone, "DNSKEY"):
            keys = [one.rdata for one in response.answer if one.type == "DNSKEY" and one.name == step.zone]
            if keys:
                return response, keys
    raise Inconclusive(f"The local server gets no DNSKEY of {step.zone} from its servers.")


def _delegation(at_local: DnsTraffic, step: Step, addresses: Addresses) -> tuple[DnsMessage, list[str]]:
    """Return (response of the parent zone's servers with DS records of a zone, RDATA of these records).

    Raises Inconclusive if there is none.
    """
    for _, response in _of(at_local, step.parent_role or "", addresses):
        ds = [one.rdata for one in response.records if one.type == "DS" and one.name == step.zone]
        if ds:
            return response, ds
    raise Inconclusive(f"The local server gets no DS of {step.zone} from the servers of its parent.")


def _signed_answer(
    at_local: DnsTraffic, name: str, last: Step, addresses: Addresses, keys: Sequence[str]
) -> DnsMessage:
    tags = {key_tag(key) for key in keys}
    for exchange, response in _of(at_local, last.role, addresses):
        if not asks_for(exchange, name, "A"):
            continue
        for record in response.answer:
            fields = record.rdata.split(" ")
            if record.type == "RRSIG" and fields[0] == "A" and fields[7] == last.zone and int(fields[6]) in tags:
                return response
        raise Contradiction(f"The answer in frame {response.frame} has no signature of {last.zone}.", response.frame)
    raise Inconclusive(f"No answer for {canonical(name)} A from the servers of {last.zone}.")


@decides("V2")
def decide_forgery_refused(
    claim: str,
    validating: Mapping[str, DnsTraffic],
    believing: Mapping[str, DnsTraffic],
    name: str,
    forged: str,
) -> Verdict:
    """Decide claim V2: a validating local name server receives a forged answer and returns SERVFAIL to the client.

    `validating` has the traffic at the hosts `client` and `local` if the local server validates, `believing` if it does
    not. In the second case the client must get the forged address, which shows that the attack works.
    """

    def check() -> Finding:
        believed = _reply(believing["client"], name)
        if forged not in _addresses(believed):
            raise Inconclusive(f"Without validation the response in frame {believed.frame} is not the forged one.")
        received = _forged_answer(validating["local"], name, forged)
        for exchange in validating["client"].exchanges:
            response = exchange.response
            if not asks_for(exchange, name, "A") or response is None:
                continue
            if forged in _addresses(response):
                raise Contradiction(f"The response in frame {response.frame} has the forged address.", response.frame)
            if response.rcode != SERVFAIL or response.ad:
                code = RCODES.get(response.rcode, str(response.rcode))
                raise Contradiction(
                    f"The response in frame {response.frame} is {code}{' with AD' if response.ad else ''}, expected "
                    "SERVFAIL without AD.",
                    response.frame,
                )
            return (
                f"The local server receives the forged address {forged} in frame {received.frame}, and returns "
                f"SERVFAIL without AD in frame {response.frame}; without validation, in a capture of its own, the "
                f"client gets the forged address in frame {believed.frame}."
            ), [received.frame, response.frame, believed.frame]
        raise Inconclusive(f"No response for {canonical(name)} A at the client.")

    return decide(claim, [merged([validating["client"], validating["local"]])], check)


def _addresses(message: DnsMessage) -> list[str]:
    return [one.rdata for one in message.answer if one.type == "A"]


def _forged_answer(at_local: DnsTraffic, name: str, forged: str) -> DnsMessage:
    for exchange in at_local.exchanges:
        if asks_for(exchange, name, "A") and exchange.response is not None and forged in _addresses(exchange.response):
            return exchange.response
    raise Inconclusive("The local server receives no forged answer.")


@decides("V3")
def decide_cost(
    claim: str, plain: DnsTraffic, validated: DnsTraffic, name: str, zones: Sequence[str], local: str
) -> Verdict:
    """Decide claim V3: validation costs one DNSKEY query per zone, and the octets of RRSIG and DS records.

    `plain` and `validated` are the traffic of the local name server, with address `local`, for the first lookup of a
    name without and with DNSSEC. Apart from these costs, queries and sizes of responses must be the same.
    """

    def check() -> Finding:
        before, after = _upstream(plain, local), _upstream(validated, local)
        keys = [one for one in after if one.query.question is not None and one.query.question.qtype == "DNSKEY"]
        others = [one for one in after if one not in keys]
        fetched = sorted(str(one.query.question.qname) for one in keys if one.query.question is not None)
        frames = [one.query.frame for one in keys]
        if fetched != sorted(zones):
            raise Contradiction(f"DNSKEY is queried for {', '.join(fetched) or 'no zone'} ({in_frames(frames)}).")
        if [one.query.question for one in others] != [one.query.question for one in before]:
            raise Contradiction("With DNSSEC, the local server sends other queries besides those for DNSKEY.")
        signatures = 0
        for one, signed in zip(before, others, strict=True):
            added = [record for record in answer_of(signed).records if record.type in SECURITY_TYPES]
            expected = answer_of(one).size_bytes + sum(record_octets(record) for record in added)
            found = answer_of(signed)
            signatures += expected - answer_of(one).size_bytes
            if found.size_bytes != expected:
                raise Contradiction(
                    f"The response in frame {found.frame} has {found.size_bytes} octets, and theory says {expected}: "
                    f"{answer_of(one).size_bytes} without DNSSEC and those of its RRSIG and DS records.",
                    found.frame,
                )
        sizes = [sum(_octets(one) for one in part) for part in (before, after, keys)]
        return (
            f"For {canonical(name)} the local server sends {len(before)} queries without DNSSEC and {len(after)} with "
            f"it, one more for each of {len(zones)} zones ({in_frames(frames)}); queries and responses have "
            f"{sizes[0]} octets without and {sizes[1]} with it: {sizes[2]} for DNSKEY, {signatures} of RRSIG and DS "
            "records."
        ), dict.fromkeys(frames)

    return decide(claim, [merged([plain]), merged([validated])], check)


def _upstream(traffic: DnsTraffic, local: str) -> list[DnsExchange]:
    return [one for one in traffic.exchanges if one.query.source == local]


def _octets(exchange: DnsExchange) -> int:
    return exchange.query.size_bytes + answer_of(exchange).size_bytes


def record_octets(record: DnsRecord) -> int:
    """Return the size in octets of an RRSIG or DS record in wire format, with a compressed owner name."""
    fields = record.rdata.split(" ")
    owner = 1 if record.name == "." else POINTER_OCTETS
    if record.type == "DS":
        return owner + RECORD_OCTETS + DS_OCTETS + len(fields[3]) // 2
    return owner + RECORD_OCTETS + RRSIG_OCTETS + len(wire_name(fields[7])) + len(b64decode(fields[8]))
