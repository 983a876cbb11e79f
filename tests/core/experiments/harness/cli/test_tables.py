"""Tables and other output at any width: numbers and commands in one piece, no blanks at the ends of lines."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from lab7.experiments.harness.catalogue.topologies import TopologyEntry
from lab7.experiments.harness.cli import common, load_command, networks
from lab7.experiments.harness.cli.runs import Chosen, _conclude, _Finished, show
from lab7.experiments.harness.cli.tables import Table
from lab7.experiments.harness.discovery import find_experiments
from lab7.experiments.harness.doctor import examination
from lab7.experiments.harness.reruns import summary
from lab7.experiments.harness.results.result import Check, Comparison, Fidelity, Timing
from lab7.experiments.harness.results.terms import IN_OTHERS, MEANINGS
from lab7.experiments.harness.theory.tcp import Theory
from lab7.topologies.emulation.watch import Stopped
from tests.core.experiments.harness.samples import sample_result

NUMBERS = st.floats(0, 10**6).map(lambda number: f"{number:.2f}") | st.floats(0, 10**4).map(
    lambda n: f"{n:.1f}/{n:.1f}"
)
WORDS = st.text("abcdefgh", min_size=1, max_size=12)
ROWS = st.lists(st.tuples(WORDS, NUMBERS, st.lists(WORDS, max_size=30).map(" ".join), NUMBERS), min_size=1, max_size=5)
LONG = "the first exchange took 1040.07 ms of 2500 ms, and the second one 98.25 ms, as the frames 12, 15 and 29 show"


def printed(table: Table, width: int) -> list[str]:
    written = io.StringIO()
    Console(file=written, width=width, highlight=False).print(table)
    return written.getvalue().splitlines()


@given(ROWS, st.integers(24, 200))
@example([("a", "0.00", "", "10000.0/10000.0")], 24)
def test_no_number_is_broken_at_any_width(rows: list[tuple[str, str, str, str]], width: int) -> None:
    lines = printed(Table(["name", "time", "text", "ratio"], rows, ["time", "ratio"]), width)
    assert [line for line in lines if line != line.rstrip()] == []
    assert max(len(line) for line in lines) <= width
    words = [word for line in lines for word in line.split()]
    for cell in (cell for row in rows for cell in row):
        for word in cell.split():
            words.remove(word)


def test_a_wide_terminal_has_a_row_a_line_and_a_narrow_one_a_block_a_row() -> None:
    table = Table(["", "verdict", "evidence", "ms"], [["H1", "shown", LONG, "1040.07"]], ["ms"])
    assert len(printed(table, 200)) == 2
    assert printed(table, 80)[1].startswith("H1  shown    the first exchange")
    assert printed(table, 80)[1].endswith("1040.07")
    assert printed(table, 30)[:2] == ["H1  shown", "    ms: 1040.07"]


@pytest.mark.parametrize(("given", "width"), [("80", 80), ("132", 132), ("", 200), ("wide", 200), ("0", 200)])
def test_piped_output_has_the_width_of_columns(
    given: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", given)
    console = common.out()
    console.print(" ".join(["word"] * 100))
    lines = capsys.readouterr().out.splitlines()
    assert width - 5 < max(len(line) for line in lines) <= width
    assert [line for line in lines if line.endswith(" ")] == []


def test_a_result_fits_in_80_columns_with_whole_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = sample_result()
    (claim,) = result.claims
    show(common.out(), result, {claim.id: "A sentence of the course."})
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines()) <= 80
    words = said.replace(",", " ").split()
    for comparison in result.comparisons:
        assert f"{comparison.ratio:.4f}" in words
        assert f"{comparison.raw_s * 1e3:.2f}" in words
    assert "A sentence of the course." in said


def test_the_last_lines_of_a_run_are_short_and_its_command_has_one_line() -> None:
    checks = tuple(
        Check(f"check {number}", "one of each", "28 of 28 disturbed, " * 20, "suspect") for number in range(2)
    )
    suspect = sample_result(fidelity=Fidelity("suspect", checks))
    lines = summary([(Path("results/http_versions/20300102T030405Z-9f01ab"), suspect)])
    assert max(len(line) for line in lines) <= 80
    assert lines[-1] == "    lab7 run http_versions"


def test_the_command_to_run_again_has_the_options_of_the_first() -> None:
    suspect = sample_result(fidelity=Fidelity("suspect", (Check("lag", "at most 5 ms", "9.10 ms", "suspect"),)))

    @click.command("run")
    @click.argument("names", nargs=-1)
    @common.set_option
    @common.sandbox_option
    @common.seed_option
    @click.option("--replace", multiple=True)
    @click.option("--full", is_flag=True)
    def command(**_options: Any) -> None:
        click.echo(summary([(Path("results/http_versions/1"), suspect)], shlex.join(common.given_options()))[-1])

    words = ["http_versions", "--set", "rtt=50ms", "--no-sandbox", "--replace", "origin=python3 a.py", "--full"]
    done = CliRunner().invoke(command, words)
    assert done.output == (
        "    lab7 run http_versions --set rtt=50ms --no-sandbox --replace 'origin=python3 a.py' --full\n"
    )


def test_a_command_to_try_has_one_line_at_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    tries = ("client curl --include --max-time 10 http://www.example.com/a/long/path",)
    entry = TopologyEntry("web", None, "A web.", tries)
    bed: Any = SimpleNamespace(
        net=SimpleNamespace(hosts=[]), services={}, ipv6=False, backend="wire", congestion_control="reno", arp="static"
    )
    networks._describe(entry, bed)
    assert f"    {tries[0]}" in capsys.readouterr().out.splitlines()


def test_a_remedy_of_the_doctor_has_one_line_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = "sudo apt-get install a-package another-package, and a kernel with openvswitch: linux-modules-extra"
    monkeypatch.setattr(
        examination, "examine", lambda: [examination.Finding("Open vSwitch", False, "no switches", remedy, False)]
    )
    monkeypatch.setenv("COLUMNS", "40")
    done = CliRunner().invoke(load_command("doctor"))
    assert f"    Open vSwitch: {remedy}" in done.output.splitlines()


def test_a_command_that_is_stopped_lists_what_was_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = sample_result()
    folder = tmp_path / result.experiment / "20300102T030405Z-9f01ab"
    folder.mkdir(parents=True)
    result.save(folder)
    finished = _Finished(tmp_path, False, False, [])
    with pytest.raises(Stopped), finished:  # noqa: PT012 - the run before the end, and the end
        finished.add((folder, result))
        raise Stopped(2)
    said = capsys.readouterr().out
    assert "finished before the end of the command:\n" in said
    assert f"{result.experiment}: {folder}/{result.files.report}" in said
    assert folder.name in (tmp_path / "report.html").read_text()


def test_the_terms_of_a_run_add_up_and_are_explained() -> None:
    theory = Theory(0.1007, {"tcp_handshake": 0.05, "request": 0.05, "acknowledgements": 0.0007}, "2 RTT", "RFC 9112")
    sample = Timing(0.1007, {"tcp_handshake": 0.0503, "request": 0.0504})
    written = io.StringIO()
    result = sample_result(comparisons=(Comparison.of("page", [sample], theory, 0.1),))
    show(Console(file=written, width=200, highlight=False), result, {})
    assert "50.30/50.00" in written.getvalue()
    assert "50.40/50.00" in written.getvalue()
    assert "\N{EN DASH}/0.70" in written.getvalue()
    for line in (f"acknowledgements: {MEANINGS['acknowledgements']}", IN_OTHERS):
        assert line in written.getvalue()


def test_a_run_that_judged_nothing_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replaced origin that supports none of the chosen strategies left nothing to measure, and exit code 0."""
    result = sample_result(claims=(), comparisons=())
    folder = tmp_path / result.experiment / "20300102T030405Z-9f01ab"
    folder.mkdir(parents=True)
    result.save(folder)
    chosen = Chosen(result.experiment, find_experiments(["http-versions"])[0], {})
    with pytest.raises(click.exceptions.Exit) as ended:
        _conclude([chosen], [(folder, result)], tmp_path, False, False)
    assert ended.value.exit_code == common.FAILED
    assert "judged no claim: the programs and parameters leave nothing to measure" in capsys.readouterr().err
