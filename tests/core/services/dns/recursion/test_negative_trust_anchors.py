"""Negative trust anchors: zones that are signed wrongly, and count as unsigned (RFC 7646)."""

from __future__ import annotations

from lab7.services.dns.codec.codes import Rcode
from tests.core.services.dns.recursion.signed_internet import (
    EXAMPLE_TEXT,
    anchors,
    is_authenticated,
    reason,
    signed_world,
)
from tests.core.services.dns.recursion.simulated_internet import World, authoritative, name, texts
from tests.core.services.dns.security.zones import unsigned

BROKEN = authoritative(unsigned("example.com.", EXAMPLE_TEXT))


def trusting(internet: World, *negative: str) -> World:
    """Return the Internet with negative trust anchors in its resolver."""
    security = internet.context.security
    assert security is not None
    security.negative_anchors = frozenset(map(name, negative))
    return internet


def test_a_zone_below_a_negative_trust_anchor_is_insecure() -> None:
    for anchor in ("example.com", "com"):
        assert reason(signed_world(s3=BROKEN, s4=BROKEN).resolve("www.example.com")) is not None
        internet = trusting(signed_world(s3=BROKEN, s4=BROKEN), anchor)
        for qname, rcode in (("www.example.com", Rcode.NOERROR), ("none.example.com", Rcode.NXDOMAIN)):
            result = internet.resolve(qname)
            assert (result.rcode, is_authenticated(result), reason(result)) == (rcode, False, None)


def test_names_elsewhere_are_validated_and_an_alias_into_the_zone_is_insecure() -> None:
    internet = trusting(signed_world(), "sub.example.com")
    assert is_authenticated(internet.resolve("www.example.com"))
    assert not is_authenticated(internet.resolve("www.sub.example.com"))
    assert is_authenticated(internet.resolve("sub.example.com", "DS"))


def test_a_trust_anchor_below_has_precedence() -> None:
    """RFC 7646 section 2."""
    trust = {**anchors(), **anchors("example.com.")}
    internet = trusting(signed_world(trust=trust), "com")
    assert is_authenticated(internet.resolve("www.example.com"))
    assert not is_authenticated(internet.resolve("com", "NS"))
    assert texts(internet.resolve("www.plain.com").answers) == ["www.plain.com. A 192.0.2.50"]
