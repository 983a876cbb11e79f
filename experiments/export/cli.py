"""Command `lab7 export`: results of an experiment run as HAR, CSV, Parquet, JUnit XML, Markdown or zip.

It also exports a topology for another emulator, and the JSON Schema of result.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from lab7.experiments.export.archive import write_archive
from lab7.experiments.export.har import har_of
from lab7.experiments.export.junit import junit_of
from lab7.experiments.export.markdown import markdown_of
from lab7.experiments.export.tables import ExtraMissingError, columns_of, csv_of, write_parquet
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.result import Result
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run
from lab7.experiments.harness.results.schema import result_schema
from lab7.experiments.harness.results.timings import TimingsError, samples_of

# Output format -> suffix of the file.
FORMS = {"har": ".har", "csv": ".csv", "parquet": ".parquet", "junit": ".xml", "markdown": ".md", "zip": ".zip"}
BINARY = ("parquet", "zip")
SCHEMA = "schema"
# Tools for which a topology is written (see labs).
TOOLS = ("kathara", "containerlab", "shadow")


@click.command("export")
@click.argument("run")
@click.argument("form", metavar=f"[{'|'.join((*FORMS, SCHEMA))}]", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="file to write; for a topology, folder to make")
@common.set_option
@common.results_option
def export_command(run: str, form: str | None, output: Path | None, given: dict[str, str], results: Path) -> None:
    """Write a run in the format of other programs, or a topology as a lab of another tool.

    \b
    lab7 export http-versions/latest har  HTTP exchanges, for waterfall viewers
    lab7 export RUN csv                   samples with terms (also: parquet)
    lab7 export RUN junit                 claims as tests, for CI
    lab7 export RUN markdown              claims, times, ladder, for a summary
    lab7 export RUN zip                   all files of the run in one, to send
    lab7 export schema                    the JSON Schema of result.json
    lab7 export kathara web               a topology (also: containerlab, shadow)

    RUN is the folder of a result.json, or EXPERIMENT/latest. Without --output, text goes to standard output, and
    parquet and zip to a file in the current directory. A topology goes into a new folder TOPOLOGY-TOOL with link shapes
    and services (docs/networks.md). Needs no rights.
    """
    if form in TOOLS or (run in FORMS and form is not None and form not in FORMS):
        # Both orders are natural: `export RUN har` and `export kathara web`.
        run, form = form, run
    if run in TOOLS:
        _export_topology(run, form, given, output)
        return
    if given:
        raise click.UsageError(f"--set is for a topology: `lab7 export {next(iter(TOOLS))} TOPOLOGY --set NAME=VALUE`")
    if form is not None and form not in (*FORMS, SCHEMA):
        near = did_you_mean(form, FORMS)
        raise click.UsageError(f"there is no format {form!r}{near}: give one of {', '.join(FORMS)}")
    if output is not None and output.is_dir():
        raise click.UsageError(f"{output} is a folder: give the name of a file")
    if run == SCHEMA and form is None:
        _write(json.dumps(result_schema(), indent=2) + "\n", output)
        return
    if form is None or form == SCHEMA:
        raise click.UsageError(f"give a run and one of {', '.join(FORMS)}, or `lab7 export {SCHEMA}`")
    try:
        folder, result = load_run(run, results)
        _export(folder, result, form, output)
    except (RunNotFoundError, CaptureReadError, TimingsError) as error:
        raise click.UsageError(str(error)) from error
    except ExtraMissingError as error:
        click.echo(f"lab7: {error}", err=True)
        raise click.exceptions.Exit(common.CANNOT) from error
    except OSError as error:
        raise click.UsageError(f"cannot use {error.filename} ({error.strerror}): name a file by -o") from error


def _export_topology(tool: str, topology: str | None, given: dict[str, str], output: Path | None) -> None:
    if topology is None:
        raise click.UsageError(f"give a topology, as in `lab7 export {tool} web`")
    # Import late, since mininet takes a second.
    from lab7.experiments.export.labs import export_lab

    try:
        export_lab(tool, topology, given, output)
    except OSError as error:
        raise click.UsageError(f"cannot use {error.filename} ({error.strerror}): name a file by -o") from error


def _export(folder: Path, result: Result, form: str, output: Path | None) -> None:
    if form in BINARY:
        path = output or Path(f"{result.experiment}-{folder.resolve().name}{FORMS[form]}")
        if form == "zip":
            write_archive(folder, result, path)
        else:
            write_parquet(columns_of(result, samples_of(folder, result)), path)
        click.echo(path)
        return
    if form == "har":
        text = json.dumps(har_of(folder, result), indent=2, ensure_ascii=False) + "\n"
    elif form == "csv":
        text = csv_of(columns_of(result, samples_of(folder, result)))
    elif form == "markdown":
        text = markdown_of(folder, result, known_claims())
    else:
        text = junit_of(result, known_claims())
    _write(text, output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomically(output, text)
        click.echo(output)
