"""Admission, eviction and refusal by the connection table, at given times."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.connections import (
    OPENING_GRACE_S,
    Admission,
    ConnectionLimits,
    ConnectionTable,
    Refusal,
    Stage,
    TableEntry,
    paid_deadline,
    prefix_of,
)

OLD, YOUNG = 0.0, OPENING_GRACE_S + 100.0


def table_of(size: int, per_address: int | None = None) -> ConnectionTable:
    return ConnectionTable(ConnectionLimits(size, per_address))


def admit(table: ConnectionTable, address: str, now: float = OLD, stage: Stage = Stage.OPENING) -> TableEntry:
    admitted = table.admit(address, now)
    assert isinstance(admitted, Admission)
    admitted.entry.stage = stage
    return admitted.entry


def evicted_for(table: ConnectionTable, address: str, now: float = YOUNG) -> TableEntry | None:
    admitted = table.admit(address, now)
    assert isinstance(admitted, Admission)
    return admitted.evicted


def filled(size: int, addresses: Sequence[str], stage: Stage, now: float = OLD) -> ConnectionTable:
    table = table_of(size)
    number = 0
    while len(table) < size:
        before = len(table)
        result = table.admit(addresses[number % len(addresses)], now)
        if isinstance(result, Admission):
            result.entry.stage = stage
        number += 1
        if number % len(addresses) == 0 and len(table) == before:
            break
    return table


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.255", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("2001:db8:0:100::1", "2001:db8:0:1ff::1", True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("?", "192.0.2.1", False),
    ],
)
def test_what_counts_as_one_prefix(one: str, other: str, same: bool) -> None:
    assert (prefix_of(one) == prefix_of(other)) is same


def test_with_room_all_are_admitted() -> None:
    table = table_of(7)
    for _ in range(7):
        assert evicted_for(table, "192.0.2.1", OLD) is None
    assert len(table) == 7


def test_a_single_address_has_all_but_what_is_reserved_for_others() -> None:
    table = filled(1000, ["192.0.2.1"], Stage.OPENING)
    assert len(table) == 875
    assert table.admit("192.0.2.1", OLD) is Refusal.ADDRESS
    assert evicted_for(table, "198.51.100.1", OLD) is None


def test_a_single_prefix_has_all_but_what_is_reserved_for_others() -> None:
    table = filled(1000, [f"192.0.2.{number}" for number in range(100)], Stage.ACTIVE)
    assert len(table) == 875
    assert table.admit("192.0.2.200", OLD) is Refusal.FULL
    assert evicted_for(table, "198.51.100.1", OLD) is None


def test_an_address_has_its_absolute_limit_also_while_there_is_room() -> None:
    table = table_of(100, per_address=2)
    first = admit(table, "192.0.2.1")
    admit(table, "192.0.2.1", stage=Stage.ACTIVE)
    assert table.admit("192.0.2.1", OLD) is Refusal.ADDRESS
    # Later it evicts a connection of its own that never logged in.
    assert evicted_for(table, "192.0.2.1", YOUNG) is first
    assert evicted_for(table, "192.0.2.2", YOUNG) is None


def test_what_is_not_logged_in_is_evicted_first() -> None:
    table = table_of(4)
    admit(table, "192.0.2.1", stage=Stage.ACTIVE)
    admit(table, "192.0.2.2", stage=Stage.IDLE)
    opening = admit(table, "192.0.2.3", 5.0)
    admit(table, "192.0.2.4", stage=Stage.IDLE)
    assert evicted_for(table, "198.51.100.1") is opening


def test_then_what_is_idle_longest() -> None:
    table = table_of(3)
    first = admit(table, "192.0.2.1", stage=Stage.IDLE)
    second = admit(table, "192.0.2.2", stage=Stage.IDLE)
    admit(table, "192.0.2.3", stage=Stage.ACTIVE)
    first.complete(1.0)
    assert evicted_for(table, "198.51.100.1") is second


def test_of_an_address_with_more_connections_first() -> None:
    table = table_of(4)
    admit(table, "192.0.2.1", 0.0)
    more = admit(table, "192.0.2.2", 1.0)
    admit(table, "192.0.2.2", 2.0)
    admit(table, "192.0.2.3", 0.0)
    assert evicted_for(table, "198.51.100.1") is more


def test_of_a_prefix_with_more_connections_first() -> None:
    table = table_of(3)
    admit(table, "203.0.113.1", 0.0)
    more = admit(table, "192.0.2.2", 1.0)
    admit(table, "192.0.2.3", 2.0)
    assert evicted_for(table, "198.51.100.1") is more


def test_an_active_connection_of_an_address_with_its_share_is_never_evicted() -> None:
    table = filled(100, [f"10.{number}.0.1" for number in range(50)], Stage.ACTIVE)
    assert len(table) == 100
    assert table.admit("198.51.100.1", YOUNG) is Refusal.FULL


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("attackers", [1, 2, 5, 20])
@pytest.mark.parametrize("spread", ["10.9.8.{0}", "10.{0}.1.1"])
def test_a_new_client_has_a_place_whatever_attackers_do(stage: Stage, attackers: int, spread: str) -> None:
    """Check it also for attackers that have only just connected, in any stage."""
    addresses = [spread.format(number) for number in range(attackers)]
    table = filled(200, addresses, stage, now=OLD)
    for number in range(5):
        client = admit(table, f"198.51.{number}.1", OLD)
        for address in addresses:
            for _ in range(100 // attackers):
                result = table.admit(address, OLD)
                if isinstance(result, Admission):
                    result.entry.stage = stage
        assert client in table
        client.stage = Stage.ACTIVE


def test_addresses_of_one_prefix_that_are_all_active_make_room_for_another_one_of_theirs() -> None:
    table = filled(1024, [f"192.0.2.{number}" for number in range(16)], Stage.ACTIVE)
    assert len(table) < 1024
    admitted = [table.admit("192.0.2.200", YOUNG) for _ in range(8)]
    assert all(isinstance(one, Admission) and one.evicted is not None for one in admitted)


def test_many_addresses_with_one_connection_each_are_evicted_from_the_oldest() -> None:
    table = table_of(1000)
    entries = [admit(table, f"10.{number // 250}.{number % 250}.1", number / 1000) for number in range(1000)]
    assert evicted_for(table, "198.51.100.1", 1.0) is entries[0]


def test_a_second_client_does_not_evict_the_first_before_it_has_had_its_time() -> None:
    table = table_of(1000)
    for number in range(900):
        admit(table, f"10.{number % 5}.0.1", OLD, Stage.ACTIVE)
    clients = [admit(table, f"198.51.{number % 250}.{number}", YOUNG) for number in range(100)]
    late = evicted_for(table, "203.0.113.1")
    assert late is not None
    assert late.address.startswith("10.")
    assert all(client in table for client in clients)


def test_a_burst_from_one_address_does_not_evict_itself() -> None:
    table = table_of(4)
    for _ in range(4):
        admit(table, "192.0.2.1")
    assert table.admit("192.0.2.1", OLD) is Refusal.ADDRESS


def test_an_attacker_evicts_none_but_its_own() -> None:
    table = table_of(10)
    own = [admit(table, "192.0.2.1", number) for number in range(8)]
    admit(table, "198.51.100.1", YOUNG)
    admit(table, "198.51.100.2", YOUNG)
    assert evicted_for(table, "192.0.2.1", YOUNG) is own[0]


def test_without_descriptors_the_least_useful_goes_though_there_is_room() -> None:
    table = table_of(10)
    admit(table, "192.0.2.1", stage=Stage.ACTIVE)
    opening = admit(table, "192.0.2.2")
    assert table.evict_any(YOUNG) is opening
    assert table.evict_any(YOUNG) is None
    assert len(table) == 1


def test_what_is_removed_twice_is_counted_once() -> None:
    table = table_of(2, per_address=1)
    entry = admit(table, "192.0.2.1")
    table.remove(entry)
    table.remove(entry)
    assert len(table) == 0
    assert evicted_for(table, "192.0.2.1") is None


STEPS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(Stage), st.floats(0, 5), st.booleans()), max_size=120)


@given(STEPS, st.integers(1, 20))
def test_the_table_never_holds_more_than_it_may_and_counts_right(
    steps: list[tuple[int, Stage, float, bool]], size: int
) -> None:
    table, now = table_of(size), 0.0
    held: list[TableEntry] = []
    for number, stage, passed, removes in steps:
        now += passed
        result = table.admit(f"10.{number % 3}.0.{number}", now)
        if isinstance(result, Admission):
            if result.evicted is not None:
                held.remove(result.evicted)
            result.entry.stage = stage
            held.append(result.entry)
        if removes and held:
            table.remove(held.pop(0))
        assert len(table) == len(held) <= size
        assert all(entry in table for entry in held)


def test_content_that_is_slower_than_its_rate_uses_its_time_up() -> None:
    deadline, now = 10.0, 0.0
    while now < deadline:
        now += 1.0
        deadline = paid_deadline(deadline, 1, 100.0, now + 10.0)
    assert now < 11.1
    assert paid_deadline(10.0, 500, 100.0, 30.0) == 15.0
    assert paid_deadline(10.0, 1_000_000, 100.0, 30.0) == 30.0
    assert paid_deadline(10.0, 500, 100.0, 5.0) == 10.0
