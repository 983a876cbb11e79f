"""Export of a topology to a folder for another tool: Kathara, containerlab or Shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from lab7.experiments.harness.cli.networks import make_topology
from lab7.experiments.harness.discovery import UnknownNameError, find_topology
from lab7.topologies.interchange.bundle import Bundle
from lab7.topologies.interchange.containerlab import SUFFIXES, containerlab_lab
from lab7.topologies.interchange.kathara import kathara_lab
from lab7.topologies.interchange.lab import Lab, lab_of
from lab7.topologies.interchange.shadow import FILE, shadow_lab

# Tool -> (writer of the lab, command that starts it, from its folder).
TOOLS: Mapping[str, tuple[Callable[[Lab, str], Bundle], str]] = {
    "kathara": (kathara_lab, "kathara lstart"),
    "containerlab": (containerlab_lab, f"containerlab deploy -t {{name}}{SUFFIXES[0]}"),
    "shadow": (shadow_lab, f"shadow {FILE}"),
}


def export_lab(tool: str, topology: str, given: dict[str, str], output: Path | None) -> None:
    """Write a topology to a new folder in another tool's format; print the folder and the command that starts it.

    Raises click.UsageError, TopologyError, OSError.
    """
    try:
        entry = find_topology(topology)
    except UnknownNameError as error:
        raise click.UsageError(str(error)) from error
    lab = lab_of(make_topology(entry, given))
    writer, start = TOOLS[tool]
    folder = output or Path(f"{entry.name}-{tool}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"{folder} exists and is not an empty folder: name another one with --output")
    writer(lab, entry.name).write(folder)
    for note in lab.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{folder}\nstart: cd {folder} && {start.format(name=entry.name)}")
    if tool != "shadow":
        click.echo(f"image: docker build -t lab7 -f {folder}/Dockerfile . (in a checkout of lab7, once)")
