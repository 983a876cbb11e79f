"""Sentences for what new users type: missing arguments, unknown options, closed pipes, folders that are not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.cli import lab7
from lab7.experiments.harness.cli.interface.captures import CapturePath
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.topologies.emulation.control.client import NotUpError, connected
from tests.core.experiments.harness.samples import sample_result

REPOSITORY = Path(__file__).resolve().parents[5]
USAGE, CANNOT, NOT_FOUND = 2, 3, 127


def run(*words: str, cwd: Path = REPOSITORY, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own; `shell`: a script in which $LAB7 is its command."""
    command = f"{sys.executable} -P -m lab7"
    environment = {**os.environ, "LAB7": command, "PYTHONPATH": str(REPOSITORY)}
    arguments = ["bash", "-c", shell] if shell else [*command.split(), *words]
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


MISSING = {
    ("matrix",): "Missing argument 'NAME'. Give one of cache, dns, ftp, http, mail.",
    ("shell",): "Give one of campus, cdn, dns",
    ("draw",): "or a file (*.py, *.yaml, *.clab.yml, lab.conf)",
    ("exec", "web"): "Missing argument 'HOST'. Give one of client, origin.",
    ("exec", "web", "client"): "as in `lab7 exec web client -- curl http://www.example.com/`",
    ("diff",): "EXPERIMENT/latest for the newest run",
    ("ladder",): "Give a capture file (pcap or pcapng), or a run",
    ("view",): "`lab7 ps` lists the networks that are up",
}


@pytest.mark.parametrize("words", MISSING, ids=" ".join)
def test_a_missing_argument_is_told_with_what_it_can_be(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, MISSING[words] in done.stderr) == (USAGE, True), done.stderr


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every_command(found, (*path, name))


def test_no_help_is_wider_than_a_terminal_of_80_columns() -> None:
    wide: dict[tuple[str, ...], int] = {}
    for path in every_command(lab7):
        shown = CliRunner().invoke(lab7, [*path, "--help"], terminal_width=80, prog_name="lab7").output
        wide |= {(*path, line): len(line) for line in shown.splitlines() if len(line) > 80}
    assert wide == {}


OPTIONS = {
    ("run", "http-versions", "-set", "rtt=5ms"): "No such option '-set': write --set.",
    ("run", "http-versions", "--rtt", "5ms"): "No such option '--rtt': write --set rtt=VALUE.",
    ("up", "web", "--delay=5ms"): "No such option '--delay': write --set delay=VALUE.",
    ("run", "http-versions", "rtt=5ms"): "'rtt=5ms' is not an experiment: a parameter is set by --set rtt=5ms",
    ("version",): "`lab7 --version` prints the version",
    ("list", "wbe"): "nothing is called 'wbe' (did you mean web?): `lab7 list` lists all",
}


@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_a_word_in_the_wrong_form_is_told_in_the_right_one(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, OPTIONS[words] in done.stderr) == (USAGE, True), done.stderr


def test_blanks_around_the_equals_sign_do_not_matter() -> None:
    done = run("run", "http-versions", "--set", "objects = many")
    assert "invalid value objects='many'" in done.stderr


def test_help_is_a_command() -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help", "run").stdout == run("run", "--help").stdout
    assert "No such command 'ruun' (did you mean run?)" in run("help", "ruun").stderr


def test_list_takes_the_start_of_names() -> None:
    done = run("list", "http-v", "web")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line and not line.startswith(" ")] == ["http-versions", "topologies"]
    # Parameters and hosts are indented further, and wrapped lines belong to the line before them.
    assert [line.split()[0] for line in lines if re.match(r" {4}\S", line) and "--set" not in line] == ["web"]


@pytest.mark.parametrize("words", ["list", "claims", "list --json"])
def test_a_reader_that_leaves_early_is_no_failure(words: str) -> None:
    # true(1) reads nothing, so that the pipe is closed while the command writes.
    done = run(shell=f"$LAB7 {words} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_program_that_a_host_cannot_run_is_named_and_no_helper() -> None:
    done = run("exec", "web", "client", "--", "no-such-program", "x")
    sentence = "lab7: client cannot run no-such-program: there is no such program on this machine\n"
    assert (done.returncode, done.stderr) == (NOT_FOUND, sentence)


@pytest.mark.parametrize("place", ["no-such-folder/web.svg", "a-file/web.svg"])
def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    done = run("draw", "web", "-o", place, cwd=tmp_path)
    folder = place.partition("/")[0]
    sentence = f"lab7: cannot use {place}: there is no folder {folder}; make it, or name another file\n"
    assert (done.returncode, done.stderr) == (CANNOT, sentence)


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(PermissionError) as caught:
        write_atomically(tmp_path / "web.svg", "text")
    assert caught.value.filename == str(tmp_path / "web.svg")


def test_a_run_that_is_not_there_suggests_an_experiment_that_exists(tmp_path: Path) -> None:
    done = run("open", "htp-versions", cwd=tmp_path)
    assert "(did you mean http-versions?)" in done.stderr
    assert "`lab7 run EXPERIMENT` makes one" in done.stderr
    assert "`lab7 run http-versions` makes one" in run("open", "http-versions/latest", cwd=tmp_path).stderr


def test_a_network_that_is_not_up_is_told_with_a_command_that_works() -> None:
    with pytest.raises(NotUpError, match="`lab7 up TOPOLOGY --name no-such-network` starts one"):
        connected("no-such-network")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The result folder of a run with a capture, below results in the current folder."""
    monkeypatch.chdir(tmp_path)
    result = sample_result()
    folder = tmp_path / "results" / result.experiment / "20300102T030405Z-9f01ab"
    folder.mkdir(parents=True)
    result.save(folder)
    assert result.files.capture is not None
    with (folder / result.files.capture).open("wb") as stream:
        PcapngWriter(stream, [])
    return folder


def chosen(word: str) -> Path:
    return CapturePath().convert(word, None, None)


def test_a_capture_is_a_file_or_that_of_a_run(folder: Path) -> None:
    name = sample_result().files.capture
    assert name is not None
    experiment = folder.parent.name
    for word in [str(folder), f"{experiment}/latest", experiment, f"results/{experiment}/latest"]:
        assert chosen(word).resolve() == folder / name
    assert chosen(f"results/{experiment}/latest/{name}").resolve() == folder / name
    assert chosen(str(folder / name)) == folder / name


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("word", ["no-such-file.pcap", "/", "results/http-versions/latest/other.pcapng"])
def test_another_word_is_one_sentence(word: str) -> None:
    with pytest.raises(click.BadParameter, match=r"there is no file|/ is a folder without a run"):
        chosen(word)
    assert CliRunner().invoke(lab7, ["judge", word]).exit_code == USAGE
