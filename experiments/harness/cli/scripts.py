"""Command `lab7 script`: run a script written for Mininet on lab7's network instead of Mininet's."""

from __future__ import annotations

import sys
from typing import Any

import click

from experiments.harness.cli import common
from experiments.harness.cli.mininet_shell import Shell
from topologies.emulation import script


@click.command("script", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@common.links_option
@common.sandbox_option
@common.switch_option
@common.arp_option
@common.ipv6_option
@click.argument("file")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def script_command(file: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a script that calls Mininet() itself, as `sudo python3 FILE ARGUMENTS` does, on lab7's network.

    It needs no root, and leaves nothing behind. Hosts find each other by ARP, unless the script or --arp says
    otherwise.

    \b
    lab7 script mytopo.py
    """
    run(file, arguments, **options)


def run(file: str, arguments: tuple[str, ...] = (), *, sandboxed: bool, **options: Any) -> None:
    """Run a Mininet script in new namespaces, and exit with its exit code; `options` are passed to Testbed."""
    if not script.is_file(file):
        raise click.UsageError(f"there is no file {file!r}: give the path of a Python script")
    common.into_sandbox(sandboxed)
    script.run(file, arguments, Shell, sandboxed=sandboxed, **options)
    sys.stdout.flush()
