"""Validation: secure, insecure and bogus answers, the queries that the chain of trust takes, and the reasons given."""

from __future__ import annotations

import itertools
from dataclasses import replace
from random import Random

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType, type_to_text
from lab7.services.dns.codec.message import EDNS, Message, Question, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import A
from lab7.services.dns.codec.rdata_security import DS, NSEC, RRSIG
from lab7.services.dns.recursion.iterator import Result, from_cache
from lab7.services.dns.recursion.query import QUERIES_MAX
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.security.keys import derived_keys, ds_of, matches
from lab7.services.dns.security.signature import FAILURES_MAX
from lab7.services.dns.security.signer import Nsec3Policy, SigningPolicy, sign_zone
from tests.core.services.dns.recursion.signed_internet import (
    COM_TEXT,
    EXAMPLE_TEXT,
    anchors,
    changed,
    example_zones,
    is_authenticated,
    reason,
    reply_to,
    signed_world,
    without,
)
from tests.core.services.dns.recursion.simulated_internet import (
    Behaviour,
    World,
    authoritative,
    forwarding,
    name,
    silent,
    texts,
    world,
)
from tests.core.services.dns.security.zones import NOW, keys_of, signed, unsigned

POLICIES = [None, Nsec3Policy(), Nsec3Policy(b"salt", 5), Nsec3Policy(opt_out=True)]
QUESTION_NAMES = """
@ www mail alias toplain dangling q.w y.q.w *.w z.wc ent b.ent a.b.ent none a.none old x.old a.old.x a.old insecure
www.insecure none.insecure span.of www.span.of of x.of sub www.sub none.sub ns1
"""


def resolved(internet: World, question: str) -> Result:
    """Resolve a question `name type`."""
    qname, rtype = question.split()
    return internet.resolve(qname, rtype)


def asked(internet: World) -> list[tuple[str, str]]:
    return [(type_to_text(ask.question.rtype), str(ask.question.name)) for ask in internet.asked]


def test_the_chain_of_trust_takes_one_query_for_keys_a_zone() -> None:
    internet = signed_world()
    result = internet.resolve("www.example.com")
    assert texts(result.answers) == ["www.example.com. A 192.0.2.1", "www.example.com. A 192.0.2.2"]
    assert is_authenticated(result)
    assert asked(internet) == [
        ("A", "www.example.com."),
        ("A", "www.example.com."),
        ("A", "www.example.com."),
        ("DNSKEY", "."),
        ("DNSKEY", "com."),
        ("DNSKEY", "example.com."),
    ]
    assert all(ask.dnssec_ok and ask.edns for ask in internet.asked)
    # The keys are kept, and so is the answer with its signatures.
    assert internet.resolve("mail.example.com").queries == 1
    again = internet.resolve("www.example.com")
    assert again.queries == 0
    assert is_authenticated(again)
    assert [record.rtype for record in reply_to(again, "www.example.com.", 1).answers].count(RRType.RRSIG) == 1


def test_without_trust_anchors_nothing_changes() -> None:
    plain = world()
    result = plain.resolve("www.example.com")
    assert not any(ask.dnssec_ok for ask in plain.asked)
    assert not is_authenticated(result)
    assert result.extended_error is None


@pytest.mark.parametrize("policy", POLICIES)
def test_every_question_has_the_answer_that_it_has_without_validation(policy: Nsec3Policy | None) -> None:
    """In an order in which each of them needs a part of the chain, and with what is cached of it."""
    kept, plain = signed_world(policy), World(signed_world(policy).servers)
    for label, rtype in itertools.product(QUESTION_NAMES.split(), ("TXT", "A", "DS", "DNSKEY", "CNAME")):
        qname = "example.com" if label == "@" else f"{label}.example.com"
        unvalidated = plain.resolve(qname, rtype)
        for internet in (kept, *([signed_world(policy)] if rtype == "A" else [])):
            result = internet.resolve(qname, rtype)
            where = f"{qname} {rtype}: {result.detail}"
            assert result.rcode == unvalidated.rcode, where
            # The DNAME that implies a CNAME belongs to it, because the CNAME has no signature.
            extra = [text for text in texts(result.answers) if text not in texts(unvalidated.answers)]
            assert extra in ([], ["old.example.com. DNAME new.example.com."]), where
            assert [text for text in texts(result.answers) if text not in extra] == texts(unvalidated.answers), where
            assert is_authenticated(result) == is_secure_name(label, rtype, policy, result.rcode), where


