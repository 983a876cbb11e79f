"""Command `lab7 open`: open a report in the browser."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable
from pathlib import Path

import click

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.report.page import REPORT_NAME
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run

# Variables of a graphical session, or of a browser chosen by the user (webbrowser).
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def _index(word: str, results: Path) -> str | None:
    """Return the address of the index over all runs, for no word."""
    if word:
        return None
    if not (results / REPORT_NAME).is_file():
        raise click.UsageError(
            f"there is no report in {results}: `lab7 run` makes one, or name a folder with --results"
        )
    return (results / REPORT_NAME).resolve().as_uri()


def _report(word: str, results: Path) -> str | None:
    """Return the address of the report of a run: a folder, an experiment (its newest run), or EXPERIMENT/latest."""
    try:
        folder, result = load_run(word, results)
    except RunNotFoundError as error:
        raise click.UsageError(str(error)) from error
    return (folder / (result.files.report or REPORT_NAME)).resolve().as_uri()


# Functions that return the address of what a word names, or None if it is not of their kind; the first one decides. The
# last one raises click.UsageError for what none of them knows.
RESOLVERS: list[Callable[[str, Path], str | None]] = [_index, _report]


@click.command("open")
@click.argument("what", default="", metavar="[RUN]")
@common.results_option
def open_command(what: str, results: Path) -> None:
    """Open the report of a run in the browser, without RUN the report over all runs; print its address.

    \b
    lab7 open                        the report over all runs
    lab7 open http-versions          the newest run of an experiment
    lab7 open results/http-versions/20300102T030405Z-9f01ab
    """
    address = next(found for resolve in RESOLVERS if (found := resolve(what, results)) is not None)
    click.echo(address)
    if any(os.environ.get(name) for name in DISPLAYS) and not webbrowser.open(address):
        raise click.ClickException("no browser could be started: open the address above yourself")
