"""Command `lab7 run`: run experiments, print their results, and write the report."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.markup import escape

from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.tables import Table
from lab7.experiments.harness.cli.virtual_runs import Callbacks, run_in_parallel
from lab7.experiments.harness.discovery import UnknownNameError, experiment_names, find_experiments
from lab7.experiments.harness.experiment import Experiment, ParameterError
from lab7.experiments.harness.faults import FaultError, parse_faults
from lab7.experiments.harness.fidelity.disturbance import TERMS
from lab7.experiments.harness.implementations.registry import Implementation, ReplacementError, parse_replacement
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.reruns import RERUNS, should_rerun, summary
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.harness.results.terms import IN_OTHERS, only_theory, term_meaning, terms_of
from lab7.topologies.emulation.errors import EmulationError, ProgramError, UserFileError
from lab7.topologies.emulation.user_module import explain

REPEAT_MAX = 1000
JOBS_MAX = 64
AGAIN_MAX = 20
# Module of grids and tables over runs; imported by name, because it is above this layer.
GRIDS = "lab7.experiments.sweep.run_table"
# Maximum number of runs of one experiment; `lab7 sweep` is for more, since it continues after a stop.
RUNS_MAX = 100


@click.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common.set_option
@click.option(
    "--repeat",
    type=click.IntRange(1, REPEAT_MAX),
    help="number of times that each duration is measured (default: the experiment's own number)",
)
@common.seed_option
@click.option(
    "--full",
    is_flag=True,
    help=("use the parameters of a long run, which takes minutes instead of seconds (default: short run)"),
)
@click.option(
    "--strict",
    is_flag=True,
    help="exit with status 1 if a run is suspect (a fidelity check of the network or the machine failed)",
)
@click.option(
    "--again",
    type=click.IntRange(0, AGAIN_MAX),
    default=RERUNS,
    show_default=True,
    envvar="LAB7_AGAIN",
    help="maximum number of reruns of an experiment whose result is suspect, undecided or outside a tolerance",
)
@click.option(
    "--replace",
    "replace",
    metavar="ROLE=WHAT",
    multiple=True,
    help="replace lab7's server or client by another program (origin=nginx) or a command line (repeatable)",
)
@click.option(
    "--fault",
    "fault",
    metavar="HOST=NAME",
    multiple=True,
    help="let lab7's own service on a host show a fault on purpose (origin=body-in-304; repeatable; docs/faults.md)",
)
@common.links_option
@common.sandbox_option
@common.run_time_option
@click.option(
    "--twice",
    is_flag=True,
    help="run each experiment twice in virtual time and compare all result files; exit with status 1 on a difference",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, JOBS_MAX),
    metavar="N",
    help="number of experiments to run in parallel in virtual time (default: one per processor)",
)
@common.results_option
@common.json_option
def run_command(
    names: tuple[str, ...],
    given: dict[str, str],
    repeat: int | None,
    seed: int,
    full: bool,
    strict: bool,
    again: int,
    replace: tuple[str, ...],
    fault: tuple[str, ...],
    links: str,
    sandboxed: bool,
    timed: str,
    twice: bool,
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> None:
    """Run experiments (all of them if none is named) and judge their claims.

    NAME is one of `lab7 list`, the start of such names (http: all experiments of http), or a Python file that defines
    EXPERIMENT. Several values of a parameter (--set rtt=20ms,60ms) give one run each, and a table over them. Exits with
    0 if every claim was shown, else with 1.
    """
    chosen = _choose(names, given)
    quiet = as_json or any(one.varied for one in chosen)
    finished = _Finished(results, as_json, quiet, [one.experiment for one in chosen])
    replacements, faults = _replacements([one.experiment for one in chosen], replace), _faults(fault)
    virtual = common.virtual_time(common.run_clock(timed, links, sandboxed), links, sandboxed, seed, full)
    if virtual is not None:
        wanted = [(one.experiment, _request(one, repeat, full, replace, fault)) for one in chosen]
        callbacks = Callbacks(finished.add, lambda sentence: click.echo(sentence, err=as_json))
        with _not_started(as_json), finished:
            done = run_in_parallel(virtual, wanted, results, jobs or os.cpu_count() or 1, callbacks, twice)
        _conclude(chosen, done.found, results, strict, as_json, done.different)
    if twice:
        raise click.UsageError("runs in real time are never identical: --twice needs virtual time (--time virtual)")
    if jobs is not None:
        raise click.UsageError(
            "in real time experiments run one after another, so that they do not disturb each other: leave --jobs "
            "out, or use --time virtual"
        )
    common.into_sandbox(sandboxed)
    # Import late, so that a usage error is reported without importing scapy.
    from lab7.experiments.harness.runner import run_experiment

    def run_once(one: Chosen, attempt: int) -> tuple[Path, Result]:
        with common.progress(one.experiment.name, announced=len(chosen) > 1) as step, _user_file_errors():
            done = run_experiment(
                one.experiment,
                one.given,
                results=results,
                seed=seed,
                repeat=repeat,
                links=links,
                sandboxed=sandboxed,
                replacements={role: program for role, program in replacements.items() if role in one.experiment.roles},
                faults=faults,
                full=full,
                step=step,
                attempt=attempt,
                command=_command_line(),
            )
        finished.add(done)
        return done

    with _not_started(as_json), finished:
        found = _run_again(chosen, run_once, again, as_json)
    _conclude(chosen, found, results, strict, as_json)


@dataclass(frozen=True)
class Chosen:
    """Experiment to run, with its parameters as text.

    `called`: the name as typed, which may be the path of a file. `varied`: the parameters for which several values were
    given; each run has one of the values.
    """

    called: str
    experiment: Experiment
    given: Mapping[str, str]
    varied: tuple[str, ...] = ()


class _Finished:
    """Context manager that collects the finished runs of one command, and prints each result at once.

    If the command fails or is stopped before its last run, the report over the finished runs is still written, and
    their reports and verdicts are listed.
    """

    def __init__(self, results: Path, as_json: bool, quiet: bool, chosen: Sequence[Experiment]) -> None:
        """Start without finished runs. If `quiet`, results are not printed (--json, or a table over several runs)."""
        self._results, self._as_json, self._quiet = results, as_json, quiet
        own = [claim for experiment in chosen for claim in experiment.own_claims]
        self._statements = {claim.id: claim.statement for claim in [*known_claims().values(), *own]}
        self._found: list[tuple[Path, Result]] = []

    def add(self, found: tuple[Path, Result]) -> None:
        """Add a finished run, and print its result unless `quiet`."""
        self._found.append(found)
        if not self._quiet:
            show(common.out(), found[1], self._statements)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or not self._results.is_dir():
            return
        # Only the error that ended the command is reported, not a failure to write the index as well.
        with suppress(EmulationError, OSError):
            report = common.write_results_index(self._results)
            if self._found and self._as_json:
                failure = {"kind": "stopped", "message": str(error) or type(error).__name__}
                common.print_json({"results": [result.to_json() for _, result in self._found], "error": failure})
            elif self._found:
                click.echo("finished before the end of the command:")
                _say_where(self._found, report)


def _run_again(
    chosen: Sequence[Chosen],
    run_once: Callable[[Chosen, int], tuple[Path, Result]],
    again: int,
    as_json: bool,
) -> list[tuple[Path, Result]]:
    """Run each experiment; repeat those without a conclusive result, at most `again` times.

    Returns (folder, result) of each experiment's last run.
    """
    attempts = [[run_once(one, 1)] for one in chosen]
    # Start reruns after all first runs, when other load of the machine may have ended.
    for number in range(1, again + 1):
        for one, runs in zip(chosen, attempts, strict=True):
            if len(runs) == number and should_rerun([result for _, result in runs]):
                name = one.experiment.name
                click.echo(f"{name} is run again ({number} of at most {again}): {_why(runs[-1][1])}", err=as_json)
                runs.append(run_once(one, number + 1))
    return [runs[-1] for runs in attempts]


def _request(
    one: Chosen, repeat: int | None, full: bool, replace: Sequence[str], fault: Sequence[str]
) -> dict[str, Any]:
    """Return the request for a run in virtual time as JSON data: the experiment's name, and its options as typed."""
    replaced = [text for text in replace if text.partition("=")[0] in one.experiment.roles]
    return {
        "name": one.called,
        "given": dict(one.given),
        "repeat": repeat,
        "full": full,
        "replace": replaced,
        "fault": list(fault),
        "command": _command_line(),
    }


