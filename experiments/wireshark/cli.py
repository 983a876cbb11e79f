"""Command `lab7 wireshark`: captures and a configuration for Wireshark in the result folder of an experiment run."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import click

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.results.run_folder import RunNotFoundError, capture_names, load_run
from lab7.experiments.wireshark.captures import FOLDER, write_captures
from lab7.experiments.wireshark.configuration import VARIABLE, write_configuration
from lab7.topologies.emulation import tools

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


@click.command("wireshark")
@click.argument("run")
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="file of TLS secrets (SSLKEYLOGFILE of a server or client), with which Wireshark decrypts TLS",
)
@click.option("--start/--no-start", default=True, help="start Wireshark if there is a display")
@common.results_option
def wireshark_command(run: str, keys: Path | None, start: bool, results: Path) -> None:
    """Prepare a run for Wireshark, print the command line, and start Wireshark if there is a display.

    The folder `wireshark` of the run gets each capture with a comment on each frame of a verdict and with host names,
    one such file per interface (in which TCP is as that host saw it, without false retransmissions), and a
    configuration with columns, colours and a filter button per claim.

    RUN is the folder of a result.json, or EXPERIMENT/latest. Needs no rights.
    """
    try:
        folder, result = load_run(run, results)
        names = capture_names(folder, result)
        if not names:
            raise click.UsageError(f"{folder} has no capture")
        secrets = b"" if keys is None else keys.read_bytes()
        files = [path for name in names for path in write_captures(folder, result, name, secrets)]
        configuration = write_configuration(folder / FOLDER / "configuration", result, known_claims())
    except (RunNotFoundError, CaptureReadError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    for path in files:
        click.echo(f"{VARIABLE}={shlex.quote(str(configuration))} wireshark {shlex.quote(str(path))}")
    program = tools.which("wireshark")
    if start and program and any(os.environ.get(name) for name in DISPLAYS):
        environment = {**os.environ, VARIABLE: str(configuration)}
        subprocess.Popen([program, str(files[0])], env=environment, start_new_session=True)
