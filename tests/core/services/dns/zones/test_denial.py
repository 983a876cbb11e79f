"""Answers from signed zones: what a response with DO has beside the answer, and that each proof proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType, type_from_text
from lab7.services.dns.codec.message import Message, encode
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import NSEC, NSEC3
from lab7.services.dns.security.nsec import Denial, NsecRecord, denies_name, denies_type
from lab7.services.dns.security.nsec3 import Nsec3Proof, hash_label, nsec3_hash
from lab7.services.dns.security.signature import ValidationBudget
from lab7.services.dns.security.signer import Nsec3Policy
from tests.core.services.dns.security.records import name
from tests.core.services.dns.security.zones import asked, lines, signed, unsigned

TEXT = """
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
alias CNAME www
*.w TXT wild
*.wc CNAME www
a.*.we TXT "below an empty wildcard"
secure NS ns.secure
ns.secure A 192.0.2.3
insecure NS ns.insecure
ns.insecure A 192.0.2.4
deep.span NS ns
a.b.ent TXT deep
old DNAME www
"""
ZONE = "example."
POLICIES = [None, Nsec3Policy(), Nsec3Policy(b"salt", 2), Nsec3Policy(opt_out=True)]


def test_a_query_without_do_gets_no_records_of_dnssec() -> None:
    zone, plain = signed(ZONE, TEXT, children=("secure.example.",)), unsigned(ZONE, TEXT)
    for qname in ("www", "alias", "none", "x.w", "secure", "a.insecure", "k.old", "ent"):
        for rtype in ("A", "MX", "TXT"):
            with_keys = asked(zone, f"{qname}.example.", rtype, do=False)
            assert with_keys == asked(plain, f"{qname}.example.", rtype, do=False)


def test_an_unsigned_zone_answers_with_do_as_without() -> None:
    plain = unsigned(ZONE, TEXT)
    for qname in ("www", "none", "insecure", "x.w"):
        assert asked(plain, f"{qname}.example.", "A") == asked(plain, f"{qname}.example.", "A", do=False)


def test_each_rrset_is_followed_by_its_signature() -> None:
    zone = signed(ZONE, TEXT)
    found = asked(zone, "alias.example.", "A")
    assert lines(found, "answers") == [
        "alias.example. CNAME www.example.",
        "alias.example. RRSIG CNAME",
        "www.example. A 192.0.2.2",
        "www.example. RRSIG A",
    ]
    # A synthesized CNAME has none.
    assert lines(asked(zone, "k.old.example.", "CNAME"), "answers") == [
        "old.example. DNAME www.example.",
        "old.example. RRSIG DNAME",
        "k.old.example. CNAME k.www.example.",
    ]


def test_a_referral_has_the_ds_or_the_proof_that_there_is_none() -> None:
    zone = signed(ZONE, TEXT, children=("secure.example.",))
    secure = lines(asked(zone, "www.secure.example.", "A"), "authority")
    assert [line.split()[1] for line in secure] == ["NS", "DS", "RRSIG"]
    insecure = lines(asked(zone, "www.insecure.example.", "A"), "authority")
    assert insecure[1:] == [
        "insecure.example. NSEC ns.example. NS RRSIG NSEC",
        "insecure.example. RRSIG NSEC",
    ]
    at_parent = asked(zone, "secure.example.", "DS")
    assert [line.split()[1] for line in lines(at_parent, "answers")] == ["DS", "RRSIG"]
    assert at_parent.aa


QUESTIONS = """
none.example. A NXDOMAIN
a.none.example. A NXDOMAIN
a.www.example. A NXDOMAIN
0.example. A NXDOMAIN
zz.example. A NXDOMAIN
*.example. A NXDOMAIN
x.y.b.ent.example. A NXDOMAIN
www.example. MX NODATA
www.example. DS NODATA
ent.example. A NODATA
b.ent.example. A NODATA
x.w.example. A NODATA
y.x.w.example. A NODATA
*.w.example. A NODATA
x.we.example. A NODATA
we.example. A NODATA
insecure.example. DS NODATA
deep.span.example. DS NODATA
span.example. A NODATA
x.span.example. A NXDOMAIN
example. MX NODATA
"""


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("question", [line for line in QUESTIONS.splitlines() if line])
def test_each_negative_answer_is_proven(policy: Nsec3Policy | None, question: str) -> None:
    qname, rtype, kind = question.split()
    zone = signed(ZONE, TEXT, policy, children=("secure.example.",))
    found = asked(zone, qname, rtype)
    assert found.rcode == (Rcode.NXDOMAIN if kind == "NXDOMAIN" else Rcode.NOERROR)
    opts_out = policy is not None and policy.opt_out
    expected = {Denial.PROVEN, Denial.OPT_OUT} if opts_out else {Denial.PROVEN}
    assert proof_of(found, zone.origin, name(qname), type_from_text(rtype)) in expected
    # Every record of the proof is needed.
    records = [record for record in found.authority if record.rtype in (RRType.NSEC, RRType.NSEC3)]
    for record in records:
        fewer = replace(found, authority=tuple(one for one in found.authority if one is not record))
        # Where spans opt out, the wildcard is needed to know that the answer is secure.
        without = proof_of(fewer, zone.origin, name(qname), type_from_text(rtype))
        assert without is Denial.NOT_PROVEN or (opts_out and without is Denial.OPT_OUT)


def proof_of(message: Message, zone: Name, qname: Name, rtype: int) -> Denial:
    nsec = [NsecRecord(one.name, one.rdata) for one in message.authority if isinstance(one.rdata, NSEC)]
    nsec3 = [(one.name, one.rdata) for one in message.authority if isinstance(one.rdata, NSEC3)]
    proof = Nsec3Proof(nsec3, zone, ValidationBudget())
    if message.rcode == Rcode.NXDOMAIN:
        return proof.denies_name(qname) if proof else denies_name(nsec, qname, zone)
    return proof.denies_type(qname, rtype) if proof else denies_type(nsec, qname, rtype, zone)


def test_the_owner_of_an_nsec3_record_does_not_exist() -> None:
    zone = signed(ZONE, TEXT, Nsec3Policy())
    owner = next(iter(zone.hashed))
    assert asked(zone, str(Name(owner)), "NSEC3").rcode == Rcode.NXDOMAIN


def test_a_name_whose_hash_is_that_of_another_gets_servfail(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = signed(ZONE, TEXT, Nsec3Policy())
    taken = nsec3_hash(name("www.example."), b"", 0)

    def colliding(owner: Name, salt: bytes, iterations: int) -> bytes:
        return taken if owner == name("none.example.") else nsec3_hash(owner, salt, iterations)

    monkeypatch.setattr("lab7.services.dns.zones.denial.nsec3_hash", colliding)
    assert asked(zone, "none.example.", "A").rcode == Rcode.SERVFAIL
    assert asked(zone, "none2.example.", "A").rcode == Rcode.NXDOMAIN
    assert hash_label(taken) in {key[0] for key in zone.hashed}


def test_signatures_that_do_not_fit_set_tc_but_optional_ones_do_not() -> None:
    zone = signed(ZONE, TEXT)
    answer = asked(zone, "www.example.", "A")
    whole = len(encode(answer))
    short = Message.from_wire(encode(answer, whole - 1))
    assert (short.tc, short.answers) == (True, ())
    negative = asked(zone, "none.example.", "A")
    assert Message.from_wire(encode(negative, len(encode(negative)) - 1)).tc
    # The NS set of a positive answer is left out with its signature.
    ns, rrsig = zone.apex[RRType.NS], zone.signature(zone.origin, RRType.NS)
    assert rrsig is not None
    padded = replace(answer, authority=(*ns.records(), *rrsig.records()))
    fewer = Message.from_wire(encode(padded, len(encode(padded)) - 1))
    assert (fewer.tc, fewer.answers, fewer.authority) == (False, answer.answers, ())


def test_a_wildcard_answer_has_the_proof_that_no_name_is_closer() -> None:
    found = asked(signed(ZONE, TEXT), "q.wc.example.", "A")
    assert lines(found, "answers")[:2] == ["q.wc.example. CNAME www.example.", "q.wc.example. RRSIG CNAME"]
    assert lines(found, "authority") == [
        "*.wc.example. NSEC a.*.we.example. CNAME RRSIG NSEC",
        "*.wc.example. RRSIG NSEC",
    ]
