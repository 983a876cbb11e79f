"""ECS cache: keys by network, longest match, bounds; and comparison with a plain list of all responses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import ClientSubnet, SubnetPolicy
from lab7.services.dns.codec.codes import RRClass, RRType
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import A
from lab7.services.dns.recursion.ecs_cache import ECSCache
from tests.core.services.dns.steering.cdn_maps import address

WWW = Name.from_text("www.cdn.net.")
POLICY = SubnetPolicy(24, 56)


def rrset(number: int, ttl: int = 60) -> RRset:
    return RRset(WWW, RRType.A, RRClass.IN, ttl, (A(address(f"192.0.2.{number}")),))  # type: ignore[arg-type]


def answered(text: str, scope: int) -> ClientSubnet:
    return ClientSubnet(ip_network(text), scope)


def stored(said: ClientSubnet, policy: SubnetPolicy = POLICY) -> ECSCache:
    cache = ECSCache(policy)
    cache.put(rrset(1), said, 0.0)
    return cache


def scope_of(cache: ECSCache, text: str, now: float = 1.0) -> int | None:
    """Return the scope of the entry for a network."""
    hit = cache.get(WWW, RRType.A, ip_network(text), now)
    return None if hit is None else hit[1]


@pytest.mark.parametrize(
    ("said", "subnet", "scope"),
    [
        # RFC 7871 section 7.3.1: the scope is not longer than the source.
        (answered("10.8.1.0/24", 24), "10.8.1.0/24", 24),
        (answered("10.8.1.0/24", 24), "10.8.2.0/24", None),
        (answered("10.8.1.0/24", 16), "10.8.2.0/24", 16),
        (answered("10.8.1.0/24", 16), "10.9.2.0/24", None),
        (answered("10.8.1.0/24", 16), "10.8.0.0/16", 16),
        (answered("10.8.1.0/24", 16), "10.8.0.0/15", None),
        (answered("10.8.1.0/24", 16), "::/56", None),
        # The source has the maximum length.
        (answered("10.8.1.0/24", 32), "10.8.1.0/24", 24),
        (answered("10.8.1.0/24", 32), "10.8.0.0/16", None),
        # The source is shorter, and the scope longer: valid for clients that send exactly that length.
        (answered("10.8.0.0/16", 20), "10.8.0.0/16", 20),
        (answered("10.8.0.0/16", 20), "10.8.1.0/24", None),
        (answered("10.8.0.0/16", 20), "10.8.0.0/20", None),
        # Prefix length 0: valid for clients that send prefix length 0.
        (answered("0.0.0.0/0", 0), "0.0.0.0/0", 0),
        (answered("0.0.0.0/0", 0), "10.8.1.0/24", None),
        (answered("10.8.1.0/24", 1), "0.0.0.0/0", None),
        (answered("2001:db8::/56", 48), "2001:db8::/56", 48),
        (answered("2001:db8::/56", 48), "2001:db8:0:100::/56", 48),
    ],
)
def test_validity_of_a_response(said: ClientSubnet, subnet: str, scope: int | None) -> None:
    assert scope_of(stored(said), subnet) == scope


def test_the_longest_match_counts() -> None:
    cache = stored(answered("10.8.1.0/24", 8))
    cache.put(rrset(2), answered("10.8.1.0/24", 16), 0.0)
    assert scope_of(cache, "10.8.7.0/24") == 16
    assert scope_of(cache, "10.9.7.0/24") == 8


def test_ttls_count_down_and_end() -> None:
    cache = stored(answered("10.8.1.0/24", 16))
    cache.put(rrset(2, ttl=5), answered("10.8.1.0/24", 24), 0.0)
    hit = cache.get(WWW, RRType.A, ip_network("10.8.1.0/24"), 1.5)
    assert hit is not None
    assert hit[0].ttl == 3
    # Then the shorter match is the longest that has not expired.
    assert [scope_of(cache, "10.8.1.0/24", now) for now in (4.9, 5.0, 59.9, 60.0)] == [24, 16, 16, None]


def test_a_ttl_of_0_is_not_kept() -> None:
    cache = ECSCache(POLICY)
    cache.put(rrset(1, ttl=0), answered("10.8.1.0/24", 24), 0.0)
    assert scope_of(cache, "10.8.1.0/24", 0.0) is None


def test_types_and_names_are_apart_and_case_is_not() -> None:
    cache = stored(answered("10.8.1.0/24", 24))
    subnet = ip_network("10.8.1.0/24")
    assert cache.get(WWW, RRType.AAAA, subnet, 1.0) is None
    assert cache.get(Name.from_text("w.cdn.net."), RRType.A, subnet, 1.0) is None
    assert cache.get(Name.from_text("WWW.CDN.NET."), RRType.A, subnet, 1.0) is not None


def test_bounds() -> None:
    cache = ECSCache(POLICY, questions_max=2, networks_max=3)
    for number in range(5):
        cache.put(rrset(1), answered(f"10.8.{number}.0/24", 24), 0.0)
    assert [scope_of(cache, f"10.8.{number}.0/24") for number in range(5)] == [None, None, 24, 24, 24]
    for text in ("a.cdn.net.", "b.cdn.net."):
        cache.put(rrset(1).renamed(Name.from_text(text)), answered("10.8.1.0/24", 24), 0.0)
    assert scope_of(cache, "10.8.4.0/24") is None
    nothing = ECSCache(POLICY, questions_max=0)
    nothing.put(rrset(1), answered("10.8.1.0/24", 24), 0.0)
    assert scope_of(nothing, "10.8.1.0/24") is None


SMALL = st.tuples(st.integers(0, 15), st.integers(0, 8)).map(
    lambda drawn: ip_network((drawn[0] << 28, drawn[1]), strict=False)
)


def holds(said: ClientSubnet, subnet: Network, longest: int) -> int | None:
    """Return the length of an answer's match by RFC 7871 section 7.3.1, None without a match."""
    source, scope = said.network.prefixlen, said.scope_prefix
    if source == 0 or subnet.prefixlen == 0:
        return 0 if source == subnet.prefixlen == 0 else None
    if scope > source and source < longest:
        return source if subnet == said.network else None
    shared = min(source, scope)
    cut = said.network.supernet(new_prefix=shared)
    return shared if subnet.prefixlen >= shared and subnet.supernet(new_prefix=shared) == cut else None


@given(st.lists(st.tuples(SMALL, st.integers(1, 12)), max_size=8), SMALL)
def test_lookup_is_the_longest_match_of_all_responses(said: list[tuple[Network, int]], subnet: Network) -> None:
    policy = SubnetPolicy(8, 8)
    cache = ECSCache(policy)
    best: tuple[int, int] | None = None
    for number, (source, scope) in enumerate(said):
        option = ClientSubnet(source, 0 if source.prefixlen == 0 else scope)
        cache.put(rrset(number), option, 0.0)
        match = holds(option, subnet, 8)
        if match is not None and (best is None or match >= best[0]):
            best = (match, number)
    hit = cache.get(WWW, RRType.A, subnet, 1.0)
    length = None if best is None else best[0]
    if hit is None:
        assert length is None
        return
    data = hit[0].rdatas[0]
    assert isinstance(data, A)
    number = int(data.address) & 0xFF
    assert holds(ClientSubnet(said[number][0], said[number][1]), subnet, 8) == length
