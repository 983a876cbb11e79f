"""Errors about wrong words on the command line: values, arguments, programs, folders, each with the right form."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.cli import lab7
from lab7.experiments.harness.cli.interface.usage import NETWORK_COMMANDS, explained
from lab7.experiments.harness.implementations.registry import ReplacementError, parse_replacement
from tests.core.experiments.harness.samples import sample_result


def error_of(*words: str) -> str:
    """Return the sentence of the usage error that a command line ends with."""
    with pytest.raises(click.ClickException) as raised:
        lab7.main(list(words), prog_name="lab7", standalone_mode=False)
    assert raised.value.exit_code == 2
    return explained(raised.value, lab7, words).format_message()


WRONG = {
    ("run", "--repeat", "0"): "Invalid value for '--repeat': '0' is not a whole number from 1 to 1000.",
    ("run", "--repeat", "x"): "Invalid value for '--repeat': 'x' is not a whole number from 1 to 1000.",
    ("run", "--seed", "-1"): "'-1' is not a whole number from 0 to 9223372036854775807.",
    ("ladder", "x", "--width", "1"): "'1' is not a whole number of at least 60.",
    ("run", "--time", "vrtual"): "'vrtual' is not auto, virtual or real (did you mean virtual?).",
    ("completion", "tcsh"): "'tcsh' is not bash, zsh or fish",
    ("completion",): "Give bash, zsh or fish.",
    ("run", "--time"): "Option '--time' needs a value: auto, virtual or real.",
    ("run", "--repeat"): "Option '--repeat' needs a value: a whole number from 1 to 1000.",
    ("run", "--set"): "Option '--set' needs a value: NAME=VALUE.",
    ("diff", "a", "b", "c"): "`lab7 diff` takes only RUN RUN: leave out c.",
    ("man", "pages"): "`lab7 man` takes no argument: leave out pages.",
    ("link", "dwon", "web", "a-b"): "No such command 'dwon' (did you mean down?): `lab7 link` has down, set, up.",
    ("service", "start"): "No such command 'start'",
    ("assignment", "build"): "`lab7 assignment list` lists the assignments.",
    ("sweep",): "Missing argument 'FILE'. Give a TOML file (docs/sweeps.md)",
    ("exec", "web", "client", "--"): "Missing argument 'COMMAND...'. Give the command to run in the host",
    ("run", "http-versions", "--set", "rtt=50", "ms"): "write a value without a blank (--set rtt=50ms)",
    ("run", "--set", "rtt=1ms", "--set", "rtt=2ms"): "--set rtt=1ms,2ms)",
    ("run", "tests"): "tests is a folder: give the path of a Python file that defines EXPERIMENT",
    ("run", "http-versions", "--jobs", "2", "--time", "real"): "leave --jobs out, or use --time virtual",
    ("claims", "--results", "no/such/folder"): "there is no folder no/such/folder",
    ("ladder", "tests"): "tests is a folder without a run",
    ("validate", "no.json"): "there is no file no.json, and no result of a run at no.json",
    ("validate", "tests"): "the folder tests has no result.json",
    ("export", "no-run", "hra"): "there is no format 'hra' (did you mean har?)",
    ("draw", "web", "-o", "web.png"): "the suffix of web.png names no format of a diagram: use .svg (svg)",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_word_is_told_with_the_right_form(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[5])
    assert WRONG[words] in error_of(*words)


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every_command(found, (*path, name))
    else:
        yield path, command


def test_a_missing_name_is_told_by_networks_only_where_it_is_a_network() -> None:
    """`lab7 assignment build` without a name said that `lab7 ps` lists the networks."""
    hinted = set()
    for path, command in every_command(lab7):
        if any(isinstance(one, click.Argument) and one.required for one in command.params):
            said = error_of(*path)
            assert re.search(r"Missing (argument|option)", said), (path, said)
            if "lab7 ps" in said:
                hinted.add(" ".join(path))
    assert hinted == set(NETWORK_COMMANDS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("origin", "names no program: write origin=NAME, with one of lab7, nginx"),
        ("origin=", "names no program: write origin=NAME, with one of lab7, nginx"),
        ("origin=./none.py", "./none.py is no file: give a command line, such as 'origin=python3"),
        ("origin=/tmp", "/tmp is no program: give a command line"),
        (f"origin={__file__}", "is a file alone: give a command line"),
    ],
)
def test_a_replacement_without_a_program_says_what_is_missing(text: str, sentence: str) -> None:
    with pytest.raises(ReplacementError) as raised:
        parse_replacement(text, ("origin", "client"))
    assert sentence in str(raised.value)
    assert "did you mean" not in str(raised.value)


def test_nothing_is_suggested_for_a_letter_or_for_the_word_itself() -> None:
    assert did_you_mean("x", ["mx-to-cname", "xz"]) == ""
    assert did_you_mean("origin", ["origin", "client"]) == ""
    assert did_you_mean("orgin", ["origin", "client"]) == " (did you mean origin?)"


def test_both_orders_of_an_export_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert error_of("export", "har", "no-run") == error_of("export", "no-run", "har")
    assert "no result of a run at no-run" in error_of("export", "har", "no-run")
    assert error_of("export", "nonet", "kathara") == error_of("export", "kathara", "nonet")


@pytest.mark.parametrize(("name", "begin"), [("web.svg", "<svg"), ("web.mmd", "graph"), ("web.dot", "graph")])
def test_the_suffix_of_the_file_decides_the_form_of_a_diagram(tmp_path: Path, name: str, begin: str) -> None:
    lab7.main(["draw", "web", "-o", str(tmp_path / name)], prog_name="lab7", standalone_mode=False)
    assert begin in (tmp_path / name).read_text()[:200]


def test_a_topology_of_the_list_is_told_with_its_parameters_and_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    lab7.main(["list", "web"], prog_name="lab7", standalone_mode=False)
    said = capsys.readouterr().out
    assert "        --set delay=" in said
    assert "        hosts: client, origin" in said
    lab7.main(["list"], prog_name="lab7", standalone_mode=False)
    assert "hosts:" not in capsys.readouterr().out


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_reason_to_fail(closed: str, tmp_path: Path) -> None:
    """A traceback ended `lab7 list >&-`, and a file that was opened next had the number of the stream."""
    script = (
        "import os, sys; from lab7.experiments.harness.cli import main; sys.argv = ['lab7', 'completion', 'bash']\n"
        "try:\n    main()\n"
        "finally:\n    os.write(os.open(sys.path[-1], os.O_WRONLY | os.O_CREAT), b'mine')"
    )
    line = f'exec {shlex.quote(sys.executable)} -c "$SCRIPT" {closed}'
    environment = {**os.environ, "SCRIPT": script.replace("sys.path[-1]", repr(str(tmp_path / "file")))}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("complete" in done.stdout) is (">&-" not in closed.replace("2>&-", ""))
    assert (tmp_path / "file").read_text() == "mine"


def test_validate_takes_the_newest_run_of_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results" / "http_versions" / "20300102T030405Z-9f01ab"
    folder.mkdir(parents=True)
    sample_result().save(folder)
    monkeypatch.chdir(tmp_path)
    assert lab7.main(["validate", "http_versions/latest"], "lab7", standalone_mode=False) == 0
    assert "result.json: valid (result, format" in capsys.readouterr().out


def test_lines_of_a_list_keep_their_indentation_at_forty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Where no results are: paths of reports are not wrapped.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    lab7.main(["list", "http-versions", "web"], prog_name="lab7", standalone_mode=False)
    lab7.main(["claims", "H1"], prog_name="lab7", standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "--set root=" not in line) <= 40
    assert "    --set rtt=100ms  the round-trip time" in lines
    assert "    between client and origin" in lines
    decided = next(place for place, line in enumerate(lines) if line.startswith("    decided by:"))
    assert lines[decided + 1].startswith("    ")