def is_secure_name(label: str, rtype: str, policy: Nsec3Policy | None, rcode: int) -> bool:
    """Tell by the zone's text whether an answer is secure."""
    if label == "toplain" and rtype != "CNAME":
        return False
    for cut in ("insecure", "span.of"):
        if label.endswith("." + cut) or (label == cut and rtype != "DS"):
            return False
    if policy is None or not policy.opt_out:
        return True
    # All spans opt out, so an answer that a span proves is not secure (RFC 5155 section 9.2).
    proven_by_span = label in ("q.w", "y.q.w", "z.wc", "of", "insecure", "span.of") or rcode == Rcode.NXDOMAIN
    return not proven_by_span


def test_an_alias_into_an_unsigned_zone_is_insecure_as_a_whole() -> None:
    internet = signed_world()
    result = internet.resolve("toplain.example.com")
    assert texts(result.answers) == ["toplain.example.com. CNAME www.plain.com.", "www.plain.com. A 192.0.2.50"]
    assert not is_authenticated(result)
    back = internet.resolve("back.plain.com")
    assert texts(back.answers)[-1] == "www.example.com. A 192.0.2.2"
    assert not is_authenticated(back)


# Bogus.


def forging() -> Behaviour:
    """Return example.com's server, which answers for www with another address and the genuine signature."""

    def change(_: Message, reply: Message) -> Message:
        return replace(reply, answers=tuple(replaced(record) for record in reply.answers))

    def replaced(record: Record) -> Record:
        if isinstance(record.rdata, A) and record.name == name("www.example.com"):
            return replace(record, rdata=A(record.rdata.address + 1))
        return record

    return changed(authoritative(*example_zones()), change)


def test_a_forged_answer_is_refused() -> None:
    server = forging()
    internet = signed_world(s3=server, s4=server)
    result = internet.resolve("www.example.com")
    assert (result.rcode, result.answers) == (Rcode.SERVFAIL, ())
    assert reason(result) == ErrorCode.DNSSEC_BOGUS
    assert not reply_to(result, "www.example.com.", 1).ad
    # Other names of the zone are not affected, and the failure is cached for a second only.
    assert is_authenticated(internet.resolve("mail.example.com"))
    again = internet.resolve("www.example.com")
    assert (again.queries, again.rcode, reason(again)) == (0, Rcode.SERVFAIL, ErrorCode.DNSSEC_BOGUS)
    internet.servers |= {"127.0.1.3": authoritative(*example_zones()), "127.0.1.4": authoritative(*example_zones())}
    internet.now += 1.5
    assert is_authenticated(internet.resolve("www.example.com"))


def test_the_next_server_is_queried_after_a_bogus_answer() -> None:
    results = [signed_world(s3=forging()).resolve("www.example.com") for _ in range(2)]
    assert all(is_authenticated(result) for result in results)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without(RRType.RRSIG, of=RRType.A), ErrorCode.RRSIGS_MISSING),
        (without(RRType.DNSKEY, of=RRType.DNSKEY), ErrorCode.DNSKEY_MISSING),
        (without(RRType.RRSIG, of=RRType.DNSKEY), ErrorCode.RRSIGS_MISSING),
    ],
)
def test_a_signed_zone_without_its_signatures_or_keys_is_bogus(change, code: int) -> None:  # type: ignore[no-untyped-def]
    server = changed(authoritative(*example_zones()), change)
    result = signed_world(s3=server, s4=server).resolve("www.example.com")
    assert reason(result) == code


@pytest.mark.parametrize("rtype", [RRType.NSEC, RRType.RRSIG])
@pytest.mark.parametrize("question", ["none.example.com A", "www.example.com MX"])
def test_a_negative_answer_without_its_proof_is_bogus(rtype: int, question: str) -> None:
    server = changed(authoritative(*example_zones()), without(rtype, section="authority"))
    result = resolved(signed_world(s3=server, s4=server), question)
    assert reason(result) in (ErrorCode.NSEC_MISSING, ErrorCode.RRSIGS_MISSING)


