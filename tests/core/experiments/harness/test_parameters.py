"""Parameters of experiments as text: written as on the command line, with their units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.parameters import choices, listed, megabits, per_second, period, seconds, whole, written
from lab7.experiments.harness.report.page import IndexRow, render_index, render_report
from tests.core.experiments.harness.samples import sample_result


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (seconds, "100ms", "100ms"),
        (seconds, "300us", "300us"),
        (seconds, "2s", "2s"),
        (period, "700ms", "700ms"),
        (megabits, "10", "10 Mbit/s"),
        (choices(("1.0-serial", "2")), "all", "1.0-serial,2"),
        (listed(seconds), "20ms,1s", "20ms,1s"),
        (listed(whole(1, 9)), "1,2", "1,2"),
    ],
)
def test_a_value_is_written_as_on_the_command_line(parse: Callable[[str], Any], text: str, expected: str) -> None:
    assert written(parse(text), parse) == expected


@pytest.mark.parametrize(
    ("text", "mbit"),
    [
        ("10", 10),
        ("10Mbit", 10),
        ("10mbit/s", 10),
        ("10 Mbit/s", 10),
        ("500kbit", 0.5),
        ("0.5Gbit", 500),
    ],
)
def test_a_rate_may_have_its_unit(text: str, mbit: float) -> None:
    assert megabits(text) == mbit


@pytest.mark.parametrize("text", ["", "10MB", "10 M", "-1", "0", "nan", "2Gbit", "1kbit", "10Mbit/h", "\uff11"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a rate from 0\.01 to 1000 Mbit/s"):
        megabits(text)


def test_a_rate_of_events_may_have_its_unit() -> None:
    assert [per_second(text) for text in ("15", "15/s", "0.5 a second")] == [15, 15, 0.5]


def test_a_written_default_of_every_experiment_is_parsed_to_the_same_value() -> None:
    for experiment in all_experiments().values():
        for name, value in experiment.read_parameters({}).items():
            parse = experiment.parameters[name].parse
            text = written(value, parse)
            assert parse(text) == pytest.approx(value) if isinstance(value, float) else parse(text) == value


def test_the_report_shows_parameters_with_units_and_lists_without_brackets() -> None:
    parameters = {"change": 0.1 + 0.6, "strategies": ["1.0-serial", "2"], "repeat": 5}
    result = sample_result(parameters=parameters, parameter_texts={"change": "700ms"})
    page = render_report(result, load_claims())
    assert "<dt>change</dt><dd>700ms</dd>" in page
    assert "<dt>strategies</dt><dd>1.0-serial,2</dd>" in page
    assert "<dt>repeat</dt><dd>5</dd>" in page
    index = render_index([IndexRow(result, "run/report.html", newest=True)], {}, load_claims(), {})
    assert "change=700ms strategies=1.0-serial,2 repeat=5" in index
