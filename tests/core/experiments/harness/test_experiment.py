"""Parameters of an experiment are parsed from text, and an error gives the correct form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness import clock
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.experiment import Experiment, Parameter, ParameterError, Run
from lab7.experiments.harness.parameters import choices, listed, megabits, seconds, whole


def never(_run: Run) -> NoReturn:
    raise AssertionError("a run was not asked for")


KNOWN = ("a", "b", "c")
EXPERIMENT = Experiment(
    name="sample",
    question="?",
    claims=(),
    parameters={
        "rtt": Parameter("20ms,60ms", listed(seconds), "the RTTs", full="10ms,20ms,50ms"),
        "objects": Parameter("3", whole(1, 100), "how many"),
        "which": Parameter("all", choices(KNOWN), "which of them"),
        "bw": Parameter("10", megabits, "the rate"),
    },
    run=never,
)


def test_defaults_are_those_of_a_short_run() -> None:
    assert EXPERIMENT.read_parameters({}) == {"rtt": [0.02, 0.06], "objects": 3, "which": KNOWN, "bw": 10.0}


def test_full_takes_the_defaults_of_the_long_run_where_they_differ() -> None:
    assert EXPERIMENT.read_parameters({}, full=True) == {
        "rtt": [0.01, 0.02, 0.05],
        "objects": 3,
        "which": KNOWN,
        "bw": 10.0,
    }


@pytest.mark.parametrize(("timed_by", "wait"), [("real", 5), ("virtual", 600)])
def test_a_long_run_takes_hours_only_where_they_take_no_time(
    monkeypatch: pytest.MonkeyPatch, timed_by: Literal["real", "virtual"], wait: int
) -> None:
    waiting = Parameter("1", whole(1, 1000), "how long", full="5", full_virtual="600")
    experiment = replace(EXPERIMENT, parameters={"wait": waiting})
    monkeypatch.setattr(clock, "current", lambda: Clock(timed_by))
    assert experiment.read_parameters({}) == {"wait": 1}
    assert experiment.read_parameters({}, full=True) == {"wait": wait}
    assert experiment.read_parameters({"wait": "7"}, full=True) == {"wait": 7}


def test_every_default_can_be_read_by_every_clock() -> None:
    for experiment in all_experiments().values():
        for parameter in experiment.parameters.values():
            for text in (parameter.default, parameter.text(True, "real"), parameter.text(True, "virtual")):
                parameter.parse(text)


@pytest.mark.parametrize("full", [False, True])
def test_what_is_given_stands_in_the_place_of_either_default(full: bool) -> None:
    given = {"rtt": "1s", "objects": "7", "which": "c, a", "bw": "1.54"}
    found = EXPERIMENT.read_parameters(given, full)
    assert found == {"rtt": [1.0], "objects": 7, "which": ("a", "c"), "bw": 1.54}


def test_an_unknown_parameter_lists_those_that_exist() -> None:
    with pytest.raises(
        ParameterError,
        match=r"sample has no parameter 'rrt' \(did you mean rtt\?\): its parameters are rtt, objects, which, bw",
    ):
        EXPERIMENT.read_parameters({"rrt": "1ms"})


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("rtt", "20ms,", "a time from 1us to 60s"),
        ("rtt", "", "a time"),
        ("rtt", "0ms", "a time"),
        ("rtt", "-1ms", "a time"),
        ("rtt", "61s", "a time"),
        ("rtt", "soon", "a time"),
        ("objects", "0", "a whole number from 1 to 100"),
        ("objects", "101", "a whole number"),
        ("objects", "3.0", "a whole number"),
        ("objects", "+3", "a whole number"),
        ("objects", "٣", "a whole number"),
        ("objects", "", "a whole number"),
        ("which", "a,d", "all, or some of a,b,c"),
        ("which", "", "all, or some of a,b,c"),
        ("which", "all,a", "all, or some of"),
        ("which", "A", "all, or some of"),
        ("bw", "0", "a rate from 0.01 to 1000 Mbit/s"),
        ("bw", "nan", "a rate"),
        ("bw", "inf", "a rate"),
        ("bw", "10M", "a rate"),
    ],
)
def test_a_value_that_cannot_be_names_the_rule_and_an_example(name: str, text: str, rule: str) -> None:
    with pytest.raises(ParameterError) as error:
        EXPERIMENT.read_parameters({name: text})
    parameter = EXPERIMENT.parameters[name]
    assert rule in str(error.value)
    assert f"for example {name}={parameter.default} ({parameter.meaning})" in str(error.value)


def test_choices_keep_the_order_of_the_list_and_no_doubles() -> None:
    assert choices(KNOWN)("c,a,c") == ("a", "c")
    assert choices(KNOWN)("all") == KNOWN


def test_a_list_is_read_part_by_part_in_the_order_given() -> None:
    assert listed(whole(1, 9))("3, 1,2") == [3, 1, 2]


@given(st.sampled_from(sorted(EXPERIMENT.parameters)), st.text(max_size=30))
def test_whatever_is_typed_is_read_or_refused(name: str, text: str) -> None:
    try:
        found: dict[str, Any] = EXPERIMENT.read_parameters({name: text})
    except ParameterError:
        return
    assert set(found) == set(EXPERIMENT.parameters)


@pytest.mark.parametrize("text", ["9" * 5000, "1" + "0" * 400 + "s", "1e9"])
def test_a_number_of_thousands_of_digits_is_refused_as_any_other(text: str) -> None:
    for name in EXPERIMENT.parameters:
        with pytest.raises(ParameterError):
            EXPERIMENT.read_parameters({name: text})


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", sorted(all_experiments()))
def test_the_defaults_of_every_experiment_can_be_read(name: str, full: bool) -> None:
    experiment = all_experiments()[name]
    assert set(experiment.read_parameters({}, full)) == set(experiment.parameters)