def test_a_negative_answer_for_a_name_that_exists_is_bogus() -> None:
    """With the genuine proof for another name."""
    genuine = authoritative(*example_zones())

    def change(query: Message, reply: Message) -> Message:
        if query.questions[0].rtype != RRType.A or query.questions[0].name != name("www.example.com"):
            return reply
        other = genuine(replace(query, questions=(replace(query.questions[0], name=name("none.example.com")),)), None)  # type: ignore[arg-type]
        assert other is not None
        return replace(other, questions=reply.questions)

    server = changed(genuine, change)
    assert reason(signed_world(s3=server, s4=server).resolve("www.example.com")) == ErrorCode.NSEC_MISSING


def test_a_wildcard_answer_without_the_proof_that_no_name_is_closer_is_bogus() -> None:
    server = changed(authoritative(*example_zones()), without(RRType.NSEC, section="authority", of=RRType.A))
    assert reason(signed_world(s3=server, s4=server).resolve("q.w.example.com")) == ErrorCode.NSEC_MISSING


@pytest.mark.parametrize(
    ("begin", "end", "code"),
    [(-100, -1, ErrorCode.SIGNATURE_EXPIRED), (100, 200, ErrorCode.SIGNATURE_NOT_YET_VALID)],
)
def test_signatures_out_of_their_time_are_bogus(begin: int, end: int, code: int) -> None:
    policy = SigningPolicy(NOW + begin, NOW + end)
    server = authoritative(sign_zone(unsigned("example.com.", EXAMPLE_TEXT), keys_of("example.com."), policy))
    assert reason(signed_world(s3=server, s4=server).resolve("www.example.com")) == code


def test_keys_that_are_not_those_of_the_ds_are_bogus() -> None:
    other = derived_keys(name("example.com"), "stolen")
    server = authoritative(sign_zone(unsigned("example.com.", EXAMPLE_TEXT), other, SigningPolicy.at(NOW)))
    assert reason(signed_world(s3=server, s4=server).resolve("www.example.com")) == ErrorCode.DNSKEY_MISSING


def test_an_unsigned_zone_in_place_of_a_signed_one_is_bogus() -> None:
    server = authoritative(unsigned("example.com.", EXAMPLE_TEXT))
    for question in ("www.example.com A", "none.example.com A", "www.example.com MX", "alias.example.com A"):
        assert reason(resolved(signed_world(s3=server, s4=server), question)) is not None


def test_a_referral_without_ds_makes_no_zone_insecure() -> None:
    """An attacker removes the DS from the referral, and the answer is unsigned."""
    com = authoritative(signed("com.", COM_TEXT, None, ("example.com.",)))
    stripped = changed(com, without(RRType.DS, RRType.RRSIG, RRType.NSEC, section="authority", of=RRType.A))
    server = authoritative(unsigned("example.com.", EXAMPLE_TEXT))
    internet = signed_world(s2=stripped, s3=server, s4=server)
    assert reason(internet.resolve("www.example.com")) is not None
    # With the genuine zone behind it, the DS is queried for.
    internet = signed_world(s2=stripped)
    assert is_authenticated(internet.resolve("www.example.com"))
    assert ("DS", "example.com.") in asked(internet)


# Insecure.


@pytest.mark.parametrize("policy", POLICIES)
def test_an_unsigned_delegation_is_proven_insecure(policy: Nsec3Policy | None) -> None:
    internet = signed_world(policy)
    result = internet.resolve("www.plain.com")
    assert texts(result.answers) == ["www.plain.com. A 192.0.2.50"]
    assert not is_authenticated(result)
    assert ("DS", "plain.com.") not in asked(internet)


