"""Helpers shared by all lab7 commands: exit codes, options, tables, progress bars, choice of real or virtual time.

In virtual time a command runs in a user-mode Linux kernel, whose clock stands still while programs compute.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

from lab7.experiments.harness import clock
from lab7.experiments.harness.cli import CANNOT, FAILED, NOT_STARTED, SHOWN, USAGE
from lab7.topologies.emulation import sandbox, watch
from lab7.topologies.emulation.addressing import ARP
from lab7.topologies.emulation.shape import BACKENDS, SWITCHES
from lab7.topologies.emulation.virtual import kernel

if TYPE_CHECKING:
    from rich.console import Console

    from lab7.experiments.harness.cli.tables import Table
    from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime

__all__ = ["CANNOT", "FAILED", "NOT_STARTED", "SHOWN", "USAGE"]
VERDICT_STYLES = {
    "shown": "green",
    "failed": "bold red",
    "undecided": "yellow",
    "valid": "green",
    "suspect": "bold red",
}
PIPED_WIDTH = 200
_TRAILING_BLANKS = re.compile(r"[ \t]+(?=\n)")

Step = Callable[[str, float], None]


class InputError(click.ClickException):
    """Error for a valid command line that names an unusable file or object: one sentence, exit code 2."""

    exit_code = USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error's sentence without the usage line of the command."""
        click.echo(f"lab7: {self.format_message()}", file=file, err=file is None)


def out() -> Console:
    """Return the rich console for results: coloured on a terminal, plain in a pipe.

    The width in a pipe is COLUMNS, or 200 columns.
    """
    from rich.console import Console

    # On a terminal, rich takes the width from COLUMNS or the terminal.
    given = os.environ.get("COLUMNS", "")
    if sys.stdout.isatty():
        return Console(highlight=False, soft_wrap=False)
    width = int(given) if given.isdigit() and int(given) else PIPED_WIDTH
    console = Console(file=cast(IO[str], _WithoutTrailingBlanks()), width=width, highlight=False, soft_wrap=False)
    console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]
    return console