def _command_line() -> str:
    """Return the command line as typed, to be recorded in the result."""
    return shlex.join(["lab7", *sys.argv[1:]])


def _conclude(
    chosen: Sequence[Chosen],
    found: list[tuple[Path, Result]],
    results: Path,
    strict: bool,
    as_json: bool,
    different: int = 0,
) -> NoReturn:
    """Write the report over all results, print its path, and exit: 0 if every claim was shown, otherwise 1.

    `different`: number of runs whose repetition had another result, which also gives the exit code 1. Several runs of
    one experiment with different parameter values are printed as a table.
    """
    report = common.write_results_index(results)
    tables = _tables(chosen, found)
    if as_json:
        folders = [str(folder) for folder, _ in found]
        data = {"results": [result.to_json() for _, result in found], "folders": folders}
        common.print_json({**data, "tables": {name: rows for name, (_, rows) in tables.items()}} if tables else data)
    else:
        for name, (shown, _) in tables.items():
            common.out().print(f"\n[bold]{name}[/]", shown, sep="\n")
        _say_where(found, report)
    code = _exit_code([result for _, result in found], strict)
    for one, (_, result) in zip(chosen, found, strict=True):
        if one.experiment.claims and not result.claims:
            sentence = "judged no claim: the programs and parameters leave nothing to measure"
            click.echo(f"lab7: {result.experiment} {sentence}", err=True)
            code = common.FAILED
    raise click.exceptions.Exit(common.FAILED if different else code)


