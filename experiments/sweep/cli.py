"""Command `lab7 sweep`: run a grid of parameters, seeds and programs, and write one table and its plots."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lab7.experiments.export.tables import ExtraMissingError, csv_of, write_parquet
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.discovery import UnknownNameError
from lab7.experiments.harness.experiment import ParameterError
from lab7.experiments.harness.implementations.registry import ReplacementError
from lab7.experiments.harness.results.run_folder import SWEEPS
from lab7.experiments.harness.template_engine import render
from lab7.experiments.sweep.definition import Definition, DefinitionError, parse_definition
from lab7.experiments.sweep.engines import Engine, dask_engine, local_engine
from lab7.experiments.sweep.figures import plots_of
from lab7.experiments.sweep.grid import varying
from lab7.experiments.sweep.intervals import METHOD
from lab7.experiments.sweep.run_table import mean_table
from lab7.experiments.sweep.store import Store, cannot_write
from lab7.experiments.sweep.sweep import Callbacks, Plan, Progress, make_plan, run_sweep, table_runs
from lab7.experiments.sweep.table import Row, rows_of, table_of, table_schema
from lab7.services.packages import how_to_install
from lab7.topologies.emulation import watch
from lab7.topologies.emulation.user_module import is_user_file
from lab7.topologies.emulation.virtual import kernel

WORKERS_MAX = 1024
TABLE, PARQUET, SCHEMA, REPORT = "table.csv", "table.parquet", "table.schema.json", "report.html"


@click.command("sweep")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    help="run cells on this machine (local), or on Dask workers (dask); default: local, or dask with --scheduler",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="address of a Dask scheduler, such as tcp://10.0.0.1:8786; default: a local cluster",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    metavar="N",
    help="number of cells at a time in virtual time: local processes or Dask workers (default: one per processor)",
)
@click.option("--plan", "only_plan", is_flag=True, help="print the cells and which of them have a result; run none")
@common.results_option
@common.json_option
def sweep_command(
    file: Path,
    engine: str | None,
    scheduler: str | None,
    workers: int | None,
    only_plan: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Run every combination of parameters, seeds and programs that a TOML file lists; write one table.

    
    experiment = "http-versions"
    seeds = 5                          # or a list of seeds
    [set]
    rtt = ["20ms", "60ms"]             # a value or a list of values
    [replace]
    origin = ["lab7", "nginx"]

    Further keys: repeat, full, time, links, again, order_seed; [plot] x. A stopped sweep continues where it was, and a
    sweep with more values runs only the new cells. The table (CSV, and Parquet with pyarrow), its JSON Schema, plots
    and report.html are in results/sweeps/NAME, NAME being that of FILE. Exits with 1 if a cell has no valid result.
    """
    if scheduler and engine == "local":
        raise click.UsageError("--scheduler needs --engine dask: leave --engine local out")
    plan = _plan(file)
    store = Store(results / SWEEPS / file.stem)
    if only_plan:
        _show_plan(plan, store)
        return
    watch.stop_by_signals()
    name = engine or ("dask" if scheduler else "local")
    with store.locked():
        try:
            with _engine(name, plan, scheduler, workers, store) as running, _bar(file.stem, as_json) as callbacks:
                progress = run_sweep(plan, store, running, callbacks)
        except ExtraMissingError as error:
            click.echo(f"lab7: {error}", err=True)
            raise click.exceptions.Exit(common.CANNOT) from error
        except (KeyboardInterrupt, watch.Stopped):
            click.echo(
                f"{_finished(plan, store)} of {len(plan.cells)} cells have a result: the same command goes on", err=True
            )
            raise
        finally:
            # Ctrl-C and errors leave a table of the cells that are finished.
            rows, files = _write_tables(plan, store)
        _write_report(file.stem, plan, store, progress, rows, files)
    common.write_results_index(results)
    _conclude(plan, store, progress, rows, files, as_json)


