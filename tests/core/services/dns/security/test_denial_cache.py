"""Aggressive use of validated NSEC and NSEC3 records (RFC 8198): names and types that are answered without a query."""

from __future__ import annotations

import itertools

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.rdata_security import NSEC, NSEC3
from lab7.services.dns.security import nsec3
from lab7.services.dns.security.denial_cache import HASHES_PER_ANSWER_MAX, DenialCache
from lab7.services.dns.security.nsec import Denial, NsecRecord, denies_name
from lab7.services.dns.security.nsec3 import Nsec3Proof, nsec3_hash
from lab7.services.dns.security.secured import SecuredRRset
from lab7.services.dns.security.signature import ValidationBudget
from lab7.services.dns.security.signer import Nsec3Policy
from tests.core.services.dns.recursion.signed_internet import is_authenticated, reply_to, signed_world
from tests.core.services.dns.recursion.simulated_internet import World, name


def test_a_name_that_a_validated_record_denies_is_answered_without_a_query() -> None:
    internet = signed_world()
    first = internet.resolve("none.example.com")
    made = internet.resolve("nona.example.com")
    assert (made.queries, made.rcode, is_authenticated(made)) == (0, Rcode.NXDOMAIN, True)
    # The proof is that of the first answer, and holds for this name.
    proof = [record for record in reply_to(made, "nona.example.com.", 1).authority if record.rtype == RRType.NSEC]
    records = [NsecRecord(one.name, one.rdata) for one in proof if isinstance(one.rdata, NSEC)]
    assert denies_name(records, name("nona.example.com"), name("example.com")) is Denial.PROVEN
    assert reply_to(first, "none.example.com.", 1).authority[0].rdata == reply_to(made, "x.", 1).authority[0].rdata
    # Another type of a name whose types are known.
    internet.resolve("www.example.com", "MX")
    other = internet.resolve("www.example.com", "SRV")
    assert (other.queries, other.rcode, is_authenticated(other)) == (0, Rcode.NOERROR, True)
    assert internet.resolve("www.example.com").answers


def test_a_made_answer_ends_with_the_records_that_prove_it() -> None:
    internet = signed_world()
    internet.resolve("none.example.com")
    internet.now += 40
    assert [rrset.ttl for rrset in internet.resolve("nona.example.com").authority] == [20]
    internet.now += 20
    assert internet.resolve("nonb.example.com").queries == 1


@pytest.mark.parametrize("policy", [None, Nsec3Policy()])
def test_names_of_other_spans_and_below_cuts_are_queried_for(policy: Nsec3Policy | None) -> None:
    internet = signed_world(policy)
    internet.resolve("none.example.com")
    for qname in ("zzz.example.com", "www.insecure.example.com", "www.sub.example.com"):
        assert internet.resolve(qname).queries


# As many names as it takes to learn all spans of the zone.
PROBES = [f"probe{number}.{parent}example.com" for number in range(60) for parent in ("", "ent.", "b.ent.")]


def unaggressive(policy: Nsec3Policy) -> World:
    internet = signed_world(policy)
    assert internet.context.security is not None
    internet.context.security.denials = DenialCache(0)
    return internet


@pytest.mark.parametrize("policy", [Nsec3Policy(), Nsec3Policy(b"salt", 5)])
def test_nsec3_records_that_are_known_deny_further_names_and_types(policy: Nsec3Policy) -> None:
    internet, other = signed_world(policy), unaggressive(policy)
    made = 0
    for probe in PROBES:
        result = internet.resolve(probe)
        assert (result.rcode, result.answers, is_authenticated(result)) == (Rcode.NXDOMAIN, (), True)
        made += result.queries == 0
        # The proof in the response holds for this name.
        proof = reply_to(result, f"{probe}.", 1).authority
        records = [(record.name, record.rdata) for record in proof if isinstance(record.rdata, NSEC3)]
        denial = Nsec3Proof(records, name("example.com"), ValidationBudget()).denies_name(name(probe))
        assert denial is Denial.PROVEN
        assert len(records) <= 3
    assert made > len(PROBES) / 2
    for question in ("www SRV", "ent TXT", "b.ent A", "q.w MX", "x.insecure A", "z.wc A", "x.old A", "sub MX"):
        label, _, rtype = question.partition(" ")
        result, plain = (world.resolve(f"{label}.example.com", rtype) for world in (internet, other))
        assert (result.rcode, result.answers) == (plain.rcode, plain.answers)
        assert is_authenticated(result) == is_authenticated(plain)


def test_a_type_that_a_known_nsec3_record_lacks_is_answered_without_a_query() -> None:
    internet = signed_world(Nsec3Policy())
    internet.resolve("www.example.com", "MX")
    made = internet.resolve("www.example.com", "SRV")
    assert (made.queries, made.rcode, is_authenticated(made)) == (0, Rcode.NOERROR, True)
    # One that a wildcard lacks, proven by the records for another name below it.
    internet.resolve("q.w.example.com", "MX")
    made = internet.resolve("q.w.example.com", "SRV")
    assert (made.queries, made.rcode, made.answers, is_authenticated(made)) == (0, Rcode.NOERROR, (), True)
    assert internet.resolve("www.example.com").answers
    internet.now += 70
    assert internet.resolve("www.example.com", "SRV").queries == 1


def test_a_span_that_opts_out_denies_no_further_name() -> None:
    internet = signed_world(Nsec3Policy(opt_out=True))
    for probe in PROBES:
        assert internet.resolve(probe).queries


def test_the_hashes_of_a_look_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    internet = signed_world(Nsec3Policy())
    for probe in PROBES:
        internet.resolve(probe)
    security = internet.context.security
    assert security is not None
    count = itertools.count()
    monkeypatch.setattr(nsec3, "nsec3_hash", lambda *arguments: (next(count), nsec3_hash(*arguments))[1])
    assert security.denials.answer(name("a." * 100 + "probe.example.com"), RRType.A, internet.now) is None
    assert next(count) == HASHES_PER_ANSWER_MAX


def test_the_records_of_all_zones_together_are_bounded() -> None:
    """Each zone of an attacker, of which there may be any number, has as many records as it likes."""
    internet, cache = signed_world(), DenialCache(30)
    soa = internet.resolve("none.example.com").authority[0]
    assert isinstance(soa, SecuredRRset)
    for number in range(40):
        cache.put(name(f"{number}.example.com"), soa, soa.proof, internet.now)
    assert 0 < len(cache) <= 30 // 2


def test_records_with_another_salt_replace_those_with_the_old_one() -> None:
    zone, cache = name("example.com"), DenialCache()
    for salt in (b"old", b"new"):
        internet = signed_world(Nsec3Policy(salt))
        for probe in PROBES:
            result = internet.resolve(probe)
            soa = result.authority[0]
            assert isinstance(soa, SecuredRRset)
            cache.put(zone, soa, soa.proof, internet.now)
    made = [cache.answer(name(f"x{probe}"), RRType.A, internet.now) for probe in PROBES]
    salts = {rrset.rdatas[0].salt for one in made if one is not None for rrset in one.soa.proof}  # type: ignore[attr-defined]
    assert salts == {b"new"}


def test_without_the_cache_of_denials_each_name_is_queried_for() -> None:
    internet = signed_world()
    assert internet.context.security is not None
    internet.context.security.denials = DenialCache(0)
    internet.resolve("none.example.com")
    assert internet.resolve("nona.example.com").queries == 1
