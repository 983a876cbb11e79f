"""Random selection of passive ports, and the octets of one turn of the sendfile loop."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.ftp.limits import SOLE_TURN_OCTETS, TURN_OCTETS
from lab7.services.ftp.server_dtp.ports import candidates
from lab7.services.ftp.server_dtp.sendfile_loop import TransferLoad


@given(st.integers(1024, 1100), st.integers(0, 50), st.integers())
def test_each_port_of_a_range_is_tried_and_no_other(low: int, more: int, seed: int) -> None:
    tried = list(candidates((low, low + more), Random(seed)))
    assert set(tried) == set(range(low, low + more + 1))


def test_the_first_port_tried_is_not_to_be_guessed() -> None:
    """RFC 2577 section 8."""
    first = {next(candidates((1024, 65_535), Random(seed))) for seed in range(100)}
    assert len(first) > 90


def test_without_a_range_dynamic_ports_come_before_the_system_s_choice() -> None:
    *dynamic, last = candidates(None, Random(1))
    assert last == 0
    assert len(set(dynamic)) > 10
    assert all(49_152 <= port <= 65_535 for port in dynamic)


def test_a_wide_range_is_not_laid_out_for_its_first_port() -> None:
    class Counted(Random):
        asked = 0

        def randint(self, a: int, b: int) -> int:
            self.asked += 1
            return super().randint(a, b)

    random = Counted(1)
    list(islice(candidates((1024, 65_535), random), 1))
    assert random.asked == 1


@pytest.mark.parametrize(
    ("transfers", "octets"), [(1, SOLE_TURN_OCTETS), (2, SOLE_TURN_OCTETS // 2), (100, TURN_OCTETS)]
)
def test_a_turn_is_the_shorter_the_more_transfers_there_are(transfers: int, octets: int) -> None:
    assert TransferLoad(transfers).turn_octets == octets