def _plan(file: Path) -> Plan:
    """Read a sweep's definition file, and return its plan. Raises click.UsageError."""
    try:
        # Some editors begin a file with a byte order mark, which is no part of TOML.
        definition = parse_definition(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8 at octet {error.start}: save it as UTF-8") from error
    except DefinitionError as error:
        raise click.UsageError(f"{file}: {error}") from error
    if is_user_file(definition.experiment):
        # A path counts from the sweep's file, and is absolute for processes in other folders.
        definition = replace(definition, experiment=str((file.parent / definition.experiment).resolve()))
    try:
        return make_plan(definition, _clock(definition))
    except (DefinitionError, UnknownNameError, ParameterError, ReplacementError) as error:
        raise click.UsageError(f"{file}: {error}") from error


def _clock(definition: Definition) -> Clock:
    """Return the clock (real or virtual) of all runs of a sweep. Raises click.UsageError, MachineError."""
    if definition.time == "virtual" and definition.links == "wire":
        raise click.UsageError(
            'virtual time shapes links by its kernel: leave links = "wire" out, or use time = "real"'
        )
    if common.run_clock(definition.time, definition.links, True) != "virtual":
        return Clock()
    built = kernel.require()
    return Clock("virtual", built.version, built.recipe)


def _engine(
    name: str, plan: Plan, scheduler: str | None, workers: int | None, store: Store
) -> AbstractContextManager[Engine]:
    count = workers or os.cpu_count() or 1
    if name == "dask":
        return dask_engine(plan.clock.word, scheduler, count)
    return local_engine(plan.clock.word, count, store.running)


@contextmanager
def _bar(name: str, as_json: bool) -> Iterator[Callbacks]:
    with common.Bars() as bars, bars.bar(f"sweep {name}") as step:

        def progress(now: Progress) -> None:
            step(f"{len(now.settled)} of {now.total} cells", len(now.settled) / max(1, now.total))

        def sentence(text: str) -> None:
            with bars.away():
                click.echo(text, err=as_json)

        yield Callbacks(progress, sentence)


def _finished(plan: Plan, store: Store) -> int:
    return sum(store.load(cell) is not None for cell in plan.cells)


def _show_plan(plan: Plan, store: Store) -> None:
    rows = []
    for cell in plan.cells:
        stored = store.load(cell)
        rows.append(
            [cell.name, cell.point.label, "" if stored is None else common.verdict(stored.result.fidelity.verdict)]
        )
    common.out().print(common.table(["cell", "settings", "result"], rows))


def _write_tables(plan: Plan, store: Store) -> tuple[list[Row], list[str]]:
    """Write the table of a sweep's finished cells (runs), and its JSON Schema; return (rows, names of the files)."""
    columns = table_of(table_runs(plan, store))
    store.write(TABLE, csv_of(columns))
    store.write(SCHEMA, json.dumps(table_schema(columns, plan.experiment), indent=2) + "\n")
    files = [TABLE, SCHEMA]
    with suppress(ExtraMissingError):
        try:
            write_parquet(columns, store.folder / PARQUET)
        except OSError as error:
            raise cannot_write(store.folder / PARQUET, error) from error
        files.insert(1, PARQUET)
    return rows_of(columns), files


def _settings(plan: Plan) -> list[str]:
    """Return the names of the parameters and roles (replaceable programs) with several values in the sweep."""
    return varying({**plan.definition.axes, **plan.definition.roles})


def remove_plots(folder: Path) -> None:
    """Remove the plots of earlier invocations from a folder: the present grid may have fewer plots."""
    for left in folder.glob("plot-*.svg"):
        left.unlink(missing_ok=True)


def _write_report(name: str, plan: Plan, store: Store, progress: Progress, rows: list[Row], files: list[str]) -> None:
    """Write the plots and report.html of a sweep, and append the names of these files to `files`."""
    from markupsafe import Markup

    about = (rows, _settings(plan), plan.experiment, plan.definition.plot_x)
    plots = plots_of(*about)
    remove_plots(store.folder)
    for number, plot in enumerate(plots, 1):
        store.write(f"plot-{number}.svg", plot)
        files.append(f"plot-{number}.svg")
    headings, means = mean_table(rows, _settings(plan), plan.experiment)
    labels = {cell.name: cell.point.label for cell in plan.cells}
    finished = {row["cell"]: row["fidelity"] for row in rows}
    page = render(
        "sweep.html.j2",
        name=name,
        experiment=plan.experiment,
        cells=len(plan.cells),
        finished=len(finished),
        suspect=sum(word != "valid" for word in finished.values()),
        files=files,
        plots=[
            (Markup(plot), Markup(narrow)) for plot, narrow in zip(plots, plots_of(*about, phone=True), strict=True)
        ],
        no_plot="No setting has several values."
        if not _settings(plan)
        else f"Plots need matplotlib: {how_to_install('matplotlib')}",
        headings=headings,
        means=means,
        method=METHOD,
        failures={labels[cell]: error for cell, error in progress.failures.items()},
    )
    store.write(REPORT, page)
    files.append(REPORT)


def _conclude(plan: Plan, store: Store, progress: Progress, rows: list[Row], files: list[str], as_json: bool) -> None:
    """Print means of measured times, and file names; exit with 0 if every cell has a valid result, otherwise with 1."""
    suspect = len({row["cell"] for row in rows if row["fidelity"] != "valid"})
    if as_json:
        summary: dict[str, Any] = {
            "cells": len(plan.cells),
            "finished": len({row["cell"] for row in rows}),
            "suspect": suspect,
            "failures": {
                cell.point.label: progress.failures[cell.name] for cell in plan.cells if cell.name in progress.failures
            },
            "folder": str(store.folder),
            "files": files,
        }
        common.print_json(summary)
    else:
        headings, means = mean_table(rows, _settings(plan), plan.experiment)
        console = common.out()
        console.print(common.table(headings, means))
        console.print(METHOD, style="dim")
        click.echo(f"{len(plan.cells)} cells, {len(progress.failures)} without a result, {suspect} suspect")
        click.echo(f"table: {store.folder}/{TABLE}\nreport: {store.folder}/{REPORT}")
    complete = not suspect and not progress.failures
    raise click.exceptions.Exit(common.SHOWN if complete else common.FAILED)
