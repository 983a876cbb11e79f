"""`lab7 judge`: check the messages in a capture file of any program against the rules of the RFCs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from experiments.analysis.inspection import CHECKS, Inspection, inspect
from experiments.harness.capture.reader import CaptureReadError
from experiments.harness.cli import common
from experiments.harness.judge.frames import read_capture

# Maximum number of violations in the printed table; --json prints all of them.
ROWS_MAX = 50
# In output, messages of line-based protocols (FTP, SMTP, POP3, IMAP) are called lines, all others messages.
PARTS = dict.fromkeys(("ftp", "smtp", "pop3", "imap"), "lines")


@click.command("judge")
@click.argument("capture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(tuple(CHECKS)),
    help="check the messages of this protocol only (repeatable; default: all protocols)",
)
@click.option(
    "--strict",
    is_flag=True,
    help=("exit with status 1 for violations of recommendations (SHOULD) as well, not only of requirements (MUST)"),
)
@common.json_option
def judge_command(capture: Path, protocols: tuple[str, ...], strict: bool, as_json: bool) -> None:
    """Check the messages in a capture file (pcap or pcapng) against the rules of the RFCs.

    Prints every violation with its frame, its octets, the RFC section and the correct form. Needs no rights.
    Exits with 1 if a message violates a requirement (MUST).
    """
    try:
        captured = read_capture(capture)
    except CaptureReadError as error:
        raise click.UsageError(str(error)) from error
    found = inspect(captured, protocols or tuple(CHECKS))
    if as_json:
        common.print_json(
            {
                "capture": str(capture),
                "frames": len(captured.frames),
                "messages": dict(found.messages),
                "violations": [one.as_json() for one in found.violations],
            }
        )
    else:
        _print(capture, len(captured.frames), found)
    raise click.exceptions.Exit(common.FAILED if found.errors or (strict and found.violations) else common.SHOWN)


def _print(capture: Path, frames: int, found: Inspection) -> None:
    checked = ", ".join(f"{count} {PARTS.get(name, 'messages')} of {name}" for name, count in found.messages.items())
    console = common.out()
    console.print(escape(f"{capture}: {frames} frames, {checked or 'no message of a known protocol'} checked"))
    for one in found.violations[:ROWS_MAX]:
        console.print(f"\n[bold]{one.rule.id}[/]  {escape(one.sentence)}", soft_wrap=True)
        console.print(f"    {one.hex}\n    {escape(one.text)}", soft_wrap=True)
    if len(found.violations) > ROWS_MAX:
        console.print(f"\n{len(found.violations) - ROWS_MAX} more violations: --json prints all of them")
    if found.messages and not found.violations:
        console.print("no violation")