@pytest.mark.parametrize(
    ("ds", "code"),
    [
        (DS(1, 15, 250, bytes(20)), ErrorCode.UNSUPPORTED_DS_DIGEST),
        (DS(1, 253, 2, bytes(32)), ErrorCode.UNSUPPORTED_DNSKEY_ALGORITHM),
        (DS(1, 1, 2, bytes(32)), ErrorCode.UNSUPPORTED_DNSKEY_ALGORITHM),
        (DS(1, 3, 1, bytes(20)), ErrorCode.UNSUPPORTED_DNSKEY_ALGORITHM),
    ],
)
def test_a_zone_with_algorithms_that_are_not_implemented_is_insecure(ds: DS, code: ErrorCode) -> None:
    plain = unsigned("com.", COM_TEXT)
    com = sign_zone(plain, keys_of("com."), SigningPolicy.at(NOW), {name("example.com"): [ds]})
    internet = signed_world(s2=authoritative(com))
    # RFC 8914 sections 4.2 and 4.3; the second answer comes from the cache.
    for question in ("www.example.com A", "www.example.com A", "none.example.com A", "alias.example.com A"):
        result = resolved(internet, question)
        assert result.rcode == (Rcode.NXDOMAIN if question.startswith("none") else Rcode.NOERROR)
        assert (is_authenticated(result), reason(result)) == (False, code), question


def test_a_digest_by_sha1_counts_only_alone() -> None:
    origin, key = name("example.com"), keys_of("example.com.")[0].dnskey
    sha1, sha256 = ds_of(origin, key, 1), ds_of(origin, key, 2)
    wrong = replace(sha256, digest=bytes(32))
    for records, secure in (([sha1], True), ([sha1, sha256], True), ([sha1, wrong], False)):
        com = sign_zone(unsigned("com.", COM_TEXT), keys_of("com."), SigningPolicy.at(NOW), {origin: records})
        result = signed_world(s2=authoritative(com)).resolve("www.example.com")
        assert (result.rcode == Rcode.NOERROR) == secure == is_authenticated(result)


def test_many_nsec3_iterations_make_an_answer_insecure() -> None:
    for iterations, secure in ((150, True), (151, False)):
        internet = signed_world(Nsec3Policy(b"", iterations))
        negative = internet.resolve("none.example.com")
        assert (negative.rcode, is_authenticated(negative)) == (Rcode.NXDOMAIN, secure)
        # Names that exist are proven by their own signatures.
        assert is_authenticated(internet.resolve("www.example.com"))
        # RFC 9276 section 3.2: the client is told why, also by answers from the cache and for wildcards.
        code = None if secure else ErrorCode.UNSUPPORTED_NSEC3_ITERATIONS
        for question in ("none A", "none A", "www AAAA", "x.w A", "x.w A", "www.insecure A"):
            expected = None if question == "www.insecure A" and secure else code
            assert reason(resolved(internet, question.replace(" ", ".example.com "))) == expected, question
        assert reason(internet.resolve("www.example.com")) is None


def test_an_alias_to_a_bogus_name_has_the_reason_of_the_cached_failure() -> None:
    server = forging()
    internet = signed_world(s3=server, s4=server)
    expected = reason(internet.resolve("www.example.com"))
    assert expected == ErrorCode.DNSSEC_BOGUS
    for qname in ("alias.example.com", "alias.example.com", "www.example.com"):
        result = internet.resolve(qname)
        assert (result.rcode, reason(result)) == (Rcode.SERVFAIL, expected)
        question = Question(name(qname), RRType.A)
        assert reason(from_cache(internet.context, question, internet.now)) == expected


def test_a_name_above_no_trust_anchor_is_indeterminate_and_below_one_secure() -> None:
    internet = signed_world(trust=anchors("example.com."))
    assert is_authenticated(internet.resolve("www.example.com"))
    result = internet.resolve("plain.com", "NS")
    assert (result.rcode, is_authenticated(result)) == (Rcode.NOERROR, False)


def test_a_trust_anchor_can_be_a_dnskey() -> None:
    internet = signed_world(trust={Name(): (keys_of(".")[0].dnskey,)})
    assert is_authenticated(internet.resolve("www.example.com"))
    wrong = signed_world(trust={Name(): (derived_keys(Name(), "other")[0].dnskey,)})
    assert reason(wrong.resolve("www.example.com")) == ErrorCode.DNSKEY_MISSING


# Servers and clients.


def test_a_child_zone_on_the_servers_of_its_parent_is_found_by_its_ds() -> None:
    internet = signed_world()
    result = internet.resolve("www.sub.example.com")
    assert is_authenticated(result)
    assert ("DS", "sub.example.com.") in asked(internet)


