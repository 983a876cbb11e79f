#!/usr/bin/env python3
"""JSON Schemas of lab7's output: result.json, `lab7 list --json`, and the event logs of the services.

    scripts/json_schemas.py [--write]      print the names of outdated files, or write them anew

The first two come from dataclasses. Events come from the calls of EventLog in the source of the services: an event has
the fields that every call with its name gives; calls whose name or fields are computed permit more.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

# ruff: noqa: E402 - the path of the checkout comes first.
from lab7.experiments.harness.results.listing import FORMAT as LIST_FORMAT
from lab7.experiments.harness.results.listing import Listing
from lab7.experiments.harness.results.schema import DRAFT, result_schema, schema_of
from lab7.experiments.validation.schemas import EVENTS_FORMAT, FOLDER, file_name

# Functions that write an event, if a part of the receiver's name is "log" or the function's name has it.
WRITERS = {"write", "log_event", "_log", "log"}


def event_fields() -> dict[str, tuple[set[str], set[str]]]:
    """Return (fields of every call, fields of some call) by event name, from the source of the services."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted((REPOSITORY / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            name = node.args[0]
            if node.func.attr not in WRITERS or "log" not in ast.unparse(node.func):
                continue
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                given = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                always, some = found.get(name.value, (given, set()))
                found[name.value] = always & given, some | given
    return dict(sorted(found.items()))


def events_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of an event log."""
    events = event_fields()
    return {
        "$schema": DRAFT,
        "$id": f"urn:lab7:schema:events:{EVENTS_FORMAT}",
        "title": "one line of the event log of a service of lab7 (--log FILE)",
        "type": "object",
        "properties": {
            "time": {"type": "number", "minimum": 0, "description": "wall clock in seconds since 1970 UTC"},
            "event": {"type": "string", "minLength": 1},
        },
        "required": ["time", "event"],
        "allOf": [
            {
                "if": {"properties": {"event": {"const": name}}},
                "then": {"properties": dict.fromkeys(sorted(some), True), "required": sorted(always)},
            }
            for name, (always, some) in events.items()
            if some
        ],
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by the name of their published file."""
    return {
        file_name("result"): result_schema(),
        file_name("list"): schema_of(Listing, "list", LIST_FORMAT, "output of lab7 list --json"),
        file_name("events"): events_schema(),
    }


def outdated() -> list[str]:
    """Return the published files that differ from the schemas of the types."""
    return [
        name
        for name, schema in schemas().items()
        if not (FOLDER / name).exists() or json.loads((FOLDER / name).read_text(encoding="utf-8")) != schema
    ]


def main() -> int:
    """Print the outdated files, or write all; return 1 if a file is outdated and was not written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the files anew")
    arguments = parser.parse_args()
    names = outdated()
    if arguments.write:
        FOLDER.mkdir(exist_ok=True)
        for name, schema in schemas().items():
            (FOLDER / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    for name in names:
        print(f"{name} {'written' if arguments.write else 'is outdated: run scripts/json_schemas.py --write'}")
    return 1 if names and not arguments.write else 0


if __name__ == "__main__":
    sys.exit(main())
