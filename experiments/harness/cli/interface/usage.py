"""Hints in usage errors: possible values of a missing argument, and the closest match to a misspelt option or word."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from lab7.experiments.harness.catalogue.listing import listing

# Commands that take --set, whose parameters are often given as options of their own.
SETTING = ("run", "up", "shell", "exec")


def _topologies(_context: click.Context) -> str:
    return f"Give one of {', '.join(listing().topologies)}, or a file (*.py, *.yaml, *.clab.yml, lab.conf)."


def _matrices(_context: click.Context) -> str:
    return f"Give one of {', '.join(listing().matrices)}."


def _hosts(context: click.Context) -> str:
    topology = listing().topologies.get(str(context.params.get("topology")))
    return f"Give one of {', '.join(topology.hosts)}." if topology else "Give a host of the network."


def _command(_context: click.Context) -> str:
    return "Give the command to run in the host, as in `lab7 exec web client -- curl http://www.example.com/`."


def _run(_context: click.Context) -> str:
    return "Give the folder of a result.json, or EXPERIMENT/latest for the newest run."


def _capture(_context: click.Context) -> str:
    return "Give a capture file (pcap or pcapng), or a run: its folder, or EXPERIMENT/latest."


def _network(_context: click.Context) -> str:
    return "`lab7 ps` lists the networks that are up."


# Argument -> hint; for one command only: (command, argument).
HINTS: dict[str | tuple[str, str], Callable[[click.Context], str]] = {
    "topology": _topologies,
    "host": _hosts,
    "run": _run,
    "first": _run,
    "second": _run,
    "capture": _capture,
    "name": _network,
    ("matrix", "name"): _matrices,
    ("exec", "command"): _command,
}


def explained(error: click.ClickException, arguments: Sequence[str] | None = None) -> click.ClickException:
    """Return a usage error, with a hint added for a missing argument or an unknown option.

    `arguments` is the command line (default: that of this process).
    """
    context = getattr(error, "ctx", None)
    if context is None:
        return error
    if isinstance(error, click.MissingParameter):
        return _missing(error, context)
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error, context, sys.argv[1:] if arguments is None else arguments)
    return error


def _missing(error: click.MissingParameter, context: click.Context) -> click.ClickException:
    name = error.param.name if error.param is not None else None
    command = context.command_path.partition(" ")[2]
    hint = HINTS.get((command, str(name))) or HINTS.get(str(name))
    if hint is None or error.message:
        return error
    return click.MissingParameter(hint(context), context, error.param, error.param_hint, error.param_type)


def _unknown_option(
    error: click.NoSuchOption, context: click.Context, arguments: Sequence[str]
) -> click.ClickException:
    known = {option for one in context.command.params for option in one.opts}
    # A long option with one hyphen is read as several short ones, of which the first is unknown.
    if not error.option_name.startswith("--"):
        for word in arguments:
            if word.startswith(error.option_name) and f"-{word}" in known:
                return click.UsageError(f"No such option {word!r}: write -{word}.", context)
    name = error.option_name.lstrip("-")
    if context.info_name in SETTING and name in _parameters():
        return click.UsageError(f"No such option {error.option_name!r}: write --set {name}=VALUE.", context)
    return error


def _parameters() -> set[str]:
    experiments = {parameter.name for one in listing().experiments.values() for parameter in one.parameters}
    return experiments | {name for one in listing().topologies.values() for name in one.parameters}