def test_a_forwarder_is_asked_for_all_data_and_validated_here() -> None:
    genuine = signed_world()

    def recursive(query: Message, _: object) -> Message:
        assert query.cd
        assert query.edns is not None
        assert query.edns.do
        found = genuine.resolve(str(query.questions[0].name), type_to_text(query.questions[0].rtype))
        return replace(reply_to(found, str(query.questions[0].name), query.questions[0].rtype), id=query.id)

    def forger(query: Message, ask: object) -> Message:
        reply = recursive(query, ask)
        answers = tuple(
            replace(one, rdata=A(one.rdata.address + 1)) if isinstance(one.rdata, A) else one for one in reply.answers
        )
        return replace(reply, answers=answers)

    for server, good in ((recursive, True), (forger, False)):
        internet = signed_world(s9=server)
        for context in (internet.context, internet.context.for_hosts):
            context.roots = forwarding("127.0.1.9")
        for question in ("www.example.com A", "alias.example.com A", "x.old.example.com A", "none.example.com A"):
            result = resolved(internet, question)
            assert is_authenticated(result) == (good or question.startswith(("none", "x.old"))), question


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        (ExtendedError(ErrorCode.DNSSEC_BOGUS, "bad"), ErrorCode.DNSSEC_BOGUS, "127.0.1.9: bad"),
        (ExtendedError(ErrorCode.NOT_READY), ErrorCode.NOT_READY, "127.0.1.9: Not Ready"),
        (
            None,
            ErrorCode.NO_REACHABLE_AUTHORITY,
            "no forwarder gave an answer for www.example.com.: 127.0.1.9 returned SERVFAIL",
        ),
    ],
)
def test_the_extended_error_of_a_forwarder_is_sent_on_with_its_source(
    sent: ExtendedError | None, code: ErrorCode, text: str
) -> None:
    def failing(query: Message, _: object) -> Message:
        edns = EDNS(options=() if sent is None else (sent.to_option(),))
        return replace(query.reply(Rcode.SERVFAIL), edns=edns)

    for internet in (signed_world(s9=failing), world(s9=failing)):
        internet.context.roots = internet.context.for_hosts.roots = forwarding("127.0.1.9")
        # The second time from the cache.
        for _ in range(2):
            result = internet.resolve("www.example.com")
            assert result.extended_error == ExtendedError(code, text)


def test_a_client_with_cd_gets_bogus_data_and_leaves_no_trace() -> None:
    server = forging()
    internet = signed_world(s3=server, s4=server)
    checked, internet.context = internet.context, internet.context.for_hosts
    result = internet.resolve("www.example.com")
    assert result.rcode == Rcode.NOERROR
    reply = reply_to(result, "www.example.com.", 1, cd=True)
    assert not reply.ad
    assert any(isinstance(record.rdata, RRSIG) for record in reply.answers)
    internet.context = checked
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL


def test_ad_and_records_depend_on_what_the_client_asks_for() -> None:
    internet = signed_world()
    result = internet.resolve("none.example.com")
    plain = reply_to(result, "none.example.com.", 1, do=False)
    assert {record.rtype for record in plain.authority} == {RRType.SOA}
    assert not plain.ad
    assert reply_to(result, "none.example.com.", 1, do=False, ad=True).ad
    full = reply_to(result, "none.example.com.", 1)
    assert {record.rtype for record in full.authority} == {RRType.SOA, RRType.NSEC, RRType.RRSIG}
    assert full.ad


def test_ttls_end_with_the_signatures_and_count_down_together() -> None:
    policy = SigningPolicy(NOW - 10, NOW + 60)
    zones = [sign_zone(unsigned("example.com.", EXAMPLE_TEXT), keys_of("example.com."), policy)]
    internet = signed_world(s3=authoritative(*zones), s4=authoritative(*zones))
    assert [rrset.ttl for rrset in internet.resolve("www.example.com").answers] == [60]
    internet.now += 20
    later = reply_to(internet.resolve("www.example.com"), "www.example.com.", 1)
    assert len({record.ttl for record in later.answers}) == 1
    assert later.answers[0].ttl <= 40


def test_servers_that_do_not_respond_are_the_reason() -> None:
    internet = signed_world(s3=silent, s4=silent)
    assert reason(internet.resolve("www.example.com")) == ErrorCode.NO_REACHABLE_AUTHORITY