def _tables(
    chosen: Sequence[Chosen], found: Sequence[tuple[Path, Result]]
) -> dict[str, tuple[Table, list[dict[str, Any]]]]:
    """Return name -> (table for the terminal, rows for JSON), for each experiment run with several parameter values."""
    runs: dict[str, list[tuple[Chosen, Path, Result]]] = {}
    for one, (folder, result) in zip(chosen, found, strict=True):
        if one.varied:
            runs.setdefault(one.experiment.name, []).append((one, folder, result))
    tables = {}
    for name, some in runs.items():
        experiment, varied = some[0][0].experiment, some[0][0].varied
        rows = _grids().run_rows(experiment, [(str(folder), one.given, result) for one, folder, result in some])
        headings, texts = _grids().mean_table(rows, varied, experiment)
        tables[name] = common.table(headings, texts), rows
    return tables


def _grids() -> Any:
    return importlib.import_module(GRIDS)


@contextmanager
def _not_started(as_json: bool) -> Iterator[None]:
    """Exit with code 4 if a user's program fails to start in the `with` block; with --json, print the error as JSON."""
    try:
        yield
    except ProgramError as error:
        # Cite the file with the program's output, which stays in the result folder although there is no result.
        kept = str(error.output) if error.output.name.startswith("program-") else None
        where = f"; its output: {kept}" if kept else ""
        click.echo(f"lab7: {error}{where}", err=True)
        if as_json:
            failure = {"program": error.command, "message": str(error), "exit_status": error.status, "output": kept}
            common.print_json({"results": [], "error": {"kind": "program-not-started", **failure}})
        raise click.exceptions.Exit(common.NOT_STARTED) from error


@contextmanager
def _user_file_errors() -> Iterator[None]:
    """Convert an exception raised by a user's experiment file to UserFileError, a sentence with the line number."""
    try:
        yield
    except (click.ClickException, EmulationError):
        raise
    except Exception as error:
        if where := explain(error):
            raise UserFileError(where) from error
        raise


