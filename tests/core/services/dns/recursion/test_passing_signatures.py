"""DNSSEC records without validation: a resolver without trust anchors passes DO, CD and signatures on."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import RRType, type_to_text
from lab7.services.dns.codec.message import Message
from lab7.services.dns.recursion.handler import recursive_reply
from lab7.services.dns.security.signer import Nsec3Policy
from tests.core.services.dns.recursion.signed_internet import is_authenticated, reply_to, signed_world
from tests.core.services.dns.recursion.simulated_internet import Behaviour, World, forwarding, texts
from tests.core.services.dns.recursion.test_validation import POLICIES, QUESTION_NAMES
from tests.core.services.dns.security.zones import NOW


def passing_world() -> World:
    """Return the signed Internet with a resolver that does not validate."""
    internet = signed_world(trust={})
    plain = replace(internet.context, security=None, hosts=None, variants={})
    internet.context = plain.passing_signatures(lambda: NOW)
    return internet


def resolver_in(internet: World) -> Behaviour:
    """Return the recursive server whose resolver is that of another simulated Internet."""
    usual = internet.context

    def answer(query: Message, _: object) -> Message:
        internet.context = usual.variants.get((query.edns is not None and query.edns.do, query.cd), usual)
        question = query.questions[0]
        return recursive_reply(query, internet.resolve(str(question.name), type_to_text(question.rtype)))

    return answer


@pytest.mark.parametrize("policy", POLICIES[:2])
def test_a_validating_forwarder_can_use_a_resolver_that_does_not_validate(policy: Nsec3Policy | None) -> None:
    behind = signed_world(policy)
    passing = passing_world()
    passing.servers = behind.servers
    behind.servers = {"127.0.1.9": resolver_in(passing)}
    behind.context.roots = behind.context.for_hosts.roots = forwarding("127.0.1.9")
    alone = signed_world(policy)
    for label, rtype in itertools.product(QUESTION_NAMES.split(), ("A", "DS")):
        qname = "example.com" if label == "@" else f"{label}.example.com"
        expected, result = alone.resolve(qname, rtype), behind.resolve(qname, rtype)
        assert result.rcode == expected.rcode, (qname, rtype, result.detail)
        assert is_authenticated(result) == is_authenticated(expected), (qname, rtype)
        # The names below a DNAME have the random case of the forwarder's query.
        assert set(map(str.lower, texts(result.answers))) == set(map(str.lower, texts(expected.answers))), qname


def test_without_trust_anchors_only_queries_for_clients_with_do_have_do() -> None:
    internet = passing_world()
    plain = internet.context
    assert texts(internet.resolve("www.example.com").answers)
    assert not any(ask.dnssec_ok or ask.checking_disabled for ask in internet.asked)
    internet.context = plain.variants[True, False]
    result = internet.resolve("www.example.com")
    # The delegations are shared, the answers are not.
    assert [(ask.address[-1:] in "34", ask.dnssec_ok, ask.checking_disabled) for ask in internet.asked] == [
        (True, True, False)
    ]
    reply = reply_to(result, "www.example.com.", 1)
    assert [record.rtype for record in reply.answers].count(RRType.RRSIG) == 1
    assert not reply.ad
    assert internet.resolve("www.example.com").queries == 0
    internet.context = plain
    assert internet.resolve("mail.example.com").queries == 1
    assert not any(ask.dnssec_ok for ask in internet.asked)


@pytest.mark.parametrize("flags", [*itertools.product((False, True), repeat=2)])
def test_a_forwarder_that_does_not_validate_passes_do_and_cd_on(flags: tuple[bool, bool]) -> None:
    internet = World({"127.0.1.9": lambda query, _: replace(query.reply(), ra=True)}, roots=forwarding("127.0.1.9"))
    context = internet.context.passing_signatures(lambda: NOW)
    internet.context = context.variants.get(flags, context)
    internet.resolve("www.example.com")
    (ask,) = internet.asked
    dnssec_ok, checking_disabled = flags
    # With CD, signatures are requested in any case, because the answers are shared with clients that set DO.
    assert (ask.dnssec_ok, ask.checking_disabled) == (dnssec_ok or checking_disabled, checking_disabled)
