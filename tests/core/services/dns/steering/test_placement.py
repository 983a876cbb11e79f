"""Placement: the region of a client, and the replicas chosen."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.address_space import Address, Network
from lab7.services.dns.steering.health import Change, CheckResult, HealthTable, State
from lab7.services.dns.steering.placement import ADDRESSES_MAX
from lab7.services.dns.steering.region_map import parse_region_map
from tests.core.services.dns.steering.cdn_maps import MAP, address, addresses_in, placed, region_maps

EVERY = {"10.8.1.10": None, "10.8.1.11": None, "10.8.128.10": None, "10.8.192.10": None}
Loads = dict[str, float | None]


@given(region_maps(), st.data())
def test_any_address_in_the_cover_has_exactly_one_region(
    made: tuple[str, Network, list[Network]], data: st.DataObject
) -> None:
    text, whole, _ = made
    regions = parse_region_map(text)
    placement, _ = placed(regions, {})
    asker = data.draw(addresses_in(whole))
    place = placement.locate(asker)
    holding = [name for name, one in regions.regions.items() for network in one.networks if asker in network]
    assert holding == [place.region]
    assert asker in place.network
    assert place.network in regions.regions[place.region].networks


@given(region_maps(), st.ip_addresses())
def test_any_other_address_has_the_default_and_a_network_that_is_not_the_covers(
    made: tuple[str, Network, list[Network]], asker: Address
) -> None:
    text, whole, _ = made
    regions = parse_region_map(text)
    place = placed(regions, {})[0].locate(asker)
    assert asker in place.network
    if asker.version != whole.version:
        assert place.network.prefixlen == 0
    elif asker not in whole:
        assert place.region == regions.default
        assert not place.network.overlaps(whole)
        # It is the largest there is.
        assert place.network.prefixlen == 0 or place.network.supernet().overlaps(whole)


@given(
    region_maps(),
    st.dictionaries(st.integers(0, 11), st.none() | st.floats(0, 1000)),
    st.integers(0, 3),
    st.sampled_from(["servfail", "origin 192.0.9.9"]),
)
def test_a_choice_names_replicas_that_are_up_and_the_last_resort_only_when_none_is(
    made: tuple[str, Network, list[Network]], up: dict[int, float | None], number: int, otherwise: str
) -> None:
    regions = parse_region_map(made[0].replace("otherwise servfail", f"otherwise {otherwise}"))
    replicas = regions.replicas
    loads = {str(replicas[place % len(replicas)].address): load for place, load in up.items()}
    placement, health = placed(regions, loads)
    region = list(regions.regions)[number % len(regions.regions)]
    choice = placement.choose(region, 4)
    if loads:
        assert choice.addresses
        assert all(health.is_up(one) for one in choice.addresses)
        assert choice.served_by in regions.regions
        own = [replica for replica in regions.regions[region].replicas if health.is_up(replica.address)]
        assert not own or choice.served_by == region
    else:
        assert (choice.served_by, choice.addresses) == (None, regions.origin)


def test_the_least_loaded_comes_first() -> None:
    placement, _ = placed(parse_region_map(MAP), {"10.8.1.10": 7.0, "10.8.1.11": 3.0})
    for _ in range(3):
        assert list(map(str, placement.choose("europe", 4).addresses)) == ["10.8.1.11", "10.8.1.10"]


def test_loads_are_compared_as_parts_of_the_capacity_where_all_have_one() -> None:
    text = MAP.replace("10.8.1.11  capacity 100", "10.8.1.11  capacity 10")
    loads: Loads = {"10.8.1.10": 20.0, "10.8.1.11": 8.0}
    assert str(placed(parse_region_map(text), loads)[0].choose("europe", 4).addresses[0]) == "10.8.1.10"
    without = text.replace("10.8.1.10  capacity 100", "10.8.1.10")
    assert str(placed(parse_region_map(without), loads)[0].choose("europe", 4).addresses[0]) == "10.8.1.11"


@pytest.mark.parametrize("loads", [{"10.8.1.10": 5.0, "10.8.1.11": 5.0}, {"10.8.1.10": 5.0, "10.8.1.11": None}])
def test_equal_ones_take_turns(loads: Loads) -> None:
    placement, _ = placed(parse_region_map(MAP), loads)
    firsts = Counter(str(placement.choose("europe", 4).addresses[0]) for _ in range(10))
    assert firsts == {"10.8.1.10": 5, "10.8.1.11": 5}


@pytest.mark.parametrize(
    ("region", "loads", "served_by"),
    [
        ("europe", EVERY, "europe"),
        ("europe", {"10.8.128.10": None, "10.8.192.10": None}, "asia"),
        ("america", {"10.8.128.10": None, "10.8.1.10": None}, "europe"),
        # The spill line has america before europe.
        ("asia", {"10.8.1.10": None, "10.8.192.10": None}, "america"),
        ("asia", {"10.8.1.10": None}, "europe"),
        # Full: 100 of 100.
        ("europe", {**EVERY, "10.8.1.10": 100.0, "10.8.1.11": 250.0}, "asia"),
        ("europe", {**EVERY, "10.8.1.10": 100.0, "10.8.1.11": 99.5}, "europe"),
        # Full is better than down.
        ("asia", {"10.8.1.10": 100.0}, "europe"),
        ("asia", {}, None),
    ],
)
def test_spill_order(region: str, loads: Loads, served_by: str | None) -> None:
    assert placed(parse_region_map(MAP), loads)[0].choose(region, 4).served_by == served_by


def test_a_replica_that_is_full_is_not_named_beside_one_that_is_not() -> None:
    placement, _ = placed(parse_region_map(MAP), {"10.8.1.10": 100.0, "10.8.1.11": 3.0})
    assert list(map(str, placement.choose("europe", 4).addresses)) == ["10.8.1.11"]


def test_families_are_chosen_apart() -> None:
    text = "name a.b\nregion x 0.0.0.0/0\nregion y ::/0\nreplica x 192.0.2.1\nreplica y ::2\n"
    placement, _ = placed(parse_region_map(text), {"192.0.2.1": None, "::2": None})
    assert placement.choose("x", 6).served_by == "y"
    assert placement.choose("y", 4).addresses == (address("192.0.2.1"),)


def test_an_answer_has_no_more_addresses_than_it_may() -> None:
    text = "name a.b\nregion x 0.0.0.0/0\n" + "".join(f"replica x 192.0.2.{n}\n" for n in range(1, 21))
    regions = parse_region_map(text)
    placement, _ = placed(regions, {str(replica.address): None for replica in regions.replicas})
    choices = [placement.choose("x", 4).addresses for _ in range(20)]
    assert {len(choice) for choice in choices} == {ADDRESSES_MAX}
    # All are rotated to the front.
    assert len({choice[0] for choice in choices}) == 20


ONE = address("192.0.2.1")


def test_a_replica_goes_out_after_so_many_failures_in_a_row_and_in_after_one_success() -> None:
    table = HealthTable([ONE], failures_max=3)
    said = [
        table.update(ONE, CheckResult(healthy))
        for healthy in (True, False, False, True, False, False, False, False, True)
    ]
    changes = [None if change is None else change.state for change in said]
    assert changes == [State.UP, None, None, None, None, None, State.DOWN, None, State.UP]


def test_a_replica_that_was_never_up_is_down() -> None:
    table = HealthTable([ONE], failures_max=3)
    assert not table.is_up(ONE)
    assert table.update(ONE, CheckResult(False, detail="no")) == Change(ONE, State.DOWN, "no")
    assert not table.is_up(ONE)


def test_add_keeps_state_and_retain_removes_others() -> None:
    table = HealthTable([ONE])
    table.update(ONE, CheckResult(True, 4.0))
    other = address("192.0.2.2")
    table.add([ONE, other])
    assert (table.is_up(ONE), table.load(ONE), table.is_up(other)) == (True, 4.0, False)
    table.retain([other])
    assert (table.is_up(ONE), table.load(ONE)) == (False, None)
    assert table.update(ONE, CheckResult(True)) is None


@given(st.lists(st.booleans()), st.integers(1, 4))
def test_the_last_checks_decide_the_state(reports: list[bool], failures_max: int) -> None:
    table = HealthTable([ONE], failures_max)
    for healthy in reports:
        table.update(ONE, CheckResult(healthy))
    assert table.is_up(ONE) == any(reports[-failures_max:])