def _choose(names: tuple[str, ...], given: dict[str, str]) -> list[Chosen]:
    """Return the experiments to run with their parameters, from names and options of the command line.

    An experiment appears several times if a parameter has several values. Raises click.UsageError for an unknown name
    or parameter.
    """
    try:
        called = experiment_names(names)
        experiments = find_experiments(called)
        unknown = [name for name in given if all(name not in experiment.parameters for experiment in experiments)]
        chosen = []
        for name, experiment in zip(called or [one.name for one in experiments], experiments, strict=True):
            # Pass a parameter only to experiments that have this parameter; report a parameter that no experiment has.
            runs = _settings(experiment, _of(experiment, given))
            varied = tuple(each for each in runs[0] if len({settings[each] for settings in runs}) > 1)
            for settings in runs:
                experiment.read_parameters({**settings, **{name: given[name] for name in unknown}})
                chosen.append(Chosen(name, experiment, settings, varied))
    except (UnknownNameError, ParameterError) as error:
        raise click.UsageError(str(error)) from error
    return chosen


def _settings(experiment: Experiment, given: dict[str, str]) -> list[dict[str, str]]:
    """Return the parameters of each run of an experiment; several runs if a parameter has several values (rtt=1ms,2ms).

    Raises ParameterError for too many runs.
    """
    if not any("," in text for text in given.values()):
        return [given]
    settings: list[dict[str, str]] = _grids().settings_of(experiment, given)
    if len(settings) > RUNS_MAX:
        raise ParameterError(f"{len(settings)} runs are too many for `lab7 run`: write a sweep (`lab7 sweep --help`)")
    return settings


def _replacements(chosen: Sequence[Experiment], texts: tuple[str, ...]) -> dict[str, Implementation]:
    """Return role -> program from the values of --replace.

    Raises click.UsageError for an invalid value, and MachineError if the program is not installed.
    """
    roles = tuple(dict.fromkeys(role for experiment in chosen for role in experiment.roles))
    found: dict[str, Implementation] = {}
    for text in texts:
        try:
            role, implementation = parse_replacement(text, roles)
        except ReplacementError as error:
            raise click.UsageError(str(error)) from error
        if implementation is not None:
            implementation.require()
            found[role] = implementation
    return found


