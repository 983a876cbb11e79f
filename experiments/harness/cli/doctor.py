"""Command `lab7 doctor`: check of this machine for what lab7 requires; with --fix, installation of missing parts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from lab7.experiments.harness.cli import common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab7.experiments.harness.doctor.examination import Finding
    from lab7.experiments.harness.doctor.repair import Plan


@click.command("doctor")
@click.option("--fix", is_flag=True, help="say what is missing, ask, and then install it (with sudo where needed)")
@click.option("--yes", is_flag=True, help="with --fix: do it without asking")
@click.option("--peers", is_flag=True, help="with --fix: also the real servers and clients of --replace and matrix")
@click.option("--no-kernel", is_flag=True, help="with --fix: leave the kernel of virtual time out")
@common.json_option
def doctor_command(fix: bool, yes: bool, peers: bool, no_kernel: bool, as_json: bool) -> None:
    """Check the capabilities of this machine and print a remedy for each missing one.

    With --fix the packages of Debian or Ubuntu that lab7 uses are installed, /dev/net/tun is made accessible, and the
    kernel of virtual time is built. With --fix and --json the steps are listed, and nothing is changed.

    Exits with 3 if lab7 cannot run here, or if a step failed.
    """
    from lab7.experiments.harness.doctor.examination import examine
    from lab7.experiments.harness.doctor.repair import make_plan

    extra = [name for name, given in (("--yes", yes), ("--peers", peers), ("--no-kernel", no_kernel)) if given]
    if extra and not fix:
        raise click.UsageError(f"{extra[0]} belongs to --fix: `lab7 doctor --fix {' '.join(extra)}`")
    if as_json and yes:
        raise click.UsageError("--fix --json lists the steps and changes nothing: leave --yes or --json out")
    plan = make_plan(peers, not no_kernel) if fix else None
    if plan and not as_json:
        done = _repair(plan, yes)
        able = _show(examine())
        raise click.exceptions.Exit(common.SHOWN if able and done else common.CANNOT)
    findings = examine()
    if as_json:
        able = _able(findings)
        more = {} if plan is None else asdict(plan)
        common.print_json({"able": able, "findings": [asdict(finding) for finding in findings], **more})
    else:
        able = _show(findings)
    raise click.exceptions.Exit(common.SHOWN if able else common.CANNOT)


def _able(findings: Sequence[Finding]) -> bool:
    from lab7.experiments.harness.doctor.examination import Ability, ability

    return ability(findings) is not Ability.NONE


def _show(findings: Sequence[Finding]) -> bool:
    """Print the findings with their remedies; return True if lab7 can run on this machine."""
    from lab7.experiments.harness.doctor.examination import ability

    rows = []
    for finding in findings:
        word = "[green]yes[/]" if finding.good else "[bold red]no[/]" if finding.needed else "[yellow]no[/]"
        rows.append([finding.name, word, escape(finding.meaning)])
    console = common.out()
    console.print(common.table(["", "", "means"], rows))
    missing = [finding for finding in findings if not finding.good and finding.remedy]
    console.print("\n[bold]remedies[/]" if missing else "")
    for finding in missing:
        # Print each remedy on one line, whatever the terminal's width, so that it can be copied.
        console.print(f"    {finding.name}: {escape(finding.remedy)}", soft_wrap=True)
    click.echo(ability(findings).value)
    return _able(findings)


def _repair(plan: Plan, yes: bool) -> bool:
    """Print the repair plan, ask for confirmation unless `yes`, and run its steps; return False if a step failed.

    Raises click.UsageError.
    """
    from lab7.experiments.harness.doctor.repair import carry_out

    console = common.out()
    for number, step in enumerate(plan.steps, start=1):
        console.print(f"[bold]{number}. {escape(step.what)}[/]", soft_wrap=True)
        console.print(f"   {escape(step.command)}", soft_wrap=True)
        for why in step.why:
            console.print(f"     {escape(why)}", style="dim", soft_wrap=True)
    for sentence in plan.obstacles:
        click.echo(f"lab7: {sentence}", err=True)
    if not plan.steps:
        click.echo("There is nothing that lab7 can fix here.")
        return True
    if not yes:
        if not _can_ask():
            raise click.UsageError("there is no terminal to ask on: `lab7 doctor --fix --yes` does it without asking")
        if not click.confirm("Do this?"):
            click.echo("Nothing was changed.")
            return True
    failed = []
    for step in plan.steps:
        click.echo(f"lab7: {step.what}")
        if not carry_out(step):
            failed.append(step.what)
    for what in failed:
        click.echo(f"lab7: this step failed: {what}", err=True)
    return not failed


def _can_ask() -> bool:
    return sys.stdin.isatty()
