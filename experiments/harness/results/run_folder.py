"""Lookup of the result folder that a command line names by path, by experiment, or as EXPERIMENT/latest."""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.harness.catalogue.listing import listing
from lab7.experiments.harness.catalogue.suggestion import by_prefix, did_you_mean
from lab7.experiments.harness.results.result import RESULT_NAME, Result, ResultError, read_results

LATEST = "latest"
CAPTURES = "*.pcapng"


class RunNotFoundError(ValueError):
    """Error because no readable result has the given name; the message is one sentence with valid forms."""


def load_run(name: str, results: Path) -> tuple[Path, Result]:
    """Return (folder, result) of a run. Raises RunNotFoundError.

    `name` is the path of a result folder or of its result.json, also relative to `results`; EXPERIMENT or
    EXPERIMENT/latest for the newest run of an experiment (EXPERIMENT may be a unique prefix), with or without the
    results folder before it; or `latest` for the newest run of all experiments.
    """
    for path in (Path(name), results / name):
        folder = path.parent if path.name == RESULT_NAME else path
        if (folder / RESULT_NAME).is_file():
            try:
                return folder, Result.load(folder)
            except (OSError, ResultError) as error:
                raise RunNotFoundError(f"{folder} has no readable result: {error}") from error
    place = Path(name)
    if place.name == LATEST:
        place = place.parent
    if place.resolve() == results.resolve():
        return _latest("", results, name)
    # results/EXPERIMENT/latest names the results folder as well.
    elsewhere = place.parent != Path() and place.parent.is_dir()
    return _latest(place.name, place.parent if elsewhere else results, name)


def capture_names(folder: Path, result: Result) -> list[str]:
    """Return the file names of a run's captures: the one that the result names first, then the others by name."""
    return sorted((path.name for path in folder.glob(CAPTURES)), key=lambda name: (name != result.files.capture, name))


def _latest(experiment: str, results: Path, name: str) -> tuple[Path, Result]:
    """Return the newest run of an experiment, or of all experiments if the name is empty."""
    runs = [(folder, result) for folder, result in read_results(results)]
    known = sorted({result.experiment for _, result in runs})
    names = by_prefix(experiment, known) if experiment else known
    if experiment and len(names) > 1:
        raise RunNotFoundError(
            f"{experiment!r} is the start of more than one experiment: give one of {', '.join(names)}"
        )
    found = [(folder, result) for folder, result in runs if result.experiment in names]
    if not found:
        # Suggest an experiment with results first, then one that has none yet.
        every = listing().experiments
        near = did_you_mean(experiment, known) or did_you_mean(experiment, every)
        makes = experiment if by_prefix(experiment, every) else "EXPERIMENT"
        raise RunNotFoundError(
            f"no result of a run at {name}{near}: give the folder of a {RESULT_NAME}, or EXPERIMENT/{LATEST} for the "
            f"newest run below {results}; `lab7 run {makes}` makes one"
        )
    return found[-1]
