"""Command `lab7 assignment start`: starts a student's emulated network and captures the work in it for the hand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.markup import escape

from lab7.experiments.assignments.definition import NETWORK_KIND, AssignmentError
from lab7.experiments.assignments.handin.task import read_task
from lab7.experiments.assignments.network.session import keep_earlier, run_session
from lab7.experiments.assignments.predictions.command import WORK_NAME
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.mininet_shell import Shell, addresses_of
from lab7.topologies.emulation.testbed import Testbed


@click.command("start")
@click.argument(
    "handout", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), required=False
)
@click.option("--assignment", "name", help="folder of the assignment, if it does not come with lab7")
@common.links_option
def start_command(handout: Path, name: str | None, links: str) -> None:
    """Start the network of a hand-out, open a command line on it (HOST COMMAND, help, exit), and capture the work.

    HANDOUT is the folder of the hand-out, with task.json (default: this one). At the end HANDOUT/work has the capture
    and handin.zip; those of an earlier start are kept as work-1, work-2 and so on. Commands can be piped in.
    """
    try:
        task = read_task(handout, NETWORK_KIND, name)
    except AssignmentError as error:
        raise common.InputError(str(error)) from error
    folder = handout.resolve() / WORK_NAME
    common.into_sandbox(True)
    keep_earlier(folder)

    def work(bed: Testbed) -> None:
        _describe(bed, task.variant.assignment.interfaces)
        Shell(bed.net)

    made = run_session(task, folder, links, work, lambda sentence: click.echo(f"lab7: {sentence}", err=True))
    # The prompt stands on the last line if commands are piped in.
    click.echo(f"\ncaptured; hand in {made}")


def _describe(bed: Testbed, captured: tuple[str, ...]) -> None:
    rows = [
        [host.name, ", ".join(addresses_of(host, bed.ipv6)), ", ".join(host.params.get("names", []))]
        for host in bed.net.hosts
    ]
    common.out().print(common.table(["host", "address", "names"], rows))
    labels = ", ".join(label.partition(":")[0] for label in captured)
    common.out().print(escape(f"\nwhat {labels} send and receive is captured; `exit` ends the work"))
    sys.stdout.flush()
