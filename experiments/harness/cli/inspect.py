"""Commands `lab7 list`, `lab7 claims` and `lab7 doctor`, which run no experiment."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from lab7.experiments.harness.cli import common


@click.command("list")
@common.json_option
def list_command(as_json: bool) -> None:
    """List all experiments with their parameters, and all topologies."""
    from lab7.experiments.harness.catalogue.listing import listing

    experiments, topologies = listing().experiments, listing().topologies
    if as_json:
        common.print_json(
            {
                "experiments": [
                    {
                        "name": experiment.name,
                        "question": experiment.question,
                        "claims": list(experiment.claims),
                        "parameters": {
                            parameter.name: {"default": parameter.default, "meaning": parameter.meaning}
                            for parameter in experiment.parameters
                        },
                    }
                    for experiment in experiments.values()
                ],
                "topologies": [{"name": topology.name, "text": topology.text} for topology in topologies.values()],
            }
        )
        return
    console = common.out()
    for experiment in experiments.values():
        console.print(f"[bold]{experiment.name}[/]  {experiment.question}  (claims {', '.join(experiment.claims)})")
        for parameter in experiment.parameters:
            console.print(f"    --set {parameter.name}={parameter.default}  {parameter.meaning}")
    console.print("\n[bold]topologies[/]  (lab7 up NAME, lab7 shell NAME)")
    for topology in topologies.values():
        console.print(f"    {topology.name}  {topology.text.strip().splitlines()[0]}")


@click.command("claims")
@common.results_option
@common.json_option
def claims_command(results: Path, as_json: bool) -> None:
    """List the claims of the course with their latest verdicts (shown, failed or undecided)."""
    from lab7.experiments.harness.claims import load_claims
    from lab7.experiments.harness.results.result import find_latest

    claims, latest = load_claims(), find_latest(results)
    if as_json:
        common.print_json(
            [
                {
                    "id": claim.id,
                    "group": claim.group,
                    "statement": claim.statement,
                    "check": claim.check,
                    "verdict": latest[claim.id].verdict.verdict if claim.id in latest else None,
                    "result": str(latest[claim.id].folder) if claim.id in latest else None,
                }
                for claim in claims.values()
            ]
        )
        return
    rows = []
    for claim in claims.values():
        last = latest.get(claim.id)
        word = common.verdict(last.verdict.verdict) if last else "[dim]not run[/]"
        rows.append([claim.id, word, escape(claim.statement), escape(claim.check)])
    common.out().print(common.table(["claim", "last run", "statement", "decided by"], rows))


@click.command("doctor")
@common.json_option
def doctor_command(as_json: bool) -> None:
    """Check the capabilities of this machine and print a remedy for each missing one.

    Exits with 3 if lab7 cannot run here.
    """
    from dataclasses import asdict

    from lab7.experiments.harness.doctor import Ability, ability, examine

    findings = examine()
    extent = ability(findings)
    able = extent is not Ability.NONE
    if as_json:
        common.print_json({"able": able, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = []
        for finding in findings:
            word = "[green]yes[/]" if finding.good else "[bold red]no[/]" if finding.needed else "[yellow]no[/]"
            rows.append([finding.name, word, escape(finding.meaning)])
        console = common.out()
        console.print(common.table(["", "", "means"], rows))
        missing = [finding for finding in findings if not finding.good and finding.remedy]
        console.print("\n[bold]remedies[/]" if missing else "")
        for finding in missing:
            # Each remedy on one line, whatever the width, so that it can be pasted.
            console.print(f"    {finding.name}: {escape(finding.remedy)}", soft_wrap=True)
        click.echo(extent.value)
    raise click.exceptions.Exit(common.SHOWN if able else common.CANNOT)
