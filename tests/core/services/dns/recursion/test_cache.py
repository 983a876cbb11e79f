"""RRset cache: TTLs, trust, negative answers, delegations; and comparison with a naive model."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.bounded_dict import BoundedDict
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata import rdata_from_text
from lab7.services.dns.recursion.cache import (
    NEGATIVE_TTL_MAX_S,
    TTL_MAX_S,
    Cache,
    Delegation,
    Failure,
    Negative,
    Trust,
    negative_soa,
)
from lab7.services.dns.recursion.classification import delegation_from

WWW = Name.from_text("www.example.com.")
EXAMPLE = Name.from_text("example.com.")


def address(ttl: int, last: int = 1, name: Name = WWW) -> RRset:
    return RRset(name, RRType.A, RRClass.IN, ttl, (rdata_from_text(RRType.A, f"192.0.2.{last}"),))


def soa(ttl: int, minimum: int) -> RRset:
    return RRset(EXAMPLE, RRType.SOA, RRClass.IN, ttl, (rdata_from_text(RRType.SOA, f"ns. host. 1 1 1 1 {minimum}"),))


def name_servers(ttl: int, *hosts: str) -> RRset:
    return RRset(EXAMPLE, RRType.NS, RRClass.IN, ttl, tuple(rdata_from_text(RRType.NS, host) for host in hosts))


def test_a_ttl_is_the_time_left_rounded_down() -> None:
    cache = Cache()
    cache.put(address(10), Trust.ANSWER, 100.25)
    for now, left in ((100.25, 10), (100.5, 9), (101.25, 9), (110.0, 0), (110.25, None)):
        found = cache.get(WWW, RRType.A, now)
        assert (found.ttl if isinstance(found, RRset) else None) == left


def test_names_are_found_in_any_case() -> None:
    cache = Cache()
    cache.put(address(10), Trust.ANSWER, 0)
    assert cache.get(Name.from_text("WWW.Example.COM."), RRType.A, 1) is not None


def test_bounds_on_ttls() -> None:
    cache = Cache()
    cache.put(address(10 * TTL_MAX_S), Trust.ANSWER, 0)
    found = cache.get(WWW, RRType.A, 0)
    assert isinstance(found, RRset)
    assert found.ttl == TTL_MAX_S
    cache.put(address(0, name=EXAMPLE), Trust.ANSWER, 0)
    assert cache.get(EXAMPLE, RRType.A, 0) is None


@pytest.mark.parametrize(
    ("ttl", "minimum", "expected"), [(300, 60, 60), (60, 300, 60), (10**6, 10**6, NEGATIVE_TTL_MAX_S)]
)
def test_a_negative_answer_lives_as_long_as_the_lesser_of_ttl_and_minimum(
    ttl: int, minimum: int, expected: int
) -> None:
    cache = Cache()
    cache.put_negative(WWW, RRType.MX, Rcode.NOERROR, negative_soa(soa(ttl, minimum)), 0)
    found = cache.get(WWW, RRType.MX, 0)
    assert isinstance(found, Negative)
    assert found.soa.ttl == expected
    assert cache.get(WWW, RRType.MX, expected) is None
    assert cache.get(WWW, RRType.A, 0) is None


def test_nxdomain_is_for_every_type_of_the_name_and_for_no_other() -> None:
    cache = Cache()
    cache.put_negative(EXAMPLE, RRType.A, Rcode.NXDOMAIN, soa(60, 60), 0)
    assert cache.nonexistence(EXAMPLE, 1) is not None
    assert cache.nonexistence(WWW, 1) is None
    assert cache.nonexistence(EXAMPLE.parent, 1) is None
    assert cache.nonexistence(EXAMPLE, 60) is None


def test_less_trust_replaces_nothing_that_lives() -> None:
    cache = Cache()
    cache.put(address(10, 1), Trust.AUTHORITATIVE_ANSWER, 0)
    cache.put(address(1000, 2), Trust.ANSWER, 1)
    assert cache.get(WWW, RRType.A, 1) == address(9, 1)
    cache.put(address(1000, 3), Trust.ANSWER, 10)
    assert cache.get(WWW, RRType.A, 10) == address(1000, 3)
    cache.put(address(20, 4), Trust.AUTHORITATIVE_ANSWER, 11)
    assert cache.get(WWW, RRType.A, 11) == address(20, 4)


def test_a_negative_answer_without_aa_replaces_none_with_aa() -> None:
    cache = Cache()
    cache.put(address(60), Trust.AUTHORITATIVE_ANSWER, 0)
    cache.put_negative(WWW, RRType.A, Rcode.NOERROR, soa(60, 60), 0, Trust.ANSWER)
    assert isinstance(cache.get(WWW, RRType.A, 1), RRset)
    cache.put_negative(WWW, RRType.A, Rcode.NOERROR, soa(60, 60), 0)
    assert isinstance(cache.get(WWW, RRType.A, 1), Negative)


def test_a_failure_replaces_no_answer_and_an_answer_every_failure() -> None:
    cache = Cache()
    cache.put(address(10), Trust.ANSWER, 0)
    cache.put_failure(WWW, RRType.A, 1)
    assert isinstance(cache.get(WWW, RRType.A, 1), RRset)
    cache.put_failure(EXAMPLE, RRType.A, 1)
    assert isinstance(cache.get(EXAMPLE, RRType.A, 1), Failure)
    cache.put(address(10, name=EXAMPLE), Trust.ANSWER, 1)
    assert isinstance(cache.get(EXAMPLE, RRType.A, 1), RRset)


def test_a_delegation_is_no_answer_and_ends() -> None:
    cache = Cache()
    glue = [address(50, name=Name.from_text("ns.example.com."))]
    cache.put_delegation(delegation_from(name_servers(100, "ns.example.com."), glue, EXAMPLE.parent), 0)
    assert [(found.zone, left) for found, left in cache.delegations(WWW, 0)] == [(EXAMPLE, 50)]
    assert cache.get(EXAMPLE, RRType.NS, 0) is None
    assert cache.get(Name.from_text("ns.example.com."), RRType.A, 0) is None
    assert list(cache.delegations(WWW, 50)) == []
    assert list(cache.delegations(ROOT, 0)) == []


def test_the_nearest_delegation_comes_first() -> None:
    cache = Cache()
    for text in (".", "com.", "example.com.", "other.com."):
        cache.put_delegation(Delegation(Name.from_text(text), (WWW,), ttl=10), 0)
    assert [str(found.zone) for found, _ in cache.delegations(WWW, 1)] == ["example.com.", "com.", "."]


def test_glue_from_outside_of_the_bailiwick_or_for_others_is_left_out() -> None:
    glue = [address(50, 1, Name.from_text("ns.other.net.")), address(50, 2, Name.from_text("x.example.com."))]
    made = delegation_from(name_servers(100, "ns.other.net.", "ns.example.com."), glue, Name.from_text("com."))
    assert (made.glue, made.ttl) == ({}, 100)


def test_a_cache_of_no_entries_keeps_nothing() -> None:
    cache = Cache(0)
    cache.put(address(10), Trust.ANSWER, 0)
    cache.put_delegation(Delegation(EXAMPLE, (WWW,), ttl=10), 0)
    cache.put_failure(WWW, RRType.A, 0)
    assert (len(cache), cache.get(WWW, RRType.A, 0), list(cache.delegations(WWW, 0))) == (0, None, [])


def test_eviction_is_least_recently_used() -> None:
    kept: BoundedDict[int, str] = BoundedDict(2)
    kept.put(1, "a")
    kept.put(2, "b")
    assert kept.get(1) == "a"
    kept.put(3, "c")
    assert [kept.get(key) for key in (1, 2, 3)] == ["a", None, "c"]


def test_a_large_value_counts_as_several() -> None:
    kept: BoundedDict[int, str] = BoundedDict(10)
    for key in range(8):
        kept.put(key, "small")
    kept.put(8, "large", 5)
    assert [key for key in range(9) if kept.get(key)] == [3, 4, 5, 6, 7, 8]
    kept.put(8, "small again")
    for key in range(9, 13):
        kept.put(key, "small")
    assert len(kept) == 10
    kept.put(13, "larger than all", 11)
    assert len(kept) == 0


def test_large_rrsets_fill_the_cache_by_their_octets() -> None:
    """A zone of RRsets of 60,000 octets has no more memory than one of small ones: 50,000 would be 3 GB."""
    cache, texts = Cache(1000), tuple(rdata_from_text(RRType.TXT, " ".join([f'"{"x" * 250}"'] * 240)) for _ in "1")
    for number in range(200):
        cache.put(RRset(WWW.parent.child(b"%d" % number), RRType.TXT, RRClass.IN, 60, texts), Trust.ANSWER, 0)
    assert len(cache) <= 1000 // 60
    hosts = tuple(WWW.parent.child(b"%d" % number) for number in range(16))
    glue = {host: tuple(f"192.0.2.{last}" for last in range(16)) for host in hosts}
    delegations = Cache(1000)
    zones = [EXAMPLE.child(b"%d" % number) for number in range(200)]
    for zone in zones:
        delegations.put_delegation(Delegation(zone, hosts, glue, ttl=60), 0)
    assert sum(len(list(delegations.delegations(zone, 0))) for zone in zones) <= 1000 // 25


# A model that keeps all entries for ever and evaluates them at each lookup.

NAMES = [Name.from_text(text) for text in ("a.", "b.a.", "c.b.a.")]


@dataclass(frozen=True)
class Put:
    name: Name
    ttl: int
    last: int
    trust: Trust
    after: float


class Model:
    """A model of the cache: all entries put, and those that may be returned."""

    def __init__(self) -> None:
        self.live: dict[Name, tuple[Put, float]] = {}

    def put(self, put: Put, now: float) -> None:
        if put.ttl <= 0:
            return
        present = self.live.get(put.name)
        if present is not None and present[0].trust > put.trust and now < present[1] + present[0].ttl:
            return
        self.live[put.name] = (put, now)

    def get(self, name: Name, now: float) -> tuple[int, float] | None:
        present = self.live.get(name)
        if present is None or now >= present[1] + present[0].ttl:
            return None
        return present[0].last, present[1] + present[0].ttl - now


PUTS = st.builds(
    Put,
    st.sampled_from(NAMES),
    st.integers(0, 20),
    st.integers(1, 250),
    st.sampled_from(Trust),
    # Eighths are exact in binary, so that the model and the cache compute the same.
    st.integers(0, 80).map(lambda eighths: eighths / 8),
)


@settings(deadline=None)
@given(st.lists(PUTS, max_size=40))
def test_the_cache_equals_the_model(puts: list[Put]) -> None:
    cache, model, now = Cache(), Model(), 1000.0
    for put in puts:
        now += put.after
        for name in NAMES:
            found, expected = cache.get(name, RRType.A, now), model.get(name, now)
            assert (found is None) == (expected is None)
            if isinstance(found, RRset) and expected is not None:
                assert found.rdatas == address(0, expected[0]).rdatas
                # The TTL left, rounded down.
                assert 0 <= expected[1] - found.ttl < 1
        cache.put(address(put.ttl, put.last, put.name), put.trust, now)
        model.put(put, now)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**5).map(lambda eighths: eighths / 8), max_size=30))
def test_a_ttl_never_grows(ttl: int, waits: list[float]) -> None:
    cache, now, before = Cache(), 5.0, ttl
    cache.put(address(ttl), Trust.ANSWER, now)
    for wait in waits:
        now += wait
        found = cache.get(WWW, RRType.A, now)
        after = found.ttl if isinstance(found, RRset) else -1
        assert after <= before
        before = after


@settings(deadline=None)
@given(st.integers(0, 8), st.lists(st.integers(0, 20), max_size=60))
def test_the_cache_never_has_more_than_it_may(entries_max: int, lasts: list[int]) -> None:
    cache = Cache(entries_max)
    for last in lasts:
        cache.put(address(100, 1, WWW.child(b"%d" % last)), Trust.ANSWER, 0)
        assert len(cache) <= entries_max
