"""`lab7 sweep` and several values for `lab7 run`: errors are one sentence, and a plan runs nothing."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lab7.experiments.harness.cli.runs import run_command
from lab7.experiments.sweep.cli import sweep_command

REAL = 'experiment = "http-versions"\ntime = "real"\n[set]\n'


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        (run_command, ("http-versions", "--set", "rtt=20ms,x"), "invalid value rtt='x'"),
        (run_command, ("http-versions", "--set", "objects=x,y"), "invalid value objects='x,y'"),
        (run_command, ("http-versions", "--set", "nothing=1,2"), "has no parameter 'nothing'"),
        (
            run_command,
            ("http-versions", "--set", "rtt=" + ",".join(f"{number}ms" for number in range(1, 102))),
            "101 runs are too many for `lab7 run`: write a sweep",
        ),
        (sweep_command, ("none.toml",), "File 'none.toml' does not exist"),
        (sweep_command, ("x.toml",), "x.toml: the experiment http-versions has no parameter 'x'"),
        (sweep_command, ("syntax.toml",), "syntax.toml: the file is not TOML"),
        (sweep_command, ("role.toml",), "role.toml: --replace 'user=nginx': the roles are origin, client"),
        (sweep_command, ("unknown.toml",), "unknown.toml: 'http' is the start of several names"),
        (
            sweep_command,
            ("good.toml", "--scheduler", "tcp://127.0.0.1:1", "--engine", "local"),
            "leave --engine local out",
        ),
    ],
)
def test_an_error_is_one_sentence(
    command: click.Command, words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(REAL + "x = 1\n")
    Path("good.toml").write_text(REAL + 'rtt = "20ms"\n')
    Path("syntax.toml").write_text("experiment =")
    Path("role.toml").write_text(REAL + '[replace]\nuser = "nginx"\n')
    Path("unknown.toml").write_text('experiment = "http"\ntime = "real"\n')
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert message in done.output


def test_the_plan_of_a_sweep_lists_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rtt.toml").write_text(REAL + 'rtt = ["20ms", "60ms"]\n')
    done = CliRunner().invoke(sweep_command, ["rtt.toml", "--plan"])
    lines = [line.split() for line in done.output.splitlines()]
    assert [line[1:] for line in lines[1:]] == [["rtt=20ms", "seed=1"], ["rtt=60ms", "seed=1"]]
    assert not Path("results").exists()


def test_a_file_of_ones_own_counts_from_the_file_of_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content is part of the name of a cell."""
    folder = tmp_path / "sweeps"
    folder.mkdir()
    own = folder / "own.py"
    own.write_text(
        "from lab7.experiments.harness import Experiment\n"
        "EXPERIMENT = Experiment(name='own', question='?', claims=(), parameters={}, run=print)\n"
    )
    (folder / "own.toml").write_text('experiment = "own.py"\ntime = "real"\n')
    monkeypatch.chdir(tmp_path)
    names = []
    for more in ("", "# changed\n"):
        own.write_text(own.read_text() + more)
        done = CliRunner().invoke(sweep_command, ["sweeps/own.toml", "--plan"])
        assert done.exit_code == 0, done.output
        names.append(done.output.splitlines()[1].split()[0])
    assert names[0] != names[1]
