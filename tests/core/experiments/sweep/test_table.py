"""The table of a sweep, its schema, its means with confidence intervals, and its plots."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import pytest

from lab7.experiments.export.tables import csv_of
from lab7.experiments.harness.results.result import Result
from lab7.experiments.sweep.cell_run import task_of
from lab7.experiments.sweep.figures import panels_of, plots_of
from lab7.experiments.sweep.intervals import QUANTILES, mean_of, quantile
from lab7.experiments.sweep.run_table import mean_table, run_rows, settings_of
from lab7.experiments.sweep.table import TableRun, rows_of, table_of, table_schema
from tests.core.experiments.sweep.samples import EXPERIMENT, plan, result_of

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (make setup)")


def runs(**changes: Any) -> list[TableRun]:
    made = []
    for cell in plan().cells:
        result: Result = result_of(task_of(cell, plan().definition), **changes)
        values = {name: cell.values[name] for name in cell.point.given}
        made.append(TableRun(cell.name, values, cell.point.replace, result))
    return made


def test_a_row_has_the_settings_the_verdicts_and_the_times() -> None:
    row = rows_of(table_of(runs()))[1]
    assert row["cell"] == plan().cells[1].name
    assert [row[name] for name in ("rtt", "objects", "origin", "seed")] == [0.02, 1, "lab7", 2]
    assert [row[name] for name in ("clock", "fidelity", "claims", "claims_shown", "claim_H9")] == [
        "virtual", "valid", 1, 1, "shown"
    ]  # fmt: skip
    assert row["measured_s"] == pytest.approx(0.062)
    assert row["theory_s"] == pytest.approx(0.06)
    assert (row["term_request_s"], row["theory_term_request_s"]) == (pytest.approx(0.06), pytest.approx(0.06))


def test_the_table_holds_nothing_of_the_moment_and_the_machine() -> None:
    other = runs(started="2031-01-01T00:00:00Z", duration_s=99.0)
    assert csv_of(table_of(runs())) == csv_of(table_of(other))


def test_the_rows_fit_the_schema_and_others_do_not() -> None:
    columns = table_of(runs())
    schema = table_schema(columns, EXPERIMENT)
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    rows = rows_of(columns)
    validator.validate(rows)
    for wrong in ({"seed": "1"}, {"fidelity": None}, {"rtt": "20ms"}, {"claim_H9": "maybe"}, {"more": 1}):
        assert not validator.is_valid([{**rows[0], **wrong}])
    properties = schema["items"]["properties"]
    assert properties["rtt"]["description"] == "parameter rtt: the round-trip time, in s"
    assert properties["origin"]["description"] == "program in the role origin; lab7 for lab7's own"


def test_the_csv_has_one_line_for_each_row() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_of(table_of(runs())))))
    assert len(lines) == 12
    assert lines[0]["comparison"] == "page"


def test_a_run_without_compared_times_has_one_row() -> None:
    (run, *_) = runs()
    bare = TableRun(run.name, run.values, run.replace, result_of_no_times(run.result))
    (row,) = rows_of(table_of([bare]))
    assert (row["comparison"], row["measured_s"], row["claims_shown"]) == (None, None, 1)
    assert mean_table([row], ["rtt"], EXPERIMENT)[1] == [["20 ms", "", "1", "", "", "", "", "1/1", "valid"]]


def result_of_no_times(result: Result) -> Result:
    return Result.from_json({**result.to_json(), "comparisons": []})


def test_means_are_taken_over_the_seeds() -> None:
    headings, texts = mean_table(rows_of(table_of(runs())), ["rtt", "origin"], EXPERIMENT)
    assert headings[:3] == ["rtt", "origin", "time"]
    # The seeds 1, 2 and 3 add 1, 2 and 3 ms: mean 2 ms, standard deviation 1 ms, t = 4.3027 with two degrees.
    assert texts[0] == ["20 ms", "lab7", "page", "3", "60.00", "62.00", "2.484", "1.0333", "3/3", "valid"]
    assert len(texts) == 4


def test_a_suspect_run_is_counted_in_the_means() -> None:
    (_, texts) = mean_table(rows_of(table_of(runs(fidelity="suspect"))), [], EXPERIMENT)
    assert texts[0][-1] == "12 suspect"


@pytest.mark.parametrize("freedom", [1, 2, 7, 30, 31, 60, 500])
def test_the_quantile_bounds_95_percent_of_students_distribution(freedom: int) -> None:
    """The density is integrated by Simpson's rule."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def density(x: float) -> float:
        return scale * math.pow(1 + x * x / freedom, -(freedom + 1) / 2)

    end, steps = quantile(freedom), 20_000
    width = end / steps
    inner = sum((4 if number % 2 else 2) * density(number * width) for number in range(1, steps))
    assert 2 * width / 3 * (density(0) + inner + density(end)) == pytest.approx(0.95, abs=2e-5)


