"""Defaults of options from lab7.toml, or from [tool.lab7] of pyproject.toml, in the current folder or a parent folder.

    time = "virtual"            # an option of several commands: results, links, time, seed, switch, arp, ipv6
    [run]                       # options of one command, named as on the command line
    repeat = 3
    set = { rtt = "50ms" }

The command line and environment variables take precedence. An unknown key is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

from lab7.experiments.harness.catalogue.suggestion import did_you_mean

FILE, PROJECT = "lab7.toml", "pyproject.toml"
# Options that several commands have, which may stand outside of a command's table.
COMMON = ("results", "links", "time", "seed", "switch", "arp", "ipv6")


def find_defaults(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return (path, table of default options) of the nearest file with defaults; None if there is no such file.

    The file is searched for in `folder` and its parent folders. Raises click.UsageError for a file that cannot be
    parsed.
    """
    for place in (folder, *folder.parents):
        if (place / FILE).is_file():
            return place / FILE, _read(place / FILE)
        if (place / PROJECT).is_file():
            table = _read(place / PROJECT).get("tool", {}).get("lab7")
            if isinstance(table, dict):
                return place / PROJECT, table
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error


def defaults_of(command: click.Command, name: str, commands: Collection[str], folder: Path) -> dict[str, Any]:
    """Return the default values of a command's options, keyed by parameter name.

    Raises click.UsageError for an unknown key.
    """
    found = find_defaults(folder)
    if found is None:
        return {}
    path, table = found
    options = {
        word.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for word in parameter.opts
        if word.startswith("--")
    }
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        if key in commands:
            if not isinstance(value, dict):
                raise click.UsageError(f"{path}: {key} is a command: write its defaults in a table [{key}]")
        elif key not in COMMON:
            known = [*COMMON, *commands]
            raise click.UsageError(
                f"{path}: unknown key {key!r}{did_you_mean(key, known)}: there are {', '.join(COMMON)}, and a table "
                "for each command"
            )
        elif key in options:
            defaults[options[key].name or key] = value
    for key, value in table.get(name, {}).items():
        if key not in options:
            raise click.UsageError(
                f"{path}: unknown key {key!r} in [{name}]{did_you_mean(key, options)}: there are {', '.join(options)}"
            )
        defaults[options[key].name or key] = _as_words(value, options[key])
    return defaults


def _as_words(value: Any, option: click.Option) -> Any:
    """Return the value of an option from the file of defaults, in the form that click expects.

    For a repeatable option it is a list; a TOML table becomes a list of NAME=VALUE words.
    """
    if not option.multiple:
        return value
    if isinstance(value, Mapping):
        return [f"{name}={each}" for name, each in value.items()]
    return value if isinstance(value, list) else [value]
