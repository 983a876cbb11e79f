"""The library interface: results as objects and tables, and what a run in a process of its own is asked for."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments import library
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.cli import runs as run_command
from lab7.experiments.harness.judge.frames import FrameNumber
from lab7.experiments.harness.judge.verdict import Verdict, shown
from lab7.experiments.library import runs
from lab7.experiments.library.tables import Table, table_of
from tests.core.experiments.harness.samples import sample_run
from tests.core.experiments.harness.wire import Wire
from tests.core.experiments.http.pages import persistent

needs_pandas = pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is not installed")
needs_parquet = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
Columns = dict[str, list[Any]]


@pytest.fixture
def result(tmp_path: Path) -> library.RunResult:
    claims = (Verdict("H9", "shown", "Three requests <back to back>.", (4, 6)), Verdict("X1", "failed", "No."))
    folder = sample_run(tmp_path / "results" / "http-versions" / "1", persistent(Wire()), claims=claims)
    return library.open_run(folder)


@pytest.fixture
def no_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pandas" else find(name, *more)
    )


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, lab7.experiments.library; print({'scapy', 'mininet', 'click', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_every_public_name_is_where_the_package_says() -> None:
    for names in library.MODULES.values():
        for name in names:
            assert getattr(library, name).__name__ == name
            assert name in dir(library)


def test_a_result_has_its_parts_by_name(result: library.RunResult) -> None:
    assert {name: claim.verdict for name, claim in result.claims.items()} == {"H9": "shown", "X1": "failed"}
    assert result.comparisons["1.1-pipelined"].theory_s > 0
    assert (result.shown, result.valid) == (False, True)
    assert list(result.captures) == ["capture.pcapng"]
    assert len(result.read_capture().frames) > 10
    assert len(result.samples) == 3
    assert "X1 failed" in str(result)


def test_a_ladder_is_of_the_run_or_of_a_claims_frames(result: library.RunResult) -> None:
    assert result.ladder().text.count("GET /") == 3
    assert result.ladder(first=2).left_out == 4
    part = result.ladder("H9")
    assert {frame for arrow in part.ladder.arrows for frame in arrow.frames} >= {4, 6}
    assert part.svg.startswith("<svg")
    assert part.mermaid.startswith("sequenceDiagram")
    with pytest.raises(KeyError):
        result.ladder("H99")
    assert result.ladder(protocols=("dns",))._repr_html_() == "<p>no message</p>"


def test_a_ladder_of_an_unknown_claim_names_those_there_are(result: library.RunResult) -> None:
    with pytest.raises(KeyError, match="the run judged no claim H99, only "):
        result.ladder("H99")


def test_a_ladder_of_a_claim_is_of_the_captures_that_its_evidence_cites(result: library.RunResult) -> None:
    kept, closed, main = "capture-kept.pcapng", "capture-closed.pcapng", "capture.pcapng"
    for name in (kept, closed):
        shutil.copy(result.folder / main, result.folder / name)
    verdict = shown("K1", "Kept.", [FrameNumber(4, kept), FrameNumber(6, closed)])
    run = library.RunResult(result.folder, replace(result.result, claims=(verdict,)))
    assert list(run.captures) == sorted([main, kept, closed])
    for capture, number in ((None, 4), (kept, 4), (closed, 6)):
        frames = {frame for arrow in run.ladder("K1", capture=capture).ladder.arrows for frame in arrow.frames}
        assert frames & {4, 6} == {number}
    with pytest.raises(ValueError, match=f"no frame of {main}, only of {kept}, {closed}"):
        run.ladder("K1", capture=main)
    assert f"Kept. [frame 4 of {kept}; frame 6 of {closed}]" in run._repr_html_()


@pytest.mark.parametrize(("name", "begin"), [("a.svg", "<svg"), ("a.txt", "   sent, ms"), ("a.md", "```mermaid\n")])
def test_a_ladder_is_written_by_the_suffix(result: library.RunResult, tmp_path: Path, name: str, begin: str) -> None:
    assert result.ladder().save(tmp_path / name).read_text().startswith(begin)
    with pytest.raises(ValueError, match=r"\.svg, \.txt"):
        result.ladder().save(tmp_path / "a.png")


def test_a_result_in_a_notebook_has_claims_times_and_ladder(result: library.RunResult) -> None:
    page = result._repr_html_()
    assert "&lt;back to back&gt;" in page
    assert "<svg" in page
    assert "1.1-pipelined" in page
    (result.folder / "capture.pcapng").write_bytes(b"no capture")
    assert "1.1-pipelined" in result._repr_html_()
    with pytest.raises(CaptureReadError):
        result.ladder()


@pytest.mark.usefixtures("no_pandas")
def test_results_without_pandas_are_a_small_table(result: library.RunResult, tmp_path: Path) -> None:
    table = library.results(tmp_path / "results")
    assert isinstance(table, Table)
    assert table["comparison"] == ["1.1-pipelined"]
    assert table["parameter.rtt_s"] == [0.1]
    assert table["folder"] == [str(result.folder)]
    assert [row["claim"] for row in library.results(tmp_path / "results", rows="claims")] == ["H9", "X1"]
    assert "<td>1.1-pipelined</td>" in table._repr_html_()
    assert "1.1-pipelined" in str(table)
    assert len(table.to_csv(tmp_path / "t.csv").read_text().splitlines()) == 2
    assert len(table_of([])) == 0


@needs_pandas
@pytest.mark.usefixtures("result")
def test_results_with_pandas_are_a_data_frame(tmp_path: Path) -> None:
    frame = library.results(tmp_path / "results", rows="samples")
    assert list(frame["total_s"]) == [0.30, 0.32, 0.31]
    assert list(frame.groupby("comparison")["tcp_handshake_s"].median()) == [0.1]
    assert len(library.results(tmp_path / "results", rows="runs")) == 1


@needs_pandas
@needs_parquet
def test_columns_of_several_experiments_are_stored_as_parquet(tmp_path: Path) -> None:
    """A parameter that is a number here and a list there is text in both rows."""
    import pandas

    for number, size in enumerate((4000, [1, 2])):
        sample_run(tmp_path / "results" / "e" / str(number), Wire(), parameters={"size": size, "rtt": [1, 0.5][number]})
    table = library.results(tmp_path / "results")
    table.to_parquet(tmp_path / "t.parquet")
    read = pandas.read_parquet(tmp_path / "t.parquet")
    assert list(read["parameter.size"]) == ["4000", "[1, 2]"]
    assert list(read["parameter.rtt"]) == [1.0, 0.5]


def test_results_of_a_missing_folder_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="lab7 run --results"):
        library.results(tmp_path / "none")
    with pytest.raises(ValueError, match="comparisons, claims, samples, runs"):
        library.results(tmp_path, rows="cells")  # type: ignore[arg-type]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Let a shell script take the place of lab7; return the words that it was called with."""

    def replace(script: str) -> list[str]:
        seen: list[str] = []

        def command(_module: str, *words: str) -> Sequence[str]:
            seen[:] = words
            return ["sh", "-c", script]

        monkeypatch.setattr(runs, "module_command", command)
        return seen

    return replace


