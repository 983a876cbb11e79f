"""What the commands share: exit codes, options, tables, the progress bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from topologies.emulation import sandbox
from topologies.emulation.testbed import BACKENDS

SHOWN, FAILED, USAGE, CANNOT = 0, 1, 2, 3
VERDICT_STYLES = {
    "shown": "green",
    "failed": "bold red",
    "undecided": "yellow",
    "valid": "green",
    "suspect": "bold red",
}
PIPED_WIDTH = 200

Step = Callable[[str, float], None]


def out() -> Console:
    """Where results go: in colour and fitted to a terminal; plain, and not folded at 80 columns, when piped."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def say_json(data: Any) -> None:
    """Print JSON for scripts."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A table without frames; cells may carry rich's markup."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def verdict(word: str) -> str:
    """A verdict in its colour."""
    return f"[{VERDICT_STYLES[word]}]{word}[/]"


@contextmanager
def progress(name: str) -> Iterator[Step]:
    """A progress bar on the terminal's standard error; silent when piped. Gives the function that moves it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _share: None
        return
    columns = (TextColumn("{task.fields[name]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, name=name)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def settings(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read repeated --set NAME=VALUE."""
    given = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, for example --set rtt=50ms")
        given[name] = value
    return given


set_option = click.option(
    "--set", "given", metavar="NAME=VALUE", multiple=True, callback=settings, help="A parameter; may be repeated."
)
links_option = click.option(
    "--links",
    type=click.Choice(BACKENDS),
    default="auto",
    show_default=True,
    help="Shape links by the kernel (netem) or in user space (wire); auto: netem where the kernel has it.",
)
sandbox_option = click.option(
    "--sandbox/--no-sandbox",
    "sandboxed",
    default=True,
    help="Without a sandbox (as root) interfaces can be seen from outside, as with plain Mininet.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The folder of all results.",
)


def into_sandbox(sandboxed: bool) -> None:
    """Go on inside a sandbox, unless none is wanted. Call it when everything a person typed has been checked."""
    if sandboxed:
        sandbox.enter()
