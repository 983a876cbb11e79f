"""Parameters of an experiment, parsed from text; an error lists the valid ones."""

from __future__ import annotations

import pytest

from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, ParameterError, Run
from lab7.experiments.harness.parameters import megabits, seconds, whole


def never(_run: Run) -> Outcome:
    raise AssertionError("only parameters are read here")


EXPERIMENT = Experiment(
    name="sample",
    question="?",
    claims=(),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time"),
        "bw": Parameter("10", megabits, "the rate in Mbit/s"),
        "objects": Parameter("3", whole(1, 100), "how many objects"),
    },
    run=never,
)


def test_without_anything_given_the_defaults_are_parsed() -> None:
    assert EXPERIMENT.read_parameters({}) == {"rtt": pytest.approx(0.1), "bw": 10.0, "objects": 3}


def test_what_is_given_takes_the_place_of_its_default() -> None:
    found = EXPERIMENT.read_parameters({"rtt": "20ms", "objects": "7"})
    assert found == {"rtt": pytest.approx(0.02), "bw": 10.0, "objects": 7}


def test_an_unknown_parameter_is_named_with_those_that_exist() -> None:
    with pytest.raises(ParameterError, match=r"^the experiment sample has no parameter 'rrt' .*: .*rtt, bw, objects"):
        EXPERIMENT.read_parameters({"rrt": "20ms"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rtt", "abc"),
        ("rtt", "0ms"),
        ("rtt", "61s"),
        ("rtt", "-1ms"),
        ("bw", "fast"),
        ("bw", "0"),
        ("bw", "1001"),
        ("bw", "nan"),
        ("objects", "0"),
        ("objects", "101"),
        ("objects", "2.5"),
        ("objects", "²"),
        ("objects", "-3"),
    ],
)
def test_a_bad_value_is_one_sentence_with_meaning_and_example(name: str, text: str) -> None:
    parameter = EXPERIMENT.parameters[name]
    with pytest.raises(ParameterError) as raised:
        EXPERIMENT.read_parameters({name: text})
    said = str(raised.value)
    assert f"{name}={text!r}" in said
    assert parameter.meaning in said
    assert f"{name}={parameter.default}" in said
    assert "\n" not in said


@pytest.mark.parametrize(("text", "value"), [("1us", 1e-6), ("50ms", 0.05), ("60s", 60.0)])
def test_times_from_a_microsecond_to_a_minute_are_read(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("0.01", 0.01), ("1.54", 1.54), ("1000", 1000.0)])
def test_rates_are_read_in_megabits(text: str, value: float) -> None:
    assert megabits(text) == value
