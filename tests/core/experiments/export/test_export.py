"""`lab7 export`: HAR 1.2, CSV, Parquet, JUnit XML, zip, and the JSON Schema of result.json."""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from lab7.experiments.export.cli import export_command
from lab7.experiments.harness.judge.frames import FrameNumber
from lab7.experiments.harness.judge.verdict import Verdict, shown
from lab7.experiments.harness.results.result import CaptureSpan, Comparison, Result, ResultError, Timing
from lab7.experiments.harness.results.schema import result_schema
from lab7.services.packages import how_to_install
from tests.core.experiments.export.har_schema import HAR
from tests.core.experiments.harness.samples import TIMINGS, sample_result, sample_run
from tests.core.experiments.harness.wire import MS, Tcp, Wire, request
from tests.core.experiments.http.pages import persistent, serial

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (make setup)")
SPAN = CaptureSpan("capture.pcapng", 0, 1000 * MS)


def export(*arguments: object) -> Done:
    return CliRunner().invoke(export_command, [str(argument) for argument in arguments])


def run(folder: Path, wire: Wire | None = None, span: CaptureSpan | None = SPAN, **changes: object) -> Path:
    timings = {"page": [Timing(0.169, {"tcp_handshake": 0.04, "request": 0.129}, span=span)]}
    return sample_run(folder, wire or persistent(Wire()), timings, **changes)


def har(folder: Path) -> dict[str, Any]:
    done = export(folder, "har")
    assert done.exit_code == 0, done.output
    data: dict[str, Any] = json.loads(done.output)
    jsonschema.Draft202012Validator(HAR).validate(data)
    return data


def test_an_archive_of_http_exchanges_is_har_1_2_and_its_phases_add_up(tmp_path: Path) -> None:
    entries = har(run(tmp_path / "run"))["log"]["entries"]
    assert [entry["request"]["url"] for entry in entries] == [
        f"http://www.example.com/{name}" for name in ("", "a", "b")
    ]
    assert [entry["response"]["status"] for entry in entries] == [200, 200, 200]
    assert {entry["connection"] for entry in entries} == {"1"}
    assert [entry["timings"]["connect"] for entry in entries] == [40, -1, -1]
    for entry in entries:
        phases = [value for name, value in entry["timings"].items() if value != -1]
        assert sum(phases) == pytest.approx(entry["time"], abs=1e-6)


def test_a_request_without_a_response_has_status_0(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).open().client("PA", request("/?a=1&b="))
    (entry,) = har(run(tmp_path / "run", wire))["log"]["entries"]
    assert (entry["response"]["status"], entry["response"]["bodySize"]) == (0, -1)
    assert entry["request"]["queryString"] == [{"name": "a", "value": "1"}, {"name": "b", "value": ""}]


def test_each_compared_time_is_a_page(tmp_path: Path) -> None:
    data = har(run(tmp_path / "run", serial(Wire())))
    assert [page["title"] for page in data["log"]["pages"]] == ["page"]
    assert {entry["pageref"] for entry in data["log"]["entries"]} == {data["log"]["pages"][0]["id"]}


@pytest.mark.parametrize("span", [None, CaptureSpan("gone.pcapng", 0, 1)])
def test_a_run_without_http_has_no_har(span: CaptureSpan | None, tmp_path: Path) -> None:
    done = export(run(tmp_path / "run", span=span), "har")
    assert done.exit_code == 2
    assert "Error: " in done.output


def test_csv_has_every_sample_with_its_terms(tmp_path: Path) -> None:
    done = export(sample_run(tmp_path / "run", persistent(Wire())), "csv")
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert [float(row["total_s"]) for row in rows] == [timing.total_s for timing in TIMINGS]
    assert [float(row["request_s"]) for row in rows] == [timing.terms["request"] for timing in TIMINGS]
    assert {row["experiment"] for row in rows} == {"http_versions"}


