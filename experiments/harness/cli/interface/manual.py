"""Command `lab7 man`: the manual page lab7(1), made from the help texts of all commands (man(7))."""

from __future__ import annotations

import inspect
import re
from importlib import metadata

import click

TITLE = '.TH LAB7 1 "" "lab7 {version}" "User Commands"'
# Paragraph of a docstring that click leaves unwrapped: commands, one a line.
VERBATIM = "\b"
FILES = (
    ("results/EXPERIMENT/TIME-ID/", "result folder of a run: result.json, timings.csv, report.html and captures"),
    ("results/report.html", "index over all runs"),
    ("lab7.toml", "defaults of options, in the current folder or one above it; also [tool.lab7] of pyproject.toml"),
)


def manual(group: click.Group) -> str:
    """Return a manual page, in man(7) macros, for a command group and all commands in it."""
    context = click.Context(group, info_name="lab7")
    commands = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    lines = [TITLE.format(version=metadata.version("lab7")), ".SH NAME", "lab7 \\- " + _text(_summary(group))]
    lines += [".SH SYNOPSIS", ".B lab7", ".I COMMAND", "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"]
    lines += [".SH DESCRIPTION", *_paragraphs(group), ".SH COMMANDS"]
    for name, command in commands:
        if command is not None:
            lines += _command(context, name, command, ".SS")
    lines += [".SH FILES"]
    for file, meaning in FILES:
        lines += [".TP", f".I {_text(file)}", _text(meaning)]
    lines += [".SH SEE ALSO", ".BR curl (1),", ".BR dig (1),", ".BR tshark (1),", ".BR wireshark (1)"]
    return "\n".join(lines) + "\n"


def _command(parent: click.Context, name: str, command: click.Command, macro: str) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f'{macro} "{_text(usage)}"', *_paragraphs(command)]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            lines += [".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1] or "")]
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None:
                lines += _command(context, each, inner, ".SS")
    return lines


def _summary(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ").rstrip(".")


def _paragraphs(command: click.Command) -> list[str]:
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        kept = paragraph.strip("\n ")
        if kept.startswith(VERBATIM):
            lines += [
                ".PP",
                ".nf",
                *(_text(line) for line in kept.removeprefix(VERBATIM).strip("\n").splitlines()),
                ".fi",
            ]
        elif kept:
            lines += [".PP", _text(kept.replace("\n", " "))]
    return lines


def _text(text: str) -> str:
    r"""Escape roff's special characters in a text, and a control character at its start."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


@click.command("man")
@click.pass_context
def man_command(context: click.Context) -> None:
    """Print the manual page of lab7 and all its commands, for man(1).

    \b
    lab7 man | man -l -
    lab7 man > ~/.local/share/man/man1/lab7.1
    """
    group = context.find_root().command
    assert isinstance(group, click.Group)
    click.echo(manual(group), nl=False)
