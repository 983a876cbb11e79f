"""Command `lab7 judge`: check of the messages in a capture file, made by any program, against the rules of the RFCs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from lab7.experiments.analysis.capture_claims import LACKING, decide_claims
from lab7.experiments.analysis.inspection import CHECKS, Inspection, inspect
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.interface.captures import CapturePath
from lab7.experiments.harness.judge.frames import read_readable_capture
from lab7.experiments.harness.judge.verdict import Verdict

# Maximum number of violations in the printed table; --json prints all of them.
ROWS_MAX = 50
# In output, messages of line-based protocols (FTP, SMTP, POP3, IMAP) are called lines, all others messages.
PARTS = dict.fromkeys(("ftp", "smtp", "pop3", "imap"), "lines")


@click.command("judge")
@click.argument("capture", type=CapturePath())
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
@click.option("--claims", "with_claims", is_flag=True, help="decide the claims of the course that a capture can decide")
@common.json_option
def judge_command(capture: Path, protocols: tuple[str, ...], with_claims: bool, strict: bool, as_json: bool) -> None:
    """Check the messages in a capture file (pcap or pcapng) against the rules of the RFCs.

    Prints every violation with its frame, its octets, the RFC section and the correct form. CAPTURE may also be a run
    (its folder, or EXPERIMENT/latest). Needs no rights.
    --claims decides the claims of the course for which a capture suffices, and says what the others lack.
    A file that is damaged or ends early is checked up to there, with a sentence about it on standard error.
    Exits with 1 if a message violates a requirement (MUST), or a claim fails.
    """
    try:
        captured = read_readable_capture(capture)
    except CaptureReadError as error:
        raise click.UsageError(str(error)) from error
    common.tell_damage(captured.damage, len(captured.frames))
    found = inspect(captured, protocols or tuple(CHECKS))
    verdicts = list(decide_claims(captured)) if with_claims else []
    if as_json:
        common.print_json(
            {
                **(_claims_as_json(verdicts) if with_claims else {}),
                "capture": str(capture),
                "frames": len(captured.frames),
                "damage": captured.damage,
                "messages": dict(found.messages),
                "violations": [one.as_json() for one in found.violations],
            }
        )
    else:
        _print(capture, len(captured.frames), found)
        if with_claims:
            _print_claims(verdicts)
    wrong = found.errors or (strict and found.violations) or any(one.verdict == "failed" for one in verdicts)
    raise click.exceptions.Exit(common.FAILED if wrong else common.SHOWN)


def _claims_as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {"claims": [vars(one) for one in verdicts], "lacking": dict(LACKING)}


def _print_claims(verdicts: Sequence[Verdict]) -> None:
    claims = load_claims()
    rows = [
        [one.id, common.verdict(one.verdict), escape(claims[one.id].statement), escape(one.evidence)]
        for one in verdicts
    ]
    console = common.out()
    console.print(common.table(["claim", "verdict", "statement", "evidence"], rows))
    for why in dict.fromkeys(LACKING.values()):
        console.print(
            escape(f"not from a capture alone: {', '.join(one for one in LACKING if LACKING[one] == why)}: {why}")
        )


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