def test_qname_minimisation_and_validation_go_together() -> None:
    internet = signed_world()
    internet.context = replace(internet.context, minimise=True)
    for question in ("www.example.com A", "a.b.ent.example.com TXT", "none.example.com A", "www.plain.com A"):
        result = resolved(internet, question)
        assert is_authenticated(result) == ("plain" not in question)


def test_any_has_all_rrsets_with_their_signatures_once() -> None:
    result = signed_world().resolve("example.com", "ANY")
    assert is_authenticated(result)
    reply = reply_to(result, "example.com.", RRType.ANY)
    types = [record.rtype for record in reply.answers]
    covered = [record.rdata.type_covered for record in reply.answers if isinstance(record.rdata, RRSIG)]
    assert set(types) - {RRType.RRSIG} == set(covered)
    assert len(covered) == len(set(covered))


def test_the_root_has_no_ds() -> None:
    result = signed_world().resolve(".", "DS")
    assert (result.rcode, result.answers, is_authenticated(result)) == (Rcode.NOERROR, (), True)


def test_a_dname_whose_target_is_too_long_is_secure() -> None:
    text = EXAMPLE_TEXT + "long DNAME " + ".".join(["a" * 60] * 3) + "\n"
    server = authoritative(signed("example.com.", text))
    result = signed_world(s3=server, s4=server).resolve("b" * 60 + ".long.example.com")
    assert (result.rcode, is_authenticated(result)) == (Rcode.YXDOMAIN, True)


# An attacker on the path.


QUESTIONS = [
    "www.example.com A", "none.example.com A", "www.example.com MX", "q.w.example.com TXT", "q.wc.example.com A",
    "ent.example.com A", "alias.example.com A", "x.old.example.com A", "www.sub.example.com A", "sub.example.com DS",
    "example.com DNSKEY", "a.none.example.com A",
]  # fmt: skip


def mangled(server: Behaviour, random: Random) -> Behaviour:
    """Return a server whose responses are changed at random: a record less, forged, of another name, or repeated."""

    def change(_: Message, reply: Message) -> Message:
        sections = {section: list(getattr(reply, section)) for section in ("answers", "authority")}
        for records in sections.values():
            for place in reversed(range(len(records))):
                record, drawn = records[place], 3 * random.random()
                if drawn < 0.05:
                    del records[place]
                elif drawn < 0.1 and isinstance(record.rdata, A):
                    records[place] = replace(record, rdata=A(record.rdata.address + 1))
                elif drawn < 0.12:
                    records[place] = replace(record, name=name("other.example.com"))
                elif drawn < 0.14:
                    records[place] = replace(record, name=name("*.example.com"))
                elif drawn < 0.16 and isinstance(record.rdata, RRSIG):
                    records[place] = replace(record, rdata=replace(record.rdata, labels=record.rdata.labels - 1 & 0xFF))
                elif drawn < 0.18 and isinstance(record.rdata, RRSIG):
                    records[place] = replace(record, rdata=replace(record.rdata, signer=name("com")))
                elif drawn < 0.2 and isinstance(record.rdata, NSEC):
                    records[place] = replace(record, rdata=replace(record.rdata, next=name("zz.example.com")))
                elif drawn < 0.22:
                    records[place] = replace(record, ttl=2 * record.ttl)
                elif drawn < 0.23 and isinstance(record.rdata, DS):
                    records[place] = replace(record, rdata=replace(record.rdata, algorithm=253))
        rcode = random.choice([Rcode.NOERROR, Rcode.NXDOMAIN]) if random.random() < 0.1 else reply.rcode
        answers, authority = tuple(sections["answers"]), tuple(sections["authority"])
        return replace(reply, rcode=rcode, answers=answers, authority=authority)

    return changed(server, change)


@pytest.mark.parametrize("policy", POLICIES[:2])
@pytest.mark.parametrize("seed", range(12))
def test_an_attacker_who_changes_responses_gets_no_other_answer_accepted(policy: Nsec3Policy | None, seed: int) -> None:
    """All zones on the way are signed, so each answer is the genuine one, or SERVFAIL: nothing becomes insecure."""
    genuine, random = signed_world(policy), Random(seed)
    internet = signed_world(policy)
    internet.servers = {address: mangled(server, random) for address, server in internet.servers.items()}
    accepted = 0
    for question in QUESTIONS:
        # What was bogus is tried again.
        internet.now += 10
        expected, result = resolved(genuine, question), resolved(internet, question)
        if result.rcode == Rcode.SERVFAIL:
            continue
        # A negative answer whose SOA was removed is proven all the same, and there is nothing to sign.
        assert is_authenticated(result) or not (result.answers or result.authority), question
        assert (result.rcode, texts(result.answers)) == (expected.rcode, texts(expected.answers)), question
        assert all(rrset.ttl <= 300 for rrset in result.answers)
        accepted += 1
    assert accepted


