"""Region map parser: valid maps, and errors with their lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.name import Name
from lab7.services.dns.steering.region_map import (
    DEFAULT_TTL_S,
    MAP_OCTETS_MAX,
    REPLICAS_MAX,
    RegionMap,
    RegionMapError,
    parse_region_map,
    read_region_map,
)
from tests.core.services.dns.steering.cdn_maps import MAP, address, region_maps

REGION = "region all 0.0.0.0/0\nreplica all 192.0.2.1\n"


def test_a_map_is_parsed() -> None:
    read = parse_region_map(MAP)
    assert read.names == {Name.from_text("www.cdn.net."): 2}
    assert read.ttl == 2
    assert read.origin == (address("10.9.0.1"),)
    assert read.default == "asia"
    assert list(read.regions) == ["europe", "asia", "america"]
    assert [(str(one.address), one.capacity) for one in read.regions["europe"].replicas] == [
        ("10.8.1.10", 100.0),
        ("10.8.1.11", 100.0),
    ]
    assert {name: region.spill for name, region in read.regions.items()} == {
        "europe": ("asia", "america"),
        "asia": ("america", "europe"),
        "america": ("europe", "asia"),
    }


def test_defaults() -> None:
    read = parse_region_map("name www.cdn.net\n" + REGION)
    assert (read.ttl, read.default, read.origin) == (DEFAULT_TTL_S, "all", ())
    assert list(map(str, read.cover)) == ["0.0.0.0/0"]


def test_without_a_cover_the_families_that_have_regions_are_covered() -> None:
    read = parse_region_map("name a.b\nregion x ::/1\nregion y 8000::/1\nreplica x 192.0.2.1\nreplica y ::2\n")
    assert list(map(str, read.cover)) == ["::/0"]


@pytest.mark.parametrize(
    ("find", "put", "line", "detail"),
    [
        ("region    asia     10.8.128.0/18", "region asia 10.8.64.0/18", 6, "overlaps 10.8.0.0/17 of europe in line 5"),
        ("10.8.0.0/17", "10.8.0.0/17 10.8.3.0/24", 5, "10.8.3.0/24 of europe overlaps 10.8.0.0/17"),
        ("10.8.0.0/17", "10.8.0.0/17 10.8.0.0/17", 5, "overlaps"),
        ("cover     10.8.0.0/16", "cover 10.8.0.0/16 10.8.7.0/24", 4, "10.8.7.0/24 of the cover overlaps"),
        ("10.8.192.0/18", "10.8.192.0/19", 4, "no region contains 10.8.224.0/19"),
        ("10.8.0.0/17", "10.8.64.0/18", 4, "no region contains 10.8.0.0/18"),
        ("cover     10.8.0.0/16", "", 7, "no region contains 0.0.0.0/5"),
        ("cover     10.8.0.0/16", "cover 10.8.0.0/16 10.9.0.0/16", 4, "no region contains 10.9.0.0/16"),
        ("10.8.192.0/18", "10.8.192.0/18 10.7.0.0/24", 7, "10.7.0.0/24 of america is outside of the `cover` networks"),
        ("10.8.192.0/18", "10.8.192.0/18 ::/0", 7, "::/0 of america is outside of the `cover` networks"),
        ("ttl       2", "tll 2", 3, "unknown statement 'tll': expected name, ttl, cover"),
        ("ttl       2", "ttl 2\nttl 3", 4, "duplicate ttl"),
        ("ttl       2", "ttl soon", 3, "the TTL is 'soon'"),
        ("ttl       2", "ttl", 3, "expected `ttl SECONDS`"),
        ("name      www.cdn.net", "name www.cdn.net\nname WWW.cdn.net.", 3, "duplicate name WWW.cdn.net."),
        ("name      www.cdn.net", "name a..b", 2, "'a..b'"),
        ("name      www.cdn.net", "", 14, "no name statement"),
        ("replica   asia     10.8.128.10", "replica africa 10.8.128.10", 10, "undefined region africa"),
        ("replica   asia     10.8.128.10", "", 6, "the region asia has no replica"),
        ("10.8.128.10", "10.8.1.10", 10, "duplicate replica 10.8.1.10"),
        ("10.8.128.10", "10.8.128", 10, "invalid address '10.8.128'"),
        ("10.8.128.10", "fe80::1%eth0", 10, "is not a unicast address of a host"),
        ("10.8.128.10", "0.0.0.0", 10, "is not a unicast address of a host"),
        ("10.8.128.10", "10.8.128.10 100", 10, "expected `replica REGION ADDRESS"),
        ("10.8.128.10", "10.8.128.10 weight 100", 10, "expected `replica REGION ADDRESS"),
        ("10.8.128.10", "10.8.128.10 capacity 0", 10, "invalid capacity '0'"),
        ("10.8.128.10", "10.8.128.10 capacity nan", 10, "invalid capacity 'nan'"),
        ("10.8.128.10", "10.8.128.10 capacity .", 10, "invalid capacity '.'"),
        ("10.8.128.0/18", "10.8.128.1/18", 6, "invalid network '10.8.128.1/18'"),
        ("10.8.128.0/18", "", 6, "expected `region NAME NETWORK...`"),
        ("region    asia", "region europe", 6, "duplicate region europe"),
        ("spill     asia     america", "spill asia africa", 12, "undefined region africa"),
        ("spill     asia     america", "spill asia asia", 12, "duplicate region asia in a spill"),
        ("default   asia", "default africa", 13, "undefined region africa"),
        ("default   asia", "default asia europe", 13, "expected `default REGION`"),
        ("otherwise origin   10.9.0.1", "otherwise origin", 14, "expected `otherwise servfail`"),
        ("otherwise origin   10.9.0.1", "otherwise nxdomain", 14, "expected `otherwise servfail`"),
        ("otherwise origin   10.9.0.1", "otherwise servfail 1", 14, "expected `otherwise servfail`"),
        ("otherwise origin   10.9.0.1", "otherwise origin ::1", 14, "the origin has no IPv4 address"),
        ("10.8.128.10", "2001:db8::10", 14, "the origin has no IPv6 address"),
    ],
)
def test_errors_have_their_line(find: str, put: str, line: int, detail: str) -> None:
    assert find in MAP
    with pytest.raises(RegionMapError) as caught:
        parse_region_map(MAP.replace(find, put, 1), "regions")
    assert str(caught.value).startswith(f"regions:{line}: ")
    assert detail in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n"])
def test_an_empty_map_is_none(text: str) -> None:
    with pytest.raises(RegionMapError, match="no name statement"):
        parse_region_map(text)


def test_bounds() -> None:
    many = "".join(f"replica all 10.{n >> 8}.{n & 255}.1\n" for n in range(REPLICAS_MAX))
    with pytest.raises(RegionMapError, match=rf"map:{REPLICAS_MAX + 3}: more than"):
        parse_region_map("name a.b\n" + REGION + many)


def test_a_file_that_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(RegionMapError, match="none:1: cannot read"):
        read_region_map(tmp_path / "none")
    (tmp_path / "large").write_bytes(b"#" * (MAP_OCTETS_MAX + 1))
    with pytest.raises(RegionMapError, match="large:1: larger than"):
        read_region_map(tmp_path / "large")


@given(region_maps())
def test_a_partition_is_a_map(made: tuple[str, object, list[object]]) -> None:
    text, whole, parts = made
    read = parse_region_map(text)
    assert read.cover == (whole,)
    assert {network for region in read.regions.values() for network in region.networks} == set(parts)


@given(region_maps(), st.data())
def test_a_partition_without_one_part_has_a_gap(made: tuple[str, object, list[object]], data: st.DataObject) -> None:
    text, _, parts = made
    part = data.draw(st.sampled_from(parts))
    lines = [
        re.sub(rf" {re.escape(str(part))}(?= |$)", "", line, count=1) if "region" in line else line
        for line in text.split("\n")
    ]
    with pytest.raises(RegionMapError) as caught:
        parse_region_map("\n".join(lines))
    # A region without a network is a syntax error.
    assert re.fullmatch(r"map:\d+: .*(no region contains .*|NETWORK\.\.\.`)", str(caught.value))


def read_or_line(text: str) -> RegionMap | int:
    """Return the map, or the line of the error."""
    try:
        return parse_region_map(text)
    except RegionMapError as error:
        return error.line


@given(st.text(max_size=200))
def test_any_text_parses_or_is_an_error_with_a_line(text: str) -> None:
    read = read_or_line(text)
    assert isinstance(read, RegionMap) or 1 <= read <= text.count("\n") + 1


WORDS = ["name", "ttl", "cover", "region", "replica", "spill", "default", "otherwise", "origin", "servfail", "capacity"]
WORDS += ["a.b", "2", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/0", "::/0", "10.1.1.1", "::1", "x", "y", "#"]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=5), max_size=8))
def test_any_statements_parse_or_are_an_error_with_a_line(lines: list[list[str]]) -> None:
    read = read_or_line("\n".join(map(" ".join, lines)))
    if isinstance(read, RegionMap):
        assert all(region.replicas for region in read.regions.values())
    else:
        assert 1 <= read <= max(1, len(lines))
