"""Phoenix domains: delegations that their own servers renew; the parent's TTL bounds all data below it."""

from __future__ import annotations

import pytest

from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.message import Message
from lab7.services.dns.recursion.query import UpstreamQuery
from tests.core.services.dns.recursion.simulated_internet import (
    COM_ZONE,
    Behaviour,
    World,
    authoritative,
    name,
    saying_all,
    world,
    zone,
)

# TTL of the delegation of evil.com in com; its own servers use a day for all zones below.
TTL_S = 300
DAY_S = 86_400
WITH_EVIL = zone("com.", f"@ NS a.gtld.test.\nevil {TTL_S} NS ns.evil\nns.evil {TTL_S} A 127.0.1.40\n")


def evil(cut_of: Behaviour) -> World:
    """Return an Internet where 127.0.1.40 serves evil.com and the zones below it."""
    return world(s2=authoritative(WITH_EVIL), s40=cut_of)


def deeper(query: Message, ask: UpstreamQuery) -> Message | None:
    """Delegate each name below the zone asked to this server itself, for a day; at the last, give an address."""
    qname = query.questions[0].name
    if len(qname) <= len(ask.zone) + 1:
        return saying_all(f"{qname} {DAY_S} A 127.0.1.40")(query, ask)
    cut = qname.suffix(len(ask.zone) + 1)
    delegation = f"{cut} {DAY_S} NS ns.evil.com."
    return saying_all(authority=delegation, additional=f"ns.evil.com. {DAY_S} A 127.0.1.40", aa=False)(query, ask)


def renewing(query: Message, ask: UpstreamQuery) -> Message | None:
    """Give an address, and repeat the zone's own NS set with a TTL of a day (CVE-2022-30699)."""
    own = f"evil.com. {DAY_S} NS ns.evil.com."
    text = f"{query.questions[0].name} {DAY_S} A 127.0.1.40"
    return saying_all(text, own, f"ns.evil.com. {DAY_S} A 127.0.1.40")(query, ask)


@pytest.mark.parametrize("step_s", [TTL_S // 2, TTL_S - 1, TTL_S])
@pytest.mark.parametrize("behaviour", [deeper, renewing], ids=["deeper", "renewing"])
def test_a_revoked_domain_ends_with_the_ttl_of_its_parent(behaviour: Behaviour, step_s: int) -> None:
    internet = evil(behaviour)
    assert internet.resolve("a.evil.com").rcode == Rcode.NOERROR
    revoked_at = internet.now
    internet.servers["127.0.1.2"] = authoritative(COM_ZONE)
    chain = "evil.com"
    for number in range(12):
        chain = f"d{number}.{chain}"
        internet.now = revoked_at + number * step_s
        result = internet.resolve(f"x{number}.{chain}")
        alive = internet.now < revoked_at + TTL_S
        assert (result.rcode == Rcode.NOERROR) == alive, f"after {number * step_s} s"
    assert internet.asked_of("127.0.1.40") == 0


def test_a_delegation_below_lives_no_longer_than_the_one_above() -> None:
    internet = evil(deeper)
    internet.resolve("x.b.a.evil.com")
    found = list(internet.context.cache.delegations(name("x.b.a.evil.com"), internet.now))
    zones = [str(delegation.zone) for delegation, _ in found]
    assert zones == ["b.a.evil.com.", "a.evil.com.", "evil.com.", "com."]
    assert [left for _, left in found] == sorted(left for _, left in found)
    assert found[0][1] <= TTL_S


def test_a_renewed_delegation_continues() -> None:
    internet = evil(deeper)
    internet.resolve("x.a.evil.com")
    internet.now += TTL_S
    assert internet.resolve("y.a.evil.com").rcode == Rcode.NOERROR
    # From com down, whose own delegation has expired as well.
    assert [str(ask.zone) for ask in internet.asked] == [".", "com.", "evil.com.", "a.evil.com."]


def test_below_a_delegation_that_is_not_kept_none_is() -> None:
    brief = zone("com.", "@ NS a.gtld.test.\nevil 0 NS ns.evil\nns.evil 0 A 127.0.1.40\n")
    internet = world(s2=authoritative(brief), s40=deeper)
    internet.resolve("x.a.evil.com")
    found = internet.context.cache.delegations(name("x.a.evil.com"), internet.now)
    assert [str(delegation.zone) for delegation, _ in found] == ["com."]
