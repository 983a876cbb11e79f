"""The file of a sweep is parsed to axes, and an error names the key and a valid value."""

from __future__ import annotations

import pytest

from lab7.experiments.sweep.definition import CELLS_MAX, DefinitionError, parse_definition
from lab7.experiments.sweep.grid import axes_of, combinations, varying
from tests.core.experiments.sweep.samples import EXPERIMENT, TEXT


def test_a_definition_has_the_axes_of_its_file() -> None:
    definition = parse_definition(TEXT)
    assert definition.axes == {"rtt": ("20ms", "60ms"), "objects": ("1",)}
    assert definition.roles == {"origin": ("lab7", "nginx")}
    assert definition.seeds == (1, 2, 3)


def test_the_grid_has_the_order_of_the_file_with_the_seeds_fastest() -> None:
    labels = [point.label for point in parse_definition(TEXT).points()]
    assert len(labels) == 12
    assert labels[:4] == [
        "rtt=20ms objects=1 origin=lab7 seed=1",
        "rtt=20ms objects=1 origin=lab7 seed=2",
        "rtt=20ms objects=1 origin=lab7 seed=3",
        "rtt=20ms objects=1 origin=nginx seed=1",
    ]


@pytest.mark.parametrize(
    ("value", "texts"),
    [("[1, 2.5]", ("1", "2.5")), ("true", ("true",)), ('["a", "a"]', ("a",)), ('"1,2"', ("1,2",))],
)
def test_values_become_texts_each_once(value: str, texts: tuple[str, ...]) -> None:
    assert parse_definition(f'experiment = "sample"\n[set]\nx = {value}').axes == {"x": texts}


def test_seeds_may_be_listed() -> None:
    assert parse_definition('experiment = "sample"\nseeds = [7, 1, 7]').seeds == (7, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiment =", "the file is not TOML"),
        ("seeds = 1", "experiment is missing"),
        ('experiment = "a"\nsedes = 2', "there is no key 'sedes': the keys are experiment, seeds"),
        ('experiment = "a"\nset = 2', r"set must be a table: write a line \[set\]"),
        (
            'experiment = "a"\nseeds = 0',
            "seeds = 0 is invalid: give a whole number from 1 to 10000, or a list of seeds",
        ),
        ('experiment = "a"\nseeds = [-1]', "seeds = -1 is invalid"),
        ('experiment = "a"\nrepeat = true', "repeat = True is invalid"),
        ('experiment = "a"\ntime = "fast"', "time = 'fast' is invalid: give auto, virtual or real"),
        ('experiment = "a"\nfull = 1', "full = 1 is invalid: give true or false"),
        ('experiment = "a"\n[set]\nx = []', r"\[set\] x must be a value or a list of values"),
        ('experiment = "a"\n[set]\nx = [[1]]', r"\[set\] x must be a value or a list of values"),
        ('experiment = "a"\n[plot]\nx = "y"', r"\[plot\] x = 'y' is not a parameter of \[set\]"),
    ],
)
def test_an_error_names_the_key_and_a_valid_value(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse_definition(text)


def test_a_grid_that_is_too_large_is_refused() -> None:
    axes = "".join(f"{name} = {list(range(60))}\n" for name in "abc")
    with pytest.raises(DefinitionError, match=f"the grid has 216000 cells, more than {CELLS_MAX}"):
        parse_definition(f'experiment = "sample"\n[set]\n{axes}').points()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ({"rtt": "20ms, 60ms"}, {"rtt": ["20ms", "60ms"]}),
        ({"rtt": "20ms,20ms"}, {"rtt": ["20ms"]}),
        # A parameter that is a list itself takes the whole text.
        ({"rates": "1,2", "which": "a,b"}, {"rates": ["1,2"], "which": ["a,b"]}),
        # Without a valid part the text stays whole, so that the error cites it as typed.
        ({"objects": "x,y"}, {"objects": ["x,y"]}),
        ({"unknown": "1,2"}, {"unknown": ["1,2"]}),
    ],
)
def test_a_text_with_commas_is_several_values(text: dict[str, str], values: dict[str, list[str]]) -> None:
    assert axes_of(EXPERIMENT, text) == values


def test_combinations_vary_the_last_axis_fastest() -> None:
    axes = {"a": [1, 2], "b": [3, 4], "c": [5]}
    assert combinations(axes) == [
        {"a": 1, "b": 3, "c": 5},
        {"a": 1, "b": 4, "c": 5},
        {"a": 2, "b": 3, "c": 5},
        {"a": 2, "b": 4, "c": 5},
    ]
    assert combinations({}) == [{}]
    assert varying(axes) == ["a", "b"]
