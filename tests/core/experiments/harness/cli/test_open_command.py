"""`lab7 open`, and the words by which all commands find a run."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.cli import load_command
from lab7.experiments.harness.report.page import write_index
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run
from tests.core.experiments.harness.samples import sample_result


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for experiment, day in (("http-versions", 1), ("http-versions", 2), ("dns-records", 3)):
        folder = tmp_path / "results" / experiment / f"2030010{day}T000000Z-9f01ab"
        folder.mkdir(parents=True)
        sample_result(experiment=experiment, started=f"2030-01-0{day}T00:00:00Z").save(folder)
    write_index(tmp_path / "results", load_claims())
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return Path("results")


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("http-versions", 2),
        ("http", 2),
        ("http-versions/latest", 2),
        ("results/http-versions/latest", 2),
        ("results/http-versions/latest/", 2),
        ("latest", 3),
        ("results/latest", 3),
        ("http-versions/20300101T000000Z-9f01ab", 1),
        ("results/http-versions/20300101T000000Z-9f01ab/result.json", 1),
    ],
)
def test_a_run_is_found_by_its_folder_its_experiment_or_as_the_latest(results: Path, name: str, day: int) -> None:
    for form in (name, str(Path.cwd() / name)) if name.startswith("results") else (name,):
        folder, _ = load_run(form, results)
        assert folder.name == f"2030010{day}T000000Z-9f01ab"


@pytest.mark.parametrize(
    ("name", "says"), [("htp-versions", "did you mean http-versions"), ("nowhere/at/all", "at all")]
)
def test_what_is_no_run_is_one_sentence(results: Path, name: str, says: str) -> None:
    with pytest.raises(
        RunNotFoundError, match=says if says != "at all" else "no result of a run at nowhere/at/all: give"
    ):
        load_run(name, results)


@pytest.mark.parametrize("name", ["http-keep-alive/latest", "http-keep-alive", "cdn"])
def test_an_experiment_without_a_run_is_not_taken_for_a_misspelt_name(results: Path, name: str) -> None:
    experiment = name.removesuffix("/latest")
    with pytest.raises(RunNotFoundError, match=f"^no result of a run at {name}: .*`lab7 run {experiment}` makes one$"):
        load_run(name, results)


def opened(*words: str) -> Result:
    return CliRunner().invoke(load_command("open"), words)


@pytest.mark.usefixtures("results")
def test_open_prints_the_address_of_a_report() -> None:
    top = Path.cwd().as_uri()
    assert opened().output == f"{top}/results/report.html\n"
    assert opened("http").output == f"{top}/results/http-versions/20300102T000000Z-9f01ab/report.html\n"


@pytest.mark.usefixtures("results")
def test_open_starts_the_browser_of_a_graphical_session(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(asked.append(address)) or True)  # type: ignore[func-returns-value]
    done = opened("latest")
    assert (done.exit_code, asked) == (0, [done.output.strip()])


def test_open_without_results_says_what_makes_them(tmp_path: Path) -> None:
    done = opened("--results", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "`lab7 run` makes one" in done.output.replace("\n", " ")