def test_parquet_has_the_same_table_as_csv(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (lab7[parquet])")
    folder = sample_run(tmp_path / "run", persistent(Wire()))
    done = export(folder, "parquet", "--output", tmp_path / "samples.parquet")
    assert done.exit_code == 0, done.output
    table = parquet.read_table(tmp_path / "samples.parquet")
    rows = list(csv.reader(io.StringIO(export(folder, "csv").output)))
    assert table.column_names == rows[0]
    assert table.column("total_s").to_pylist() == [timing.total_s for timing in TIMINGS]


def test_parquet_without_pyarrow_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = export(sample_run(tmp_path / "run", persistent(Wire())), "parquet", "-o", tmp_path / "x")
    assert (done.exit_code, done.output) == (3, f"lab7: Parquet needs pyarrow: {how_to_install('pyarrow')}\n")


def test_junit_has_a_case_per_claim(tmp_path: Path) -> None:
    claims = (
        Verdict("H1", "shown", "Seen."),
        Verdict("H9", "failed", "One <request> & no \x00 more."),
        Verdict("H8", "undecided", "Dropped."),
    )
    (suite,) = ElementTree.fromstring(export(run(tmp_path / "run", claims=claims), "junit").output)
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    shown, failed, undecided = suite
    assert [one.tag for one in shown] == ["system-out"]
    assert failed.find("failure") is not None
    assert undecided.find("skipped") is not None
    assert (shown.get("name") or "").startswith("H1 ")


def test_a_zip_has_all_files_and_no_absolute_path(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / "secret").symlink_to("/etc/hostname")
    written = folder / "run.zip"
    for _ in range(2):
        done = export(folder, "zip", "--output", written)
        assert done.exit_code == 0, done.output
    with zipfile.ZipFile(written) as archive:
        assert sorted(archive.namelist()) == [
            f"http_versions-run/{name}" for name in ("capture.pcapng", "result.json", "timings.csv")
        ]
        assert str(tmp_path).encode() not in b"".join(archive.read(name) for name in archive.namelist())


def test_the_schema_describes_what_lab7_writes() -> None:
    schema = json.loads(export("schema").output)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(sample_result().to_json())
    assert schema["$defs"]["Result"]["properties"].keys() - {"format"} == {each.name for each in fields(Result)}
    assert schema["$defs"]["Comparison"]["properties"].keys() == {each.name for each in fields(Comparison)}


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", 2), ("seed", "one"), ("claims", {}), ("fidelity", {"verdict": "perfect"}), ("comparisons", [{}])],
)
def test_the_schema_refuses_what_the_reader_refuses(field: str, value: object) -> None:
    data = {**sample_result().to_json(), field: value}
    assert not jsonschema.Draft202012Validator(result_schema()).is_valid(data)
    with pytest.raises(ResultError):
        Result.from_json(data)


@pytest.mark.parametrize("arguments", [("absent", "har"), ("absent",), ("absent", "schema"), ("absent", "pdf")])
def test_wrong_usage_is_one_sentence(arguments: tuple[str, ...]) -> None:
    done = export(*arguments)
    assert done.exit_code == 2
    assert "Error: " in done.output


def test_an_output_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    done = export(run(tmp_path / "run"), "zip", "--output", tmp_path / "no" / "x.zip")
    assert done.exit_code == 2
    assert "No such file or directory" in done.output


def test_a_summary_in_markdown_has_claims_times_and_the_ladder(tmp_path: Path) -> None:
    verdicts = (Verdict("H9", "shown", "Three | back\nto *back*.", (5,)), Verdict("X1", "failed", "<b>No</b>."))
    done = export(run(tmp_path / "run", claims=verdicts), "markdown")
    lines = done.output.splitlines()
    assert lines[0] == "## http_versions: 1 of 2 claims shown"
    assert any(line.endswith(r"| Three \| back to \*back\*. [frame 5] |") for line in lines)
    assert any(line.endswith("| X1 |  | &lt;b&gt;No&lt;/b&gt;. |") for line in lines)
    assert any(line.startswith("| page | ") for line in lines)
    diagram = lines[lines.index("```mermaid") + 1 : lines.index("```")]
    assert diagram[0] == "sequenceDiagram"
    assert sum("GET /" in line for line in diagram) == 3


def test_frames_of_another_capture_are_cited_with_its_name(tmp_path: Path) -> None:
    claims = (shown("K1", "Kept.", [FrameNumber(1, "kept.pcapng"), FrameNumber(23, "kept.pcapng")]),)
    folder = run(tmp_path / "run", claims=claims)
    for form in ("markdown", "junit"):
        assert "Kept. [frames 1, 23 of kept.pcapng]" in export(folder, form).output


def test_a_summary_without_a_capture_has_no_ladder(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / "capture.pcapng").unlink()
    done = export(folder, "markdown")
    assert done.exit_code == 0
    assert "mermaid" not in done.output
