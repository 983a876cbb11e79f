"""Command `lab7 diff`: the differences between two experiment runs, as text or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from lab7.experiments.diff.runs import compare_runs
from lab7.experiments.diff.text import render_difference
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run

DIFFERENT = 1


@click.command("diff")
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@common.results_option
@common.json_option
def diff_command(first: str, second: str, results: Path, as_json: bool) -> None:
    """Compare two runs: settings, claims, times by term, and the messages of the captures.

    RUN is the folder of a result.json, or EXPERIMENT/latest. Times are means of the samples, the second run's less the
    first run's, with a confidence interval (percentile bootstrap). A time differs if it moved by more than the
    comparison's tolerance and the interval excludes 0. Needs no rights.

    Exit codes: 0 the runs are the same, 1 they differ, 2 usage error.
    """
    try:
        difference = compare_runs(load_run(first, results), load_run(second, results))
    except RunNotFoundError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        common.print_json(difference.to_json())
    else:
        click.echo(render_difference(difference), nl=False)
    raise click.exceptions.Exit(DIFFERENT if difference.different else common.SHOWN)
