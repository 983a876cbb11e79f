"""Command `lab7 script`: run a script written for Mininet on lab7's network instead of Mininet's."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import click

from lab7.experiments.harness import clock
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.mininet_shell import Shell
from lab7.topologies.emulation import script
from lab7.topologies.emulation.errors import UserFileError
from lab7.topologies.emulation.process.interpreter import module_command


class _VirtualShell(Shell):
    """Mininet's command line in virtual time, where commands must come from a pipe or a file, not a terminal."""

    def __init__(self, mininet: Any, stdin: Any = sys.stdin, script: str | None = None, **options: Any) -> None:
        # Standard input of the host becomes a regular file in the kernel, unless it is a terminal (standard_input).
        if script is None and stdin is sys.stdin and not stat.S_ISREG(os.fstat(0).st_mode):
            raise UserFileError(
                "CLI() reads commands from the terminal, and virtual time stands still while a user types: give the "
                "commands by a pipe, such as `echo pingall | lab7 script --time virtual FILE`, or use --time real"
            )
        super().__init__(mininet, stdin=stdin, script=script, **options)


@click.command("script", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@common.links_option
@common.sandbox_option
@common.switch_option
@common.arp_option
@common.ipv6_option
@common.time_option
@common.seed_option
@click.argument("file")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def script_command(file: str, arguments: tuple[str, ...], timed: str, seed: int, **options: Any) -> None:
    """Run a script that calls Mininet() itself, as `sudo python3 FILE ARGUMENTS` does, on lab7's network.

    The command needs no root, and leaves nothing behind. Hosts find each other by ARP, unless the script or --arp says
    otherwise. In virtual time, the script gets the whole standard input at its start, and the files that it writes are
    kept only in the current folder and in the script's folder.

    \b
    lab7 script mytopo.py
    """
    virtual = common.virtual_time(timed, options["links"], options["sandboxed"], seed, full=True)
    if virtual is not None:
        _check(file)
        words = common.network_words(options)
        words = module_command("lab7.experiments.harness.cli", "script", *words, "--seed", str(seed), file, *arguments)
        raise click.exceptions.Exit(virtual.command(words, file, [Path(file).parent]))
    run(file, arguments, seed=seed, **options)


def run(file: str, arguments: tuple[str, ...] = (), *, sandboxed: bool, **options: Any) -> None:
    """Run a Mininet script in new namespaces, and exit with its exit code; `options` are passed to Testbed."""
    _check(file)
    common.into_sandbox(sandboxed)
    shell = _VirtualShell if clock.current().word == "virtual" else Shell
    script.run(file, arguments, shell, sandboxed=sandboxed, **options)
    sys.stdout.flush()


def _check(file: str) -> None:
    if not script.is_file(file):
        raise click.UsageError(f"there is no file {file!r}: give the path of a Python script")
