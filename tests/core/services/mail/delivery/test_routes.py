"""MX routing, resolved from a zone given as text."""

from random import Random

import pytest

from lab7.services.dns.codec.message import Message, Question
from lab7.services.dns.zones.zone import Zones, answer_question
from lab7.services.mail.delivery.routes import (
    LOOPS_BACK,
    NO_ADDRESS,
    NO_ANSWER,
    NO_DOMAIN,
    NO_HOST,
    NO_MAIL,
    Answer,
    Host,
    find_route,
)
from lab7.services.mail.smtp.syntax import Reply
from tests.core.services.dns.transcripts import zone

ZONE = zone(
    """
two     MX 20 b
two     MX 10 a
a       A 192.0.2.1
a       AAAA 2001:db8::1
b       A 192.0.2.2
equal   MX 5 a
equal   MX 5 b
bare    A 192.0.2.3
text    TXT "no mail here"
null    MX 0 .
alias   CNAME two
own     MX 10 a
own     MX 20 mx
own     MX 30 b
first   MX 10 mx
first   MX 20 b
mx      A 192.0.2.9
lost    MX 10 nowhere
"""
)
OWN = frozenset(("mx.example",))


def route(domain: str, silent: tuple[str, ...] = (), seed: int = 1) -> list[Host] | Reply:
    steps = find_route(domain, OWN, Random(seed))
    try:
        lookup = next(steps)
        while True:
            found = answer_question(Zones([ZONE]), Question(lookup.name, lookup.rtype))
            records = tuple(record for rrset in found.answers for record in rrset.records())
            message = Message(qr=True, rcode=found.rcode, answers=records)
            lookup = steps.send(Answer(None if str(lookup.name) in silent else message))
    except StopIteration as end:
        value: list[Host] | Reply = end.value
        return value


A4, A6, B = Host("a.example", "192.0.2.1"), Host("a.example", "2001:db8::1"), Host("b.example", "192.0.2.2")


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        ("two.example", [A4, A6, B]),
        ("alias.example", [A4, A6, B]),
        ("bare.example", [Host("bare.example", "192.0.2.3")]),
        ("[192.0.2.7]", [Host("[192.0.2.7]", "192.0.2.7")]),
        ("own.example", [A4, A6]),
    ],
)
def test_hosts_in_order_of_preference(domain: str, hosts: list[Host]) -> None:
    assert route(domain) == hosts


@pytest.mark.parametrize(
    ("domain", "reply"),
    [
        ("none.example", NO_DOMAIN),
        ("null.example", NO_MAIL),
        ("text.example", NO_HOST),
        ("first.example", LOOPS_BACK),
        ("lost.example", NO_ADDRESS),
    ],
)
def test_why_there_is_no_host(domain: str, reply: Reply) -> None:
    assert route(domain) == reply


def test_equal_preferences_are_shuffled() -> None:
    orders = {
        tuple(host.name for host in found)
        for seed in range(30)
        if isinstance(found := route("equal.example", seed=seed), list)
    }
    assert orders == {("a.example", "a.example", "b.example"), ("b.example", "a.example", "a.example")}


def test_name_servers_that_say_nothing_are_a_reason_to_wait() -> None:
    assert route("two.example", silent=("two.example.",)) == NO_ANSWER
    assert route("two.example", silent=("a.example.", "b.example.")) == NO_ANSWER
    assert route("two.example", silent=("a.example.",)) == [B]
    assert NO_ANSWER.code == 451


def test_the_null_mx_is_556_and_a_missing_domain_permanent() -> None:
    assert (NO_MAIL.code, NO_MAIL.enhanced) == (556, "5.1.10")
    assert NO_DOMAIN.is_permanent


def test_a_name_that_dns_has_no_room_for() -> None:
    assert route("a." * 130 + "b") == NO_DOMAIN
