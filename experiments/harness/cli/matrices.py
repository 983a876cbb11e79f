"""Command `lab7 matrix`: test matrices of all servers against all clients, and of all HTTP caches against RFC 9111."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.discovery import UnknownNameError, find_matrix
from lab7.experiments.harness.judge.verdict import in_frames
from lab7.experiments.harness.matrix import Cell, Matrix, axes, level_counts, load_cells, run_matrix

STYLES = {"pass": "green", "fail": "bold red", "unused": "dim", "unsupported": "dim", "not installed": "yellow"}


@click.command("matrix")
@click.argument("name")
@common.links_option
@common.sandbox_option
@common.time_option
@common.results_option
@common.json_option
def matrix_command(name: str, links: str, sandboxed: bool, timed: str, results: Path, as_json: bool) -> None:
    """Run every server against every client, and judge each pair from captured packets.

    NAME is http, dns, ftp or mail, or cache, which runs every cache against every check of RFC 9111. Exits with 1 if
    a cell fails without a known cause. Missing programs are listed with installation instructions.
    """
    try:
        matrix = find_matrix(name)
    except UnknownNameError as error:
        raise click.UsageError(str(error)) from error
    virtual = common.virtual_time(timed, links, sandboxed)
    if virtual is None:
        common.into_sandbox(sandboxed)
    with common.progress(f"matrix {name}") as step:
        if virtual is None:
            folder, cells = run_matrix(matrix, results, links, sandboxed, step)
        else:
            folder = virtual.run(results, f"matrix-{name}", {"kind": "matrix", "name": name}, step)
            cells = load_cells(folder)
    if as_json:
        common.print_json({"matrix": name, "folder": str(folder), "cells": [asdict(cell) for cell in cells]})
    else:
        _show(matrix, cells)
        click.echo(f"matrix: {folder}/matrix.html")
    failing = any(cell.verdict == "fail" and not cell.known_cause for cell in cells)
    raise click.exceptions.Exit(common.FAILED if failing else common.SHOWN)


def _show(matrix: Matrix, cells: list[Cell]) -> None:
    console = common.out()
    servers, columns = axes(cells)
    by_place = {(cell.server, cell.column): cell for cell in cells}
    rows = []
    for column in columns:
        words = [by_place[server, column].verdict for server in servers]
        rows.append([column, *(f"[{STYLES[word]}]{word}[/]" for word in words)])
    for level, counts in level_counts(cells).items():
        rows.append([f"{level}: passed", *(counts[server] for server in servers)])
    console.print(f"[bold]{matrix.question}[/]")
    console.print(common.table([matrix.rows, *servers], rows))
    for cell in _worth_telling(cells):
        if cell.verdict == "fail":
            where = f" [{cell.capture}, {in_frames(cell.frames)}]" if cell.frames else ""
            console.print(f"[bold red]fail[/] {cell.server}, {cell.column}: {escape(cell.evidence + where)}")
            if cell.known_cause:
                console.print(f"     known cause: {escape(cell.known_cause)}", style="dim")
    missing = {cell.evidence for cell in cells if cell.verdict == "not installed"}
    for how in sorted(missing):
        console.print(f"not installed: {how}")


def _worth_telling(cells: list[Cell]) -> list[Cell]:
    """Return the cells of a matrix whose evidence is to be printed: each evidence text of a server only once.

    A server that does not start makes all its cells fail with the same evidence.
    """
    return list({(cell.server, cell.evidence, cell.frames or None): cell for cell in reversed(cells)}.values())[::-1]
