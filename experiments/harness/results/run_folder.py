"""Result folder of a run that a command line names: by its path, or as EXPERIMENT/latest below the results folder."""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.harness.results.result import RESULT_NAME, Result, ResultError, read_results

LATEST = "latest"


class RunNotFoundError(ValueError):
    """No readable result of this name; the message is one sentence that says what to give instead."""


def load_run(name: str, results: Path) -> tuple[Path, Result]:
    """Return (folder, result) of a run: a path, a path below `results`, or EXPERIMENT/latest. Raises RunNotFoundError.

    The path may also be that of a result.json.
    """
    experiment, slash, last = name.rstrip("/").rpartition("/")
    if slash and last == LATEST:
        return _latest(experiment, results)
    for path in (Path(name), results / name):
        folder = path.parent if path.name == RESULT_NAME else path
        if (folder / RESULT_NAME).is_file():
            try:
                return folder, Result.load(folder)
            except (OSError, ResultError) as error:
                raise RunNotFoundError(f"{folder} has no readable result: {error}") from error
    raise RunNotFoundError(
        f"no result of a run at {name}: give the folder of a {RESULT_NAME}, or EXPERIMENT/{LATEST} for the newest run "
        f"below {results}"
    )


def _latest(experiment: str, results: Path) -> tuple[Path, Result]:
    found = None
    for folder, result in read_results(results):
        if result.experiment == experiment:
            found = folder, result
    if found is None:
        raise RunNotFoundError(f"no run of {experiment} below {results}: `lab7 run {experiment}` makes one")
    return found
