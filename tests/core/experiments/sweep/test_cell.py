"""A cell's name depends on everything that its result depends on, and on nothing else; the order on the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from lab7.experiments.harness.clock import Clock
from lab7.experiments.sweep.backlog import Backlog, is_settled
from lab7.experiments.sweep.cell import shuffled
from lab7.experiments.sweep.definition import Definition, parse_definition
from tests.core.experiments.sweep.samples import TEXT, VIRTUAL, cells

DEFINITION = parse_definition(TEXT)
ONE = Definition("sample", axes={"rtt": ("20ms",)}, roles={"origin": ("python3 mine.py --port {port}",)})


def name(
    definition: Definition, clock: Clock = VIRTUAL, version: str = "1", digests: Mapping[str, str] | None = None
) -> str:
    (cell,) = cells(definition, clock, version, digests)
    return cell.name


@pytest.mark.parametrize(
    "changed",
    [
        replace(ONE, axes={"rtt": ("21ms",)}),
        replace(ONE, axes={"rtt": ("20ms",), "objects": ("2",)}),
        replace(ONE, seeds=(2,)),
        replace(ONE, roles={}),
        replace(ONE, repeat=1),
        replace(ONE, full=True),
    ],
)
def test_the_name_depends_on_every_setting_of_the_run(changed: Definition) -> None:
    assert name(changed) != name(ONE)


def test_the_name_depends_on_clock_version_and_files() -> None:
    names = {
        name(ONE),
        name(ONE, Clock()),
        name(replace(ONE, links="wire"), Clock()),
        name(ONE, replace(VIRTUAL, configuration="abd")),
        name(ONE, version="2"),
        name(ONE, digests={"mine.py": "1234"}),
        name(ONE, digests={"mine.py": "1235"}),
    }
    assert len(names) == 7


@pytest.mark.parametrize(
    "same",
    [
        replace(ONE, axes={"rtt": ("0.02s",)}),
        replace(ONE, axes={"rtt": ("20ms",), "objects": ("3",)}),
        replace(ONE, again=7, order_seed=9, time="virtual"),
        # Links are netem in virtual time.
        replace(ONE, links="netem"),
    ],
)
def test_the_name_does_not_depend_on_notation_defaults_and_order(same: Definition) -> None:
    assert name(same) == name(ONE)
    assert name(ONE, digests={"another.py": "1"}) == name(ONE)


def test_an_extended_sweep_keeps_the_names_of_its_cells() -> None:
    more = replace(DEFINITION, axes={"rtt": ("10ms", *DEFINITION.axes["rtt"]), "objects": ("1",)}, seeds=(1, 2, 3, 4))
    before, after = ({cell.name for cell in cells(one)} for one in (DEFINITION, more))
    assert before < after
    assert (len(before), len(after)) == (12, 24)


def test_a_cell_that_two_points_of_the_grid_describe_is_run_once() -> None:
    twice = replace(ONE, axes={"rtt": ("20ms", "0.02s", "60ms")})
    assert [cell.point.given["rtt"] for cell in cells(twice)] == ["20ms", "60ms"]


def test_the_order_is_random_and_depends_on_the_seed_and_the_set_of_cells_only() -> None:
    all_cells = cells(DEFINITION)
    first = shuffled(all_cells, 1)
    assert first == shuffled(reversed(all_cells), 1)
    assert first != all_cells
    assert first != shuffled(all_cells, 2)
    assert {cell.name for cell in first} == {cell.name for cell in all_cells}


def test_a_suspect_cell_comes_again_at_the_end_for_a_bounded_number_of_times() -> None:
    all_cells = cells(DEFINITION)[:3]
    backlog = Backlog(all_cells, 2, "real")
    seen, ends = [], []
    while (cell := backlog.take()) is not None:
        seen.append(all_cells.index(cell))
        ends.append(backlog.settle(cell, valid=cell != all_cells[0]))
    assert seen == [0, 1, 2, 0, 0]
    assert ends == [False, True, True, False, True]
    assert backlog.attempt(all_cells[0]) == 3


def test_in_virtual_time_only_a_failed_cell_comes_again() -> None:
    suspect, failed = cells(DEFINITION)[:2]
    backlog = Backlog([suspect, failed], 1, "virtual")
    assert backlog.take() == suspect
    assert backlog.settle(suspect, valid=False)
    assert backlog.take() == failed
    assert not backlog.settle(failed, valid=False, failed=True)
    assert backlog.take() == failed
    assert backlog.settle(failed, valid=False, failed=True)
    assert len(backlog) == 0


def test_runs_of_an_earlier_invocation_count() -> None:
    (cell, *_) = cells(DEFINITION)
    backlog = Backlog([cell], 2, "real", {cell.name: 2})
    assert backlog.take() == cell
    assert backlog.settle(cell, valid=False)


@pytest.mark.parametrize(
    ("fidelity", "attempt", "clock", "settled"),
    [
        ("valid", 1, "real", True),
        ("suspect", 2, "real", False),
        ("suspect", 3, "real", True),
        ("suspect", 1, "virtual", True),
    ],
)
def test_a_stored_suspect_result_is_final_after_the_last_permitted_run(
    fidelity: str, attempt: int, clock: str, settled: bool
) -> None:
    assert is_settled(fidelity, attempt, 2, "virtual" if clock == "virtual" else "real") == settled
