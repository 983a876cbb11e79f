"""`lab7 sweep` and several values for `lab7 run`: errors are one sentence, and a plan runs nothing."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from lab7.experiments.harness.cli.runs import run_command
from lab7.experiments.sweep import cli, engines
from lab7.experiments.sweep.cli import sweep_command
from lab7.topologies.emulation.errors import EmulationError

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
        (sweep_command, ("latin.toml",), "latin.toml is not UTF-8 at octet 12: save it as UTF-8"),
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
    Path("latin.toml").write_bytes(b'experiment="\xe9"')
    Path("role.toml").write_text(REAL + '[replace]\nuser = "nginx"\n')
    Path("unknown.toml").write_text('experiment = "http"\ntime = "real"\n')
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert message in done.output


def test_the_plan_of_a_sweep_lists_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # With the byte order mark that some editors write.
    Path("rtt.toml").write_text(REAL + 'rtt = ["20ms", "60ms"]\n', encoding="utf-8-sig")
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


def test_a_table_that_finds_the_disk_full_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "write_parquet", full)
    monkeypatch.setattr(cli, "run_sweep", lambda *_: None)
    Path("rtt.toml").write_text(REAL + 'rtt = "20ms"\n')
    done = CliRunner().invoke(sweep_command, ["rtt.toml"])
    assert isinstance(done.exception, EmulationError)
    assert str(done.exception).endswith("(No space left on device): free some space, then continue the sweep")


def test_plots_of_an_earlier_grid_are_removed(tmp_path: Path) -> None:
    for name in ("plot-1.svg", "plot-12.svg", "table.csv"):
        (tmp_path / name).write_text("")
    cli.remove_plots(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize(
    "error", [OSError("Timed out trying to connect"), RuntimeError("closed"), ValueError("client")]
)
def test_a_scheduler_that_has_ended_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interface of dask.distributed, whose client raises these when its scheduler is gone."""

    class Client:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def get_executor(self, **_: object) -> ThreadPoolExecutor:
            return ThreadPoolExecutor(1)

        def nthreads(self) -> dict[str, int]:
            raise error

    monkeypatch.setattr(engines, "_import_distributed", lambda: SimpleNamespace(Client=Client))
    with (
        pytest.raises(
            EmulationError, match=r"the Dask scheduler at tcp://10\.0\.0\.1:8786 no longer answers: start it"
        ),
        engines.dask_engine("virtual", "tcp://10.0.0.1:8786", 1) as engine,
    ):
        engine.width()
