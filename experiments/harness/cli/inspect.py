"""`lab7 list`, `claims`, `doctor`: commands that run no experiment."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from experiments.harness.cli import common
from experiments.harness.discovery import all_drawings, all_experiments


@click.command("list")
@common.json_option
def list_command(as_json: bool) -> None:
    """List the experiments with their parameters, and the topologies."""
    experiments, drawings = all_experiments(), all_drawings()
    if as_json:
        common.say_json(
            {
                "experiments": [
                    {
                        "name": one.name,
                        "question": one.question,
                        "claims": list(one.claims),
                        "parameters": {
                            name: {"default": parameter.default, "meaning": parameter.meaning}
                            for name, parameter in one.parameters.items()
                        },
                    }
                    for one in experiments.values()
                ],
                "topologies": [{"name": one.name, "text": one.text} for one in drawings.values()],
            }
        )
        return
    console = common.out()
    for one in experiments.values():
        console.print(f"[bold]{one.name}[/]  {one.question}  (claims {', '.join(one.claims)})")
        for name, parameter in one.parameters.items():
            console.print(f"    --set {name}={parameter.default}  {parameter.meaning}")
    console.print("\n[bold]topologies[/]  (lab7 up NAME, lab7 shell NAME)")
    for drawing in drawings.values():
        console.print(f"    {drawing.name}  {drawing.text.strip().splitlines()[0]}")


@click.command("claims")
@common.results_option
@common.json_option
def claims_command(results: Path, as_json: bool) -> None:
    """List the claims of the course with their latest verdicts."""
    from experiments.harness.claims import load_claims
    from experiments.harness.results.folder import find_latest

    claims, latest = load_claims(), find_latest(results)
    if as_json:
        common.say_json(
            [
                {
                    "id": one.id,
                    "group": one.group,
                    "statement": one.statement,
                    "check": one.check,
                    "verdict": latest[one.id].verdict.verdict if one.id in latest else None,
                    "result": str(latest[one.id].folder) if one.id in latest else None,
                }
                for one in claims.values()
            ]
        )
        return
    rows = []
    for one in claims.values():
        last = latest.get(one.id)
        word = common.verdict(last.verdict.verdict) if last else "[dim]not run[/]"
        rows.append([one.id, word, escape(one.statement), escape(one.check)])
    common.out().print(common.table(["claim", "last run", "statement", "decided by"], rows))


@click.command("doctor")
@common.json_option
def doctor_command(as_json: bool) -> None:
    """Check this machine's abilities and print a remedy for each missing one. Exits with 3 if lab7 cannot run here."""
    from dataclasses import asdict

    from experiments.harness.doctor import Ability, ability, examine

    findings = examine()
    found = ability(findings)
    able = found is not Ability.NONE
    if as_json:
        common.say_json({"able": able, "findings": [asdict(one) for one in findings]})
    else:
        rows = []
        for one in findings:
            word = "[green]yes[/]" if one.good else "[bold red]no[/]" if one.needed else "[yellow]no[/]"
            rows.append([one.name, word, escape(one.meaning), "" if one.good else escape(one.remedy)])
        common.out().print(common.table(["", "", "means", "to get it"], rows))
        click.echo(found.value)
    raise click.exceptions.Exit(common.SHOWN if able else common.CANNOT)