def _faults(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    try:
        return parse_faults(texts)
    except FaultError as error:
        raise click.UsageError(str(error)) from error


def _of(experiment: Experiment, given: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in given.items() if name in experiment.parameters}


def _say_where(found: Sequence[tuple[Path, Result]], report: Path) -> None:
    for folder, result in found:
        click.echo(f"{result.experiment}: {folder}/{result.files.report}")
    click.echo(f"report: {report}")
    for line in summary(found, shlex.join(common.given_options())):
        click.echo(line)


def _why(result: Result) -> str:
    """Return the reasons for a rerun as text: claims not shown, times outside their tolerance, failed checks."""
    reasons = [f"{claim.id} {claim.verdict}" for claim in result.claims if claim.verdict != "shown"]
    reasons += [
        f"{comparison.name} at {comparison.ratio:.3f} of theory"
        for comparison in result.comparisons
        if not comparison.within
    ]
    reasons += [f"{check.name} {check.measured}" for check in result.fidelity.checks if check.verdict != "valid"]
    return "; ".join(reasons)


def _exit_code(results: Sequence[Result], strict: bool) -> int:
    shown = all(claim.verdict == "shown" for result in results for claim in result.claims)
    valid = all(result.fidelity.verdict == "valid" for result in results)
    return common.SHOWN if shown and (valid or not strict) else common.FAILED


def show(console: Console, result: Result, statements: Mapping[str, str]) -> None:
    """Print one result: claims with verdicts, measured beside predicted times, fidelity checks.

    `statements`: claim id -> its statement.
    """
    console.print(f"\n[bold]{result.experiment}[/]  {escape(result.question)}")
    console.print(", ".join(f"{role}: {escape(name)}" for role, name in result.implementations.items()), style="dim")
    for host, names in result.faults.items():
        console.print(f"[bold red]faults on purpose at {host}: {', '.join(names)}[/]")
    rows = [[claim.id, common.verdict(claim.verdict), _explained(claim, statements)] for claim in result.claims]
    console.print(common.table(["claim", "verdict", "statement, and evidence"], rows))
    if result.violations:
        console.print("\n[bold]message violations[/] (the first of each rule)")
    for one in result.violations:
        console.print(f"  [bold]{one.rule}[/] {escape(one.capture)}: {escape(one.sentence)}", soft_wrap=True)
        console.print(f"    {bytes.fromhex(one.octets).hex(' ')}\n    {escape(one.text)}", soft_wrap=True)
    for file, line in result.files.programs.items():
        console.print(f"\noutput of the program in {file}, which ends in: {escape(line)}", soft_wrap=True)
    if result.comparisons:
        left = ["left ms"] if _are_corrected(result.comparisons) else []
        columns = ["", "formula", "theory ms", "measured ms", *left, "ratio", *_terms(result.comparisons)]
        console.print()
        console.print(
            common.table(
                columns, [_row(comparison, result.comparisons) for comparison in result.comparisons], columns[2:]
            )
        )
        console.print("measured: median of the samples; terms in ms, measured/theory", style="dim")
        for term in _terms(result.comparisons):
            if words := term_meaning(term):
                console.print(f"{escape(term)}: {escape(words)}", style="dim")
        if any(only_theory(one, term) for one in result.comparisons for term in terms_of(one)):
            console.print(IN_OTHERS, style="dim")
        if all(comparison.adds_up for comparison in result.comparisons):
            console.print("the terms of each median sample add up to it, to the nanosecond", style="dim")
        if left:
            console.print(f"left: measured time without {', '.join(TERMS)}; ratio: left/theory", style="dim")
        for comparison in result.comparisons:
            if comparison.disturbed:
                numbers = ", ".join(str(number) for number in comparison.disturbed)
                console.print(
                    f"{comparison.name}: disturbed samples {numbers} of {len(comparison.samples_s)}", style="dim"
                )
    console.print(f"\n{escape(result.clock.sentence(result.seed))}", style="dim")
    console.print(f"fidelity {common.verdict(result.fidelity.verdict)}")
    checks = [
        [check.name, check.asked, check.measured, common.verdict(check.verdict)] for check in result.fidelity.checks
    ]
    console.print(common.table(["check", "asked", "measured", ""], checks))


def _explained(claim: Verdict, statements: Mapping[str, str]) -> str:
    """Return the statement of a claim and, on the next lines, its evidence, with rich's markup."""
    statement = statements.get(claim.id, "")
    return f"{escape(statement)}\n[dim]{escape(claim.evidence)}[/]" if statement else escape(claim.evidence)


def _terms(comparisons: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(term for comparison in comparisons for term in terms_of(comparison)))


def _row(comparison: Comparison, every: Sequence[Comparison]) -> list[str]:
    style = "green" if comparison.within else "bold red"
    ratio = f"[{style}]{comparison.ratio:.4f}[/]"
    terms = [_term(comparison, term) for term in _terms(every)]
    times_s = [comparison.theory_s, comparison.raw_s, *([comparison.measured_s] if _are_corrected(every) else [])]
    figures = [f"{value_s * 1e3:.2f}" for value_s in times_s]
    return [comparison.name, comparison.formula, *figures, ratio, *terms]


def _term(comparison: Comparison, term: str) -> str:
    measured_s, theory_s = comparison.terms.get(term, 0.0), comparison.theory_terms.get(term, 0.0)
    measured = "\N{EN DASH}" if theory_s and only_theory(comparison, term) else f"{measured_s * 1e3:z.2f}"
    return f"{measured}/{theory_s * 1e3:z.2f}"


def _are_corrected(comparisons: Sequence[Comparison]) -> bool:
    """Return True if delay by other load was subtracted from a measured time before comparison with its prediction."""
    return any(comparison.raw_s != comparison.measured_s for comparison in comparisons)