def test_a_run_is_asked_for_as_on_the_command_line(
    answering: Callable[[str], list[str]], result: library.RunResult
) -> None:
    seen = answering(f"""echo '{{"folders": ["{result.folder}"]}}'; exit 1""")
    done = library.run(
        "http-versions",
        rtt="50ms",
        strategies=["1.0", "1.1-pipelined"],
        ssh=True,
        parameters={"for": "3s"},
        time="virtual",
        seed=3,
        replace={"origin": "nginx"},
        inject={"origin": "body-in-304"},
        again=0,
    )
    assert done.folder == result.folder
    # The command's own parser takes every word.
    parsed = run_command.run_command.make_context("run", list(seen[1:])).params
    assert parsed["given"] == {"rtt": "50ms", "strategies": "1.0,1.1-pipelined", "ssh": "true", "for": "3s"}
    assert (parsed["timed"], parsed["seed"], parsed["again"]) == ("virtual", 3, 0)
    assert (parsed["replace"], parsed["fault"]) == (("origin=nginx",), ("origin=body-in-304",))


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        (
            "printf 'Usage: lab7\\n\\nError: unknown experiment\\n' >&2; exit 2",
            runs.ArgumentsError,
            "unknown experiment",
        ),
        ("echo 'lab7: no namespaces here' >&2; exit 3", runs.RunError, "no namespaces here"),
        (
            "echo '{\"results\": []}'; echo 'lab7: it did not start' >&2; exit 4",
            runs.ProgramNotStartedError,
            "it did not",
        ),
        ("kill -9 $$", runs.RunError, "exit code -9"),
    ],
)
def test_a_run_without_a_result_raises_its_sentence(
    answering: Callable[[str], list[str]], script: str, kind: type[Exception], message: str
) -> None:
    answering(script)
    with pytest.raises(runs.RunError, match=message) as raised:
        library.run("http-versions")
    assert type(raised.value) is kind


def test_an_unknown_experiment_is_refused_by_the_real_command() -> None:
    with pytest.raises(library.ArgumentsError, match="the experiments are access-link"):
        library.run("no-such-experiment")