# Bounded work.


def test_a_zone_made_to_cost_work_ends_in_servfail_within_the_bounds() -> None:
    """KeyTrap: many keys with one tag, and many signatures that are not valid (CVE-2023-50387)."""
    ksk, zsk = keys_of("example.com.")
    words = [zsk.dnskey.key[at : at + 2] for at in range(0, 32, 2)]
    clones = [replace(zsk.dnskey, key=b"".join([*words[at:], *words[:at]])) for at in range(1, 16)]
    zone = unsigned("example.com.", EXAMPLE_TEXT)
    text = EXAMPLE_TEXT + "".join(f"@ DNSKEY {key.to_text()}\n" for key in clones)
    zone = sign_zone(unsigned("example.com.", text), [ksk, replace(zsk, dnskey=clones[0])], SigningPolicy.at(NOW))

    def change(_: Message, reply: Message) -> Message:
        more = [
            replace(record, rdata=replace(record.rdata, signature=bytes((number,)) * 64))
            for record in reply.answers
            if isinstance(record.rdata, RRSIG) and record.rdata.type_covered == RRType.A
            for number in range(30)
        ]
        return (
            replace(reply, answers=(*[one for one in reply.answers if one.rtype != RRType.RRSIG], *more))
            if more
            else reply
        )

    server = changed(authoritative(zone), change)
    internet = signed_world(s3=server, s4=server)
    result = internet.resolve("www.example.com")
    assert (result.rcode, reason(result)) == (Rcode.SERVFAIL, ErrorCode.DNSSEC_BOGUS)
    assert result.queries < QUERIES_MAX


def test_digests_of_many_keys_with_the_tag_of_the_ds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    ksk, zsk = keys_of("example.com.")
    words = [ksk.dnskey.key[at : at + 2] for at in range(0, 32, 2)]
    clones = [replace(ksk.dnskey, key=b"".join([*words[at:], *words[:at]])) for at in range(1, 16)]
    swapped = [replace(one, key=one.key[2:4] + one.key[:2] + one.key[4:]) for one in clones]
    text = EXAMPLE_TEXT + "".join(f"@ DNSKEY {key.to_text()}\n" for key in (*clones, *swapped))
    server = authoritative(sign_zone(unsigned("example.com.", text), [ksk, zsk], SigningPolicy.at(NOW)))
    computed = []

    def counted(*arguments: object) -> bool:
        computed.append(arguments)
        return matches(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("lab7.services.dns.recursion.validation.matches", counted)
    internet = signed_world(s3=server, s4=server)
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
    assert len(computed) <= FAILURES_MAX + 4


@pytest.mark.parametrize("policy", POLICIES)
def test_a_proof_without_an_soa_is_sent_and_authenticated(policy: Nsec3Policy | None) -> None:
    """As in Unbound and Knot Resolver: a client that validates needs it. It is not cached (RFC 2308 section 5)."""
    server = changed(authoritative(*example_zones(policy)), without(RRType.SOA, section="authority"))
    internet = signed_world(policy, s3=server, s4=server)
    opts_out = policy is not None and policy.opt_out
    for qname, rcode in (("none.example.com", Rcode.NXDOMAIN), ("www.example.com", Rcode.NOERROR)):
        result = internet.resolve(qname, "MX")
        assert (result.rcode, is_authenticated(result)) == (rcode, not opts_out or rcode == Rcode.NOERROR)
        proof = {record.rtype for record in reply_to(result, qname, RRType.MX).authority}
        assert proof == {RRType.NSEC if policy is None else RRType.NSEC3, RRType.RRSIG}
        assert reply_to(result, qname, RRType.MX, do=False).authority == ()
        assert internet.resolve(qname, "MX").queries == 1
