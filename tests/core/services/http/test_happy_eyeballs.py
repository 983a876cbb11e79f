"""Happy eyeballs (RFC 8305): order of the addresses, and which attempts are made in which order, without a network."""

from __future__ import annotations

import asyncio

import pytest

from lab7.services.http.page_load import happy_eyeballs
from lab7.services.http.page_load.happy_eyeballs import Address, connect, interleaved

SIX, SIX_MORE, FOUR, FOUR_MORE = (
    ("2001:db8::1", 80),
    ("2001:db8::2", 80),
    ("192.0.2.1", 80),
    ("192.0.2.2", 80),
)


@pytest.mark.parametrize(
    ("addresses", "order"),
    [
        ([], []),
        ([FOUR], [FOUR]),
        ([SIX, SIX_MORE, FOUR], [SIX, FOUR, SIX_MORE]),
        ([FOUR, SIX, SIX_MORE], [FOUR, SIX, SIX_MORE]),
        ([SIX, SIX_MORE, FOUR, FOUR_MORE], [SIX, FOUR, SIX_MORE, FOUR_MORE]),
    ],
)
def test_the_families_alternate(addresses: list[Address], order: list[Address]) -> None:
    assert interleaved(addresses) == order


class Network:
    """Addresses that answer, refuse or stay silent; `begun` and `ended` list what the client did, in order."""

    def __init__(self, answering: set[Address], refusing: set[Address] = frozenset()) -> None:  # type: ignore[assignment]
        self.answering, self.refusing = answering, refusing
        self.begun: list[Address] = []
        self.cancelled: list[Address] = []
        self.abandoned: list[Address] = []

    async def attempt(self, address: Address) -> Address:
        self.begun.append(address)
        if address in self.refusing:
            raise ConnectionRefusedError(f"{address[0]} refuses")
        try:
            await asyncio.sleep(0 if address in self.answering else 3600)
        except asyncio.CancelledError:
            self.cancelled.append(address)
            raise
        return address

    def connect(self, *addresses: Address) -> Address:
        return asyncio.run(connect(addresses, self.attempt, self.abandoned.append))[1]


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "CONNECTION_ATTEMPT_DELAY_S", 0.001)


def test_a_first_address_that_answers_is_the_only_one_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "CONNECTION_ATTEMPT_DELAY_S", 3600.0)
    network = Network({SIX, FOUR})
    assert network.connect(SIX, FOUR) == SIX
    assert network.begun == [SIX]


def test_a_silent_address_is_overtaken_by_the_other_family() -> None:
    network = Network({FOUR})
    assert network.connect(SIX, SIX_MORE, FOUR) == FOUR
    assert network.begun == [SIX, FOUR]
    assert network.cancelled == [SIX]


def test_a_refusal_begins_the_next_attempt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "CONNECTION_ATTEMPT_DELAY_S", 3600.0)
    network = Network({FOUR}, {SIX, SIX_MORE})
    assert network.connect(SIX, SIX_MORE, FOUR) == FOUR
    assert network.begun == [SIX, FOUR]


def test_without_an_answer_the_last_failure_is_raised() -> None:
    network = Network(set(), {SIX, FOUR})
    with pytest.raises(ConnectionRefusedError, match=r"^192\.0\.2\.1 refuses$"):
        network.connect(SIX, FOUR)


def test_addresses_of_one_family_do_not_race() -> None:
    async def silent_first() -> list[Address]:
        network = Network({FOUR_MORE})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connect([FOUR, FOUR_MORE], network.attempt, network.abandoned.append)
        return network.begun

    assert asyncio.run(silent_first()) == [FOUR]


def test_a_connection_that_comes_second_is_closed() -> None:
    network = Network(set())

    async def both() -> Address:
        opened = asyncio.Event()

        # The second attempt lets the first succeed in the same pass of the event loop.
        async def attempt(address: Address) -> Address:
            await opened.wait() if address == SIX else opened.set()
            return address

        return (await connect([SIX, FOUR], attempt, network.abandoned.append))[1]

    winner = asyncio.run(both())
    assert {winner, *network.abandoned} == {SIX, FOUR}
