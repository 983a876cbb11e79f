"""Command `lab7 draw`: draw a topology as SVG, Mermaid or DOT."""

from __future__ import annotations

from pathlib import Path

import click

from lab7.experiments.harness.catalogue.topologies import UnknownNameError, find_topology
from lab7.experiments.harness.catalogue.topology_parameters import TopologyParameterError, make_topology
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.topologies.description.diagram import FORMATS, draw

# Suffix of the output file -> format.
SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot"}


def _form_of(output: Path | None) -> str:
    """Return the diagram format (svg, mermaid, dot) for the suffix of an output file; svg if `output` is None.

    Raises click.UsageError for an unknown suffix.
    """
    if output is None:
        return "svg"
    if output.suffix not in SUFFIXES:
        known = ", ".join(f"{suffix} ({form})" for suffix, form in SUFFIXES.items())
        raise click.UsageError(
            f"the suffix of {output} names no format of a diagram: use {known}, or choose it by --format"
        )
    return SUFFIXES[output.suffix]


@click.command("draw")
@click.argument("topology")
@common.set_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="format of the diagram (default: by the suffix of --output, else svg)",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="file to write (default: standard output)"
)
def draw_command(topology: str, given: dict[str, str], form: str | None, output: Path | None) -> None:
    """Draw a topology: hosts with addresses, names and services, switches, and the shape of links.

    TOPOLOGY is a name (`lab7 list`), or a file in Python or YAML. The command starts no network, and needs no
    privileges.

    \b
    lab7 draw web -o web.svg
    lab7 draw internet --format dot | dot -Tpdf -o internet.pdf
    """
    form = form or _form_of(output)
    try:
        entry = find_topology(topology)
        drawn = draw(make_topology(entry.name, entry.make, given), form)
    except (UnknownNameError, TopologyParameterError) as error:
        raise click.UsageError(str(error)) from error
    if output is None:
        click.echo(drawn, nl=False)
    else:
        click.echo(write_atomically(output, drawn))