def test_one_value_has_no_interval_and_equal_ones_have_width_0() -> None:
    assert mean_of([0.5]).interval is None
    assert mean_of([0.5, 0.5]).interval == (0.5, 0.5)
    assert mean_of([1.0, 3.0]).interval == pytest.approx((2 - QUANTILES[0], 2 + QUANTILES[0]))


def test_a_panel_has_a_series_for_each_other_setting_with_error_bars() -> None:
    (panel,) = panels_of(rows_of(table_of(runs())), ["rtt", "origin"], EXPERIMENT, "rtt")
    assert (panel.title, panel.x_label, panel.categories) == ("page", "rtt in ms", [])
    assert [series.name for series in panel.series] == ["origin=lab7", "origin=nginx"]
    assert dict(panel.series[0].measured) == pytest.approx({20: 62, 60: 182})
    assert dict(panel.series[0].theory) == pytest.approx({20: 60, 60: 180})
    assert panel.series[0].half_widths == pytest.approx([2.4841, 2.4841], abs=1e-4)


def test_a_setting_that_is_no_number_has_categories() -> None:
    (panel,) = panels_of(rows_of(table_of(runs())), ["rtt", "origin"], EXPERIMENT, "origin")
    assert panel.categories == ["lab7", "nginx"]
    assert [series.name for series in panel.series] == ["rtt=0.02", "rtt=0.06"]


def test_plots_have_the_names_of_the_series_and_the_method() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (make setup)")
    rows = rows_of(table_of(runs()))
    (svg,) = plots_of(rows, ["rtt", "origin"], EXPERIMENT, None)
    for text in ("origin=nginx", "rtt in ms", "confidence interval"):
        assert text in svg
    assert plots_of(rows, [], EXPERIMENT, None) == []


def test_the_plot_for_a_phone_is_narrow_and_has_the_same_names() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (make setup)")
    rows = rows_of(table_of(runs()))
    (page,), (phone,) = (plots_of(rows, ["rtt", "origin"], EXPERIMENT, None, narrow) for narrow in (False, True))
    widths = [float(re.findall(r'width="([\d.]+)pt"', svg)[0]) for svg in (page, phone)]
    assert widths[1] * 1.5 < widths[0]
    for text in ("page", "origin=lab7", "origin=nginx", "rtt in ms"):
        assert text in phone


def test_the_runs_of_one_command_have_a_table() -> None:
    settings = settings_of(EXPERIMENT, {"rtt": "20ms,60ms", "objects": "2"})
    assert settings == [{"rtt": "20ms", "objects": "2"}, {"rtt": "60ms", "objects": "2"}]
    task = task_of(plan().cells[0], plan().definition)
    rows = run_rows(EXPERIMENT, [(f"run-{one['rtt']}", one, result_of({**task, "given": one})) for one in settings])
    assert [(row["cell"], row["rtt"], row["objects"]) for row in rows] == [("run-20ms", 0.02, 2), ("run-60ms", 0.06, 2)]
    _, texts = mean_table(rows, ["rtt"], EXPERIMENT)
    assert [text[:5] for text in texts] == [
        ["20 ms", "page", "1", "60.00", "61.00"],
        ["60 ms", "page", "1", "180.00", "181.00"],
    ]
