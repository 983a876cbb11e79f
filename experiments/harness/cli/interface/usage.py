"""Hints in usage errors: possible values of a missing argument, and the closest match to a misspelt option or word."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from lab7.experiments.harness.catalogue.listing import listing
from lab7.experiments.harness.catalogue.suggestion import did_you_mean

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


def _assignments(_context: click.Context) -> str:
    return "`lab7 assignment list` lists the assignments."


# Commands whose argument NAME is a network that is up.
NETWORK_COMMANDS = (
    "capture",
    "events",
    "view",
    "link set",
    "link down",
    "link up",
    "service kill",
    "service restart",
)
# Argument -> hint; for one command only: (command, argument).
HINTS: dict[str | tuple[str, str], Callable[[click.Context], str]] = {
    "topology": _topologies,
    "host": _hosts,
    "run": _run,
    "first": _run,
    "second": _run,
    "capture": _capture,
    **{(command, "name"): _network for command in NETWORK_COMMANDS},
    ("matrix", "name"): _matrices,
    ("exec", "command"): _command,
    ("sweep", "file"): lambda _: "Give a TOML file (docs/sweeps.md), or use `lab7 run --set rtt=20ms,60ms`.",
    ("script", "file"): lambda _: "Give a Python script that calls Mininet().",
    ("assignment build", "name"): _assignments,
    ("capture", "host"): _hosts,
}


def explained(
    error: click.ClickException, program: click.Command, arguments: Sequence[str] | None = None
) -> click.ClickException:
    """Return a usage error, with a hint added for a missing argument or an unknown option.

    `program` is the command `lab7`, `arguments` the command line (default: that of this process).
    """
    context = getattr(error, "ctx", None)
    if context is None and isinstance(error, click.BadOptionUsage):
        context = _context_of(program, sys.argv[1:] if arguments is None else arguments)
    if context is None:
        return error
    if isinstance(error, click.MissingParameter):
        return _missing(error, context)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, context)
    if isinstance(error, click.BadOptionUsage):
        return _without_value(error, context)
    if isinstance(error, click.UsageError) and error.message.startswith("Got unexpected extra argument"):
        return _surplus(error, context)
    if isinstance(error, click.UsageError) and error.message.startswith("No such command '"):
        return _unknown_command(error, context)
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error, context, sys.argv[1:] if arguments is None else arguments)
    return error


def _missing(error: click.MissingParameter, context: click.Context) -> click.ClickException:
    name = error.param.name if error.param is not None else None
    command = context.command_path.partition(" ")[2]
    kind = error.param.type if error.param is not None else None
    if error.param is not None and isinstance(kind, click.Choice) and not error.message:
        given = f"{error.param_type or error.param.param_type_name} {error.param_hint or repr((name or '').upper())}"
        return click.UsageError(f"Missing {given}. Give {_values(kind)}.", context)
    hint = HINTS.get((command, str(name))) or HINTS.get(str(name))
    if hint is None or error.message:
        return error
    return click.MissingParameter(hint(context), context, error.param, error.param_hint, error.param_type)


def _bad_value(error: click.BadParameter, context: click.Context) -> click.ClickException:
    """Return the error for an invalid option value: the valid range or choices in words, and the closest choice."""
    assert error.param is not None
    kind, typed = error.param.type, error.message.partition("'")[2].partition("'")[0]
    message = None
    if isinstance(kind, click.IntRange | click.FloatRange) and " range" in error.message:
        typed = typed or error.message.partition(" ")[0]
        message = f"{typed!r} is not {_values(kind)}."
    elif isinstance(kind, click.Choice) and "is not one of" in error.message:
        message = f"{typed!r} is not {_values(kind)}{did_you_mean(typed, kind.choices)}."
    return click.BadParameter(message, context, error.param, error.param_hint) if message else error


def _values(kind: Any) -> str:
    """Return the values that an option's type permits, in words (`auto, netem or wire`); empty if it has no limits."""
    if isinstance(kind, click.Choice):
        return f"{', '.join(kind.choices[:-1])} or {kind.choices[-1]}" if len(kind.choices) > 1 else kind.choices[0]
    if isinstance(kind, click.IntRange | click.FloatRange):
        noun = "a whole number" if isinstance(kind, click.IntRange) else "a number"
        if kind.min is None or kind.max is None:
            return noun if kind.min is None else f"{noun} of at least {kind.min}"
        return f"{noun} from {kind.min} to {kind.max}"
    return ""


def _context_of(program: click.Command, arguments: Sequence[str]) -> click.Context:
    """Return the click context of the command in a command line, for errors of click's option parser without one."""
    context = click.Context(program, info_name="lab7")
    for word in arguments:
        inner = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        if inner is not None:
            context = click.Context(inner, info_name=word, parent=context)
    return context


def _without_value(error: click.BadOptionUsage, context: click.Context) -> click.ClickException:
    """Return the error for an option that lacks its value, with the values that the option accepts."""
    options = [one for one in context.command.params if isinstance(one, click.Option) and error.option_name in one.opts]
    if not options or "requires an argument" not in error.message:
        return error
    wanted = _values(options[0].type) or options[0].make_metavar(*_context_if_wanted(options[0], context))
    return click.UsageError(f"Option {error.option_name!r} needs a value: {wanted}.", context)


def _context_if_wanted(option: click.Option, context: click.Context) -> tuple[click.Context, ...]:
    # click 8.2 passes the context to make_metavar.
    return (context,) if len(inspect.signature(option.make_metavar).parameters) else ()


def _surplus(error: click.UsageError, context: click.Context) -> click.ClickException:
    """Return the error for surplus arguments, with the arguments that the command accepts."""
    usage = " ".join(piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    takes = f"takes only {usage}" if usage else "takes no argument"
    left = error.message.partition("(")[2].rpartition(")")[0]
    return click.UsageError(f"`{context.command_path}` {takes}: leave out {left}.", context)


def _unknown_command(error: click.UsageError, context: click.Context) -> click.ClickException:
    """Return the error for an unknown subcommand of a group such as `lab7 link`, with the valid subcommands."""
    word = error.message.split("'")[1]
    if not isinstance(context.command, click.Group) or context.parent is None:
        return error
    known = context.command.list_commands(context)
    near = did_you_mean(word, known)
    return click.UsageError(
        f"No such command {word!r}{near}: `{context.command_path}` has {', '.join(known)}.", context
    )


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
