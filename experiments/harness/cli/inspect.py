"""Commands `lab7 list` and `lab7 claims`: list of experiments and topologies; claims with their latest verdicts.

A claim is a statement of the course about a protocol, which the packets of an experiment confirm or contradict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from lab7.experiments.harness.catalogue.suggestion import by_prefix, did_you_mean
from lab7.experiments.harness.cli import common

if TYPE_CHECKING:
    from rich.padding import Padding

    from lab7.experiments.harness.catalogue.listing import Listing
    from lab7.experiments.harness.claims import Claim
    from lab7.experiments.harness.results.latest import Latest

# Variant of runs with lab7's own services (lab7.experiments.harness.results.latest.OWN).
OWN = ""


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common.json_option
def list_command(names: tuple[str, ...], as_json: bool) -> None:
    """List all experiments with their parameters, and all topologies; or those whose names start with NAME."""
    from lab7.experiments.harness.catalogue.listing import listing
    from lab7.experiments.harness.results.listing import listing_of

    listed = _listing_of_names(listing(), names)
    experiments, topologies = listed.experiments, listed.topologies
    if as_json:
        common.print_json(listing_of(listed).to_json())
        return
    console = common.out()
    for experiment in experiments.values():
        claims = f"(claims {', '.join(experiment.claims)})" if experiment.claims else "(no claim)"
        console.print(f"[bold]{experiment.name}[/]  {escape(experiment.question)}  {claims}")
        for parameter in experiment.parameters:
            console.print(_indented(f"--set {parameter.name}={parameter.default}  {parameter.meaning}"))
    if topologies:
        before = "\n" if experiments else ""
        console.print(f"{before}[bold]topologies[/]  (lab7 up NAME, lab7 shell NAME)")
    for topology in topologies.values():
        console.print(_indented(f"{topology.name}  {next(iter(topology.text.strip().splitlines()), '')}"))
        if names:
            for name, value in _defaults(topology.name).items():
                # On one line at any width, so that it can be copied.
                console.print(escape(f"        --set {name}={value}"), soft_wrap=True)
            console.print(_indented(f"hosts: {', '.join(topology.hosts)}", 8))


def _indented(text: str, columns: int = 4) -> Padding:
    """Return a text as a renderable that indents every line, wrapped lines included; markup in the text is escaped."""
    from rich.padding import Padding

    return Padding(escape(text), (0, 0, 0, columns), expand=False)


def _defaults(topology: str) -> dict[str, str]:
    """Return parameter name -> default value as text, for the topology with this name."""
    from lab7.experiments.harness.catalogue.topologies import find_topology
    from lab7.experiments.harness.catalogue.topology_parameters import parameters_of

    found = parameters_of(find_topology(topology).make)
    return {name: "" if one.default in (one.empty, None) else str(one.default) for name, one in found.items()}


def _listing_of_names(whole: Listing, names: Sequence[str]) -> Listing:
    """Return the experiments, topologies and matrices with the given names or prefixes. Raises click.UsageError.

    Without names, all of them are returned.
    """
    if not names:
        return whole
    known = [*whole.experiments, *whole.topologies, *whole.matrices]
    found: set[str] = set()
    for name in names:
        matching = by_prefix(name, known)
        if not matching:
            raise click.UsageError(f"nothing is called {name!r}{did_you_mean(name, known)}: `lab7 list` lists all")
        found |= set(matching)
    return replace(
        whole,
        experiments={name: one for name, one in whole.experiments.items() if name in found},
        topologies={name: one for name, one in whole.topologies.items() if name in found},
        matrices={name: one for name, one in whole.matrices.items() if name in found},
    )


@click.command("claims")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@common.results_option
@common.json_option
def claims_command(ids: tuple[str, ...], results: Path, as_json: bool) -> None:
    """List the claims of the course and of the experiments with their latest verdicts.

    With ID, only these claims, and their evidence. ID is a claim (H5), or the start of ids (H: all of HTTP). Verdicts
    (shown, failed or undecided) are those of runs with lab7's own services; verdicts of runs with other programs
    (`lab7 run --replace`) or with faults are listed separately.
    """
    from lab7.experiments.harness.catalogue.known_claims import known_claims
    from lab7.experiments.harness.results.latest import find_latest_by_variant

    common.existing_results(results)
    claims, latest = _claims_of(ids, known_claims()), find_latest_by_variant(results)
    if as_json:
        common.print_json([_claim_as_json(claim, latest) for claim in claims])
    elif ids:
        _show_claims(claims, latest)
    else:
        own, others = latest[OWN], {name: found for name, found in latest.items() if name != OWN}
        rows = [[one.id, _word(own.get(one.id)), escape(one.statement), escape(one.check)] for one in claims]
        console = common.out()
        console.print(common.table(["claim", "last run", "statement", "decided by"], rows))
        if others:
            rows = [[escape(name), *_count_words(found)] for name, found in others.items()]
            console.print()
            console.print(common.table(["by other programs", "shown", "failed", "undecided", "not shown"], rows))


def _claims_of(ids: Sequence[str], claims: Mapping[str, Claim]) -> list[Claim]:
    """Return the claims with these ids or prefixes of ids. Raises click.UsageError."""
    known = {name.lower(): claim for name, claim in claims.items()}
    found: dict[str, Claim] = {}
    for word in ids:
        # The word H1 means one claim, although H10 starts with H1; the word H means all claims of HTTP.
        names = by_prefix(word.lower(), known) if not word[-1:].isdigit() else [word.lower()] * (word.lower() in known)
        if not names:
            groups = ", ".join(dict.fromkeys(name.rstrip("0123456789") for name in claims))
            raise click.UsageError(
                f"unknown claim {word!r}{did_you_mean(word, claims)}: `lab7 claims` lists them; the groups are {groups}"
            )
        found |= {name: known[name] for name in names}
    return list(found.values()) if ids else list(claims.values())


def _word(last: Latest | None) -> str:
    return common.verdict(last.verdict.verdict) if last else "[dim]not run[/]"


def _count_words(found: Mapping[str, Latest]) -> list[str]:
    """Return four texts: the numbers of claims shown, failed and undecided, and the ids of all that are not shown."""
    words = [latest.verdict.verdict for latest in found.values()]
    others = [name for name, latest in found.items() if latest.verdict.verdict != "shown"]
    return [*(str(words.count(word)) for word in ("shown", "failed", "undecided")), ", ".join(others)]


def _claim_as_json(claim: Claim, latest: Mapping[str, Mapping[str, Latest]]) -> dict[str, Any]:
    own = latest[OWN].get(claim.id)
    return {
        "id": claim.id,
        "group": claim.group,
        "statement": claim.statement,
        "check": claim.check,
        "verdict": own.verdict.verdict if own else None,
        "result": str(own.folder) if own else None,
        "by_implementation": {
            name: {"verdict": found[claim.id].verdict.verdict, "result": str(found[claim.id].folder)}
            for name, found in latest.items()
            if name != OWN and claim.id in found
        },
    }


def _show_claims(claims: Sequence[Claim], latest: Mapping[str, Mapping[str, Latest]]) -> None:
    from rich.padding import Padding

    from lab7.experiments.harness.judge.verdict import evidence_of

    console = common.out()
    for claim in claims:
        console.print(f"[bold]{claim.id}[/]  {escape(claim.statement)}")
        console.print(_indented(f"decided by: {claim.check}"), style="dim")
        runs = [(name or "lab7", found[claim.id]) for name, found in latest.items() if claim.id in found]
        for name, last in runs:
            evidence = evidence_of(last.verdict, last.capture)
            told = f"{_word(last)} by {escape(name)} in {last.experiment}: {escape(evidence)}"
            console.print(Padding(told, (0, 0, 0, 4), expand=False))
            console.print(f"    {last.folder}/report.html", style="dim", soft_wrap=True)
        if not runs:
            console.print("    no run has judged it")