def _raise_broken_pipe() -> None:
    """Raise BrokenPipeError for a closed output pipe: the command then exits with 0, where rich would exit with 1."""
    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _WithoutTrailingBlanks:
    """Wrapper of standard output that removes the trailing blanks of lines that rich has wrapped."""

    def write(self, text: str) -> int:
        sys.stdout.write(_TRAILING_BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()

    def isatty(self) -> bool:
        return False

    @property
    def encoding(self) -> str:
        return sys.stdout.encoding


def tell_damage(damage: str | None, packets: int) -> None:
    """Print on standard error that a capture was readable only in part; `damage` is the reason (None: no message)."""
    if damage is not None:
        click.echo(f"{damage}. Only the {packets:,} packets before that are read.", err=True)


def print_json(data: Any) -> None:
    """Print data as indented JSON to standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """Return a borderless rich table. Cells may contain rich's markup; the columns in `right` are right-aligned."""
    from lab7.experiments.harness.cli.tables import Table

    return Table(columns, rows, right)


def verdict(word: str) -> str:
    """Return a verdict word (shown, failed, undecided) with rich's markup for its colour."""
    return f"[{VERDICT_STYLES[word]}]{word}[/]"


class Bars:
    """Context manager for progress bars on standard error, if that is a terminal.

    If standard error is no terminal, such as a file, the start of each bar prints a line if `announced`; otherwise
    nothing is printed.
    """

    def __init__(self, *, announced: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.fields[name]}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self._shown = console.is_terminal
        self._announced = announced and not self._shown
        # Leave standard output and standard error unchanged, so that results do not pass through the progress bar.
        self._progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Bars:
        if self._shown:
            self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown:
            self._progress.stop()

    @contextmanager
    def bar(self, name: str) -> Iterator[Step]:
        """Show a progress bar during a `with` block; yield a function (text, share) that updates it. Thread-safe.

        The share is the completed part of the work, from 0 to 1.
        """
        if self._announced:
            click.echo(f"{name} starts", err=True)
        task = self._progress.add_task("starting", total=1.0, name=name)
        try:
            yield lambda what, share: self._progress.update(task, description=what, completed=share)
        finally:
            self._progress.remove_task(task)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Hide the progress bars during a `with` block that prints."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


@contextmanager
def progress(name: str, *, announced: bool = False) -> Iterator[Step]:
    """Show one progress bar (see Bars); yield a function (text, share from 0 to 1) that updates it."""
    with Bars(announced=announced) as bars, bars.bar(name) as step:
        yield step


def settings(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Parse repeated options --set NAME=VALUE into a dictionary. Raises click.BadParameter."""
    given: dict[str, str] = {}
    for text in values:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise click.BadParameter(f"{text!r} does not have the form NAME=VALUE, for example --set rtt=50ms")
        if given.get(name, value) != value:
            raise click.BadParameter(
                f"{name} is set to {given[name]} and to {value}: give it once (`lab7 run` makes a run with each for "
                f"--set {name}={given[name]},{value})"
            )
        given[name] = value
    return given


def existing_results(results: Path) -> None:
    """Raise click.BadParameter if --results was typed and names no folder; the default folder need not exist."""
    context = click.get_current_context()
    typed = context.get_parameter_source("results") is click.core.ParameterSource.COMMANDLINE
    if typed and not results.is_dir():
        raise click.BadParameter(f"there is no folder {results}", context, param_hint="'--results'")


def given_options() -> list[str]:
    """Return the options of the command line of the running command, as words; none outside of a command."""
    context = click.get_current_context(silent=True)
    words: list[str] = []
    for option in context.command.params if context is not None else ():
        if not isinstance(option, click.Option) or context is None or option.name is None:
            continue
        if context.get_parameter_source(option.name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value, flag = context.params[option.name], option.opts[-1]
        if isinstance(value, bool):
            words.append(flag if value or not option.secondary_opts else option.secondary_opts[-1])
        elif isinstance(value, dict):
            words += [word for name, text in value.items() for word in (flag, f"{name}={text}")]
        elif isinstance(value, tuple):
            words += [word for text in value for word in (flag, str(text))]
        else:
            words += [flag, str(value)]
    return words


set_option = click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    callback=settings,
    help="set a parameter of the experiment or topology (repeatable; default: the values in `lab7 list`)",
)
links_option = click.option(
    "--links",
    type=click.Choice(BACKENDS),
    default="auto",
    show_default=True,
    help="emulate link delay and rate in the kernel (netem) or in user space (wire); auto: netem if the kernel has it",
)
sandbox_option = click.option(
    "--sandbox/--no-sandbox",
    "sandboxed",
    default=True,
    help="run in new Linux namespaces; --no-sandbox (as root) uses the machine's own namespaces",
)
switch_option = click.option(
    "--switch",
    type=click.Choice(SWITCHES),
    default="lxbr",
    show_default=True,
    help=(
        "kind of switches: Linux bridges (lxbr) or Open vSwitches (ovs), as with `mn --switch`; both learn "
        "addresses by themselves"
    ),
)
stp_option = click.option(
    "--stp",
    is_flag=True,
    help="run the spanning tree protocol (IEEE 802.1D) on switches, as `mn --switch lxbr,stp=1` does; needed if "
    "switches form a loop; delays the start of the network by 8 s",
)
arp_option = click.option(
    "--arp",
    type=click.Choice(ARP),
    help="source of hosts' MAC addresses: permanent neighbour entries (static), or ARP and neighbour discovery with "
    "learning switches (dynamic); default: the topology's setting, else static",
)
ipv6_option = click.option(
    "--ipv6/--no-ipv6",
    default=None,
    help="give hosts IPv6 addresses in addition to IPv4; default: the topology's setting, else off",
)
TIMES = ("auto", "virtual", "real")


def _time_option(meaning: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(
        "--time",
        "timed",
        type=click.Choice(TIMES),
        default="auto",
        show_default=True,
        help=f"clock of the run: {meaning}",
        **more,
    )


def _only_real(timed: str) -> str:
    if timed == "virtual":
        raise click.BadParameter(
            "interactive use needs real time: virtual time stands still while a user types, and an hour of "
            "idle time passes at once; use `lab7 run`, `lab7 exec` or `lab7 script` for virtual time"
        )
    return timed


time_option = _time_option(
    "this machine's (real), or that of a kernel in which computation takes no time (virtual); auto: real",
    envvar="LAB7_TIME",
)
run_time_option = _time_option(
    "this machine's (real), or that of a kernel in which computation takes no time (virtual); auto: virtual "
    "if that kernel is built (lab7 doctor --fix) and no option contradicts it, else real",
    envvar="LAB7_TIME",
)
real_time_option = _time_option(
    "only real time is possible for interactive use (auto: real)",
    callback=lambda _context, _option, value: _only_real(value),
)
json_option = click.option("--json", "as_json", is_flag=True, help="print the output as JSON")
results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="folder into which runs write their results",
)


seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="seed of the random numbers of workload and links",
)


def network_words(options: Mapping[str, Any]) -> list[str]:
    """Return the given options --switch, --arp and --ipv6 as arguments for the same command in virtual time."""
    words = ["--links", "netem", "--switch", options["switch"]]
    words += ["--arp", options["arp"]] if options["arp"] else []
    return words + (["--ipv6" if options["ipv6"] else "--no-ipv6"] if options["ipv6"] is not None else [])


def into_sandbox(sandboxed: bool) -> None:
    """Execute the command again in new Linux namespaces if `sandboxed`; call this after validating all arguments."""
    if sandboxed:
        sandbox.enter(_mark_failed)
    watch.stop_by_signals()


def _mark_failed(folder: Path, reason: str) -> bool:
    # Import late: the process outside of the sandbox, which only waits, needs this only if the run was killed.
    from lab7.experiments.harness.results.incomplete import mark_failed

    return mark_failed(folder, reason)


def write_results_index(results: Path) -> Path:
    """Write the index over the runs and sweeps in a results folder; return its path."""
    from lab7.experiments.harness.catalogue.known_claims import known_claims
    from lab7.experiments.harness.report.page import write_index
    from lab7.experiments.harness.results.incomplete import writing

    with writing(results):
        return write_index(results, known_claims())


def run_clock(timed: str, links: str, sandboxed: bool) -> str:
    """Return the clock of a run: `auto` becomes `virtual` if a user-mode kernel is built and the options permit it.

    Any other value of `timed` is returned unchanged.
    """
    possible = links != "wire" and sandboxed and not kernel.unsupported() and kernel.find() is not None
    return "virtual" if timed == "auto" and possible else timed


def virtual_time(timed: str, links: str, sandboxed: bool, seed: int = 1, full: bool = False) -> VirtualTime | None:
    """Return the VirtualTime, which runs experiments in virtual time; None for a run in real time.

    Raises click.UsageError, MachineError.
    """
    # Return None inside the user-mode kernel, since the kernel's own clock is already virtual.
    if timed != "virtual" or clock.current().word == "virtual":
        return None
    if links == "wire":
        raise click.UsageError("virtual time shapes links by its kernel: leave --links wire out, or use --time real")
    if not sandboxed:
        raise click.UsageError("virtual time runs in a kernel of its own: leave --no-sandbox out, or use --time real")
    from lab7.experiments.harness.virtual_time.kernel_run import (
        QUIET_LIMIT_FULL_S,
        QUIET_LIMIT_S,
        VirtualTime,
        compile_packages,
        still_limit_s,
    )

    try:
        still_s = still_limit_s()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    built = kernel.require()
    watch.stop_by_signals()
    compile_packages()
    return VirtualTime(built, seed, QUIET_LIMIT_FULL_S if full else QUIET_LIMIT_S, still_s)
