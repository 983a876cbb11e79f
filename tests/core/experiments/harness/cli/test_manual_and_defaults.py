"""The manual page that is made from the help texts, and defaults from lab7.toml and pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lab7.experiments.harness.cli import COMMANDS, lab7, load_command
from lab7.experiments.harness.cli.interface.defaults import COMMON
from lab7.experiments.harness.cli.interface.manual import manual


@pytest.fixture(scope="module")
def page() -> str:
    return manual(lab7)


def test_the_manual_page_has_every_command_and_every_option(page: str) -> None:
    plain = page.replace("\\-", "-")
    for name in COMMANDS:
        assert f'.SS "lab7 {name}' in plain
        for parameter in load_command(name).params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(word in plain for word in parameter.opts)


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man (man-db)")
def test_man_renders_the_page_without_a_warning(page: str, tmp_path: Path) -> None:
    (tmp_path / "lab7.1").write_text(page)
    words = ["man", "--warnings=all", "--encoding=UTF-8", "-l", "lab7.1"]
    changes = {"MANWIDTH": "80", "PATH": "/usr/bin:/bin", "MANROFFOPT": "-rHY=0"}
    done = subprocess.run(words, cwd=tmp_path, env=changes, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "lab7 run http-versions --set rtt=50ms" in done.stdout
    assert "--replace ROLE=WHAT" in done.stdout
    assert 'eval "$(lab7 completion bash)"' in done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def typed(*words: str) -> Result:
    return CliRunner().invoke(lab7, words)


@pytest.mark.usefixtures("folder")
def test_a_default_of_a_file_above_is_used_and_the_command_line_comes_first(folder: Path) -> None:
    (folder / "lab7.toml").write_text('results = "elsewhere"\n')
    assert "there is no report in elsewhere" in typed("open").output
    assert "there is no report in here" in typed("open", "--results", "here").output


@pytest.mark.usefixtures("folder")
def test_defaults_of_one_command_are_checked_as_those_typed(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.lab7.run]\nset = { rrt = "50ms" }\n')
    assert "has no parameter 'rrt' (did you mean rtt?)" in typed("run", "http-versions").output
    (folder / "pyproject.toml").write_text('[tool.lab7.run]\nset = { rtt = "50" }\n')
    assert "a time needs a unit" in typed("run", "http-versions").output
    assert "needs a unit" not in typed("run", "http-versions", "--set", "rtt=abc").output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tiem = "virtual"', "lab7.toml: unknown key 'tiem' (did you mean time?): there are results, "),
        ("[run]\nrepaet = 3", "lab7.toml: unknown key 'repaet' in [run] (did you mean repeat?): there are "),
        ("run = 3", "lab7.toml: run is a command: write its defaults in a table [run]"),
        ("run = [", "lab7.toml cannot be read: "),
        ('[run]\nrepeat = "many"', "'many' is not a valid integer"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(folder: Path, text: str, says: str) -> None:
    (folder / "lab7.toml").write_text(text)
    done = typed("run", "http-versions", "--set", "rtt=abc")
    assert done.exit_code == 2
    assert says in done.output


def test_a_project_without_a_table_of_lab7_changes_nothing(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert "there is no report in results" in typed("open").output


def test_common_keys_are_options_of_several_commands() -> None:
    options = [word for name in COMMANDS for one in load_command(name).params for word in one.opts]
    assert {name: options.count(f"--{name}") > 1 for name in COMMON} == dict.fromkeys(COMMON, True)
