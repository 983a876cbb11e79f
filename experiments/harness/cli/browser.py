"""Command `lab7 open`: open a report, or the servers of a running network, in the browser."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import click

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.report.page import REPORT_NAME
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run

# Variables of a graphical session, or of a browser chosen by the user (webbrowser).
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def _index(word: str, results: Path) -> str | None:
    """Return the file URL of the report over all runs if `word` is empty; otherwise None.

    Raises click.UsageError if there is no report.
    """
    if word:
        return None
    if not (results / REPORT_NAME).is_file():
        raise click.UsageError(
            f"there is no report in {results}: `lab7 run` makes one, or name a folder with --results"
        )
    return (results / REPORT_NAME).resolve().as_uri()


def _report(word: str, results: Path) -> str:
    """Return the file URL of a run's report; `word` is a folder, EXPERIMENT/latest, or EXPERIMENT (its newest run)."""
    try:
        folder, result = load_run(word, results)
    except RunNotFoundError as error:
        raise click.UsageError(str(error)) from error
    return (folder / (result.files.report or REPORT_NAME)).resolve().as_uri()


@click.command("open")
@click.argument("what", default="", metavar="[RUN | NETWORK]")
@click.argument("host", required=False)
@click.option("--from", "from_host", metavar="HOST", help="give a SOCKS proxy, whose connections come from HOST")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="port of the proxy (default: a free one)")
@common.results_option
def open_command(what: str, host: str | None, from_host: str | None, port: int, results: Path) -> None:
    """Open the report of a run in the browser, or give the browser access to a network that is up.

    The address of the report is printed; without RUN, the report covers all runs. For a network NETWORK that is up,
    each web server (with HOST: each TCP server of HOST) gets a port on loopback until Ctrl-C. Connections to such a
    port start in the server's own host, so that no link carries them. With --from, the browser acts as a browser on
    HOST: names are resolved and connections are made in HOST, and their packets pass the links.

    \b
    lab7 open                        the report over all runs
    lab7 open http-versions          the newest run of an experiment
    lab7 open results/http-versions/20300102T030405Z-9f01ab
    lab7 open internet               web servers of a network that is up
    lab7 open internet --from alice --port 1080
    """
    if host is not None and from_host is not None:
        raise click.UsageError("give HOST for its servers, or --from HOST for a proxy there, not both")
    if what and (host is not None or from_host is not None or _is_up(what)):
        from lab7.experiments.harness.cli.running.browser import open_network

        open_network(what, host, from_host, port)
        return
    address = _index(what, results) or _report(what, results)
    click.echo(address)
    if any(os.environ.get(name) for name in DISPLAYS) and not webbrowser.open(address):
        raise click.ClickException("no browser could be started: open the address above yourself")


def _is_up(name: str) -> bool:
    """Return True if a network with this name is running."""
    from lab7.topologies.emulation.control import registry

    connection = registry.connect(name)
    if connection is not None:
        connection.close()
    return connection is not None
