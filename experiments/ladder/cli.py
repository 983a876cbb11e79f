"""Command `lab7 ladder`: ladder diagram of a capture file, made by any program, as text, SVG or Mermaid."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.cli.interface.captures import CapturePath
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.ladder.contents import contents
from lab7.experiments.ladder.ladder import Ladder, ladder_of
from lab7.experiments.ladder.named_capture import read_named_capture
from lab7.experiments.ladder.svg import Drawing, render_svg
from lab7.experiments.ladder.text import render_mermaid, render_text

# Suffix of the output file -> format.
FORMATS = {".svg": "svg", ".txt": "text", ".md": "mermaid", ".mmd": "mermaid"}
WIDTH_MIN = 60
# Protocols whose messages a ladder shows.
NAMES = "HTTP, DNS, SMTP, FTP, POP3 or IMAP"


@click.command("ladder")
@click.argument("capture", type=CapturePath())
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "svg", "mermaid")),
    help="form of the output (default: by the suffix of --output, else text)",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="write to this file")
@click.option("--tcp", is_flag=True, help="also show the segments of TCP that carry no message (SYN, FIN, ACK ...)")
@click.option("--scale", is_flag=True, help="SVG: time to scale; by default long waits are shortened")
@click.option("--protocol", multiple=True, help="messages of this protocol only, such as dns or http (repeatable)")
@click.option("--first", type=click.IntRange(1), help="the first N messages only")
@click.option("--width", type=click.IntRange(WIDTH_MIN), help="text: characters a line (default: the terminal's)")
def ladder_command(
    capture: Path,
    form: str | None,
    output: Path | None,
    tcp: bool,
    scale: bool,
    protocol: tuple[str, ...],
    first: int | None,
    width: int | None,
) -> None:
    """Draw the messages in a capture file (pcap or pcapng) as a ladder diagram.

    Hosts are columns and time runs downwards. In lab7's captures, which have every packet at both ends, an arrow
    slopes from the departure of a message to its arrival. CAPTURE may also be a run (its folder, or EXPERIMENT/latest).
    A file that is damaged or ends early is drawn up to the damage.
    Needs no rights.
    """
    form = form or _form_of(output)
    try:
        captured = read_named_capture(capture, to_damage=True)
    except CaptureReadError as error:
        raise click.UsageError(str(error)) from error
    common.tell_damage(captured.damage, len(captured.frames))
    ladder = ladder_of(captured, with_tcp=tcp)
    known = dict.fromkeys(arrow.protocol for arrow in ladder.arrows)
    ladder = _selected(ladder, protocol, first)
    if not known:
        raise click.UsageError(_nothing_in(captured, capture))
    if not ladder.arrows:
        raise click.UsageError(f"{capture} has no message of {', '.join(protocol)}, only of {', '.join(known)}")
    if form == "svg":
        text = render_svg(ladder, Drawing("scale" if scale else "fitted", title=capture.name, standalone=True))
    elif form == "mermaid":
        text = render_mermaid(ladder)
    else:
        text = render_text(ladder, width or max(shutil.get_terminal_size().columns, WIDTH_MIN))
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            write_atomically(output, text)
        except OSError as error:
            raise click.UsageError(f"{output} cannot be written ({error.strerror or error})") from error
        messages, hosts = _counted(len(ladder.arrows), "message"), _counted(len(ladder.columns), "host")
        click.echo(f"{output}: {messages} between {hosts}")


def _nothing_in(captured: CaptureFile, capture: Path) -> str:
    """Return a sentence about a capture without messages: the option to show TCP segments, or its kinds of packets."""
    if any(frame.tcp is not None for frame in captured.frames):
        return f"{capture} has no message: `lab7 ladder --tcp {capture}` shows the segments of TCP"
    found = f"only {contents(captured.frames)}" if captured.frames else "since it has no packet"
    return f"{capture} has no {NAMES} message and no segment of TCP, {found}"


def _form_of(output: Path | None) -> str:
    """Return the output format (text, svg or mermaid) for a file's suffix. Raises UsageError for another suffix."""
    if output is None:
        return "text"
    if output.suffix not in FORMATS:
        known = ", ".join(f"{suffix} ({form})" for suffix, form in FORMATS.items())
        raise click.UsageError(
            f"the suffix of {output} names no form of a ladder: use {known}, or choose the form by --format"
        )
    return FORMATS[output.suffix]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _selected(ladder: Ladder, protocols: tuple[str, ...], first: int | None) -> Ladder:
    arrows = [arrow for arrow in ladder.arrows if not protocols or arrow.protocol in protocols]
    return ladder.with_arrows(arrows[:first])
