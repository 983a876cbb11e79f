"""Published JSON Schemas (draft 2020-12) of lab7's JSON output, and the validation of files against them.

The files schemas/NAME-VERSION.schema.json are package data; `scripts/json_schemas.py` generates those of results and
listings from dataclasses, and that of event logs from the calls that write events. Once a version is released, it
changes only by the addition of optional fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from lab7.experiments.harness.results.listing import FORMAT as LIST_FORMAT
from lab7.experiments.harness.results.result import FORMAT as RESULT_FORMAT

FOLDER = Path(__file__).resolve().parent / "schemas"
# Version of the description of event logs, whose lines have no format number of their own.
EVENTS_FORMAT = 1
VERSIONS = {"result": RESULT_FORMAT, "list": LIST_FORMAT, "events": EVENTS_FORMAT}
# Maximum number of violations reported per document.
VIOLATIONS_MAX = 20


class UnknownKindError(ValueError):
    """Error for content that is no result, listing or event log; the message has the option that sets the kind."""


@dataclass(frozen=True)
class SchemaViolation:
    """Violation of a JSON Schema: line number in the file (0: the whole document), JSON path, and description."""

    line: int
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{f'line {self.line}: ' if self.line else ''}{self.path}: {self.sentence}"


def file_name(kind: str) -> str:
    """Return the name of the file with the published JSON Schema of `result`, `list` or `events`."""
    return f"{kind}-{VERSIONS[kind]}.schema.json"


@cache
def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of result.json (`result`), of `lab7 list --json` (`list`) or of event logs (`events`)."""
    data: dict[str, Any] = json.loads((FOLDER / file_name(kind)).read_text(encoding="utf-8"))
    return data


def kind_of(text: str) -> str:
    """Return the kind of a file by its content: `result`, `list` or `events`. Raises UnknownKindError."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, dict) and "event" not in data:
        return "list" if "experiments" in data else "result"
    lines = text.splitlines()
    if data is None and lines and lines[0].lstrip().startswith("{") and lines[0].rstrip().endswith("}"):
        return "events"
    if isinstance(data, dict):
        return "events"
    raise UnknownKindError(f"it is no result, listing or event log: name its kind with --as {'|'.join(VERSIONS)}")


def violations(text: str, kind: str) -> Iterator[SchemaViolation]:
    """Yield the violations of the JSON Schema of a kind in a file's text; only one if the text is not JSON."""
    validator = jsonschema.Draft202012Validator(schema(kind))
    documents = [(0, text)] if kind != "events" else [*enumerate(text.splitlines(), start=1)]
    for line, document in documents:
        try:
            data = json.loads(document)
        except ValueError as error:
            yield SchemaViolation(line, "$", f"this is not JSON: {error}")
            continue
        found = sorted(validator.iter_errors(data), key=lambda error: [str(step) for step in error.absolute_path])
        for each in found[:VIOLATIONS_MAX]:
            yield SchemaViolation(line, each.json_path, _sentence(each))


def _sentence(error: jsonschema.ValidationError) -> str:
    """Return the message of a validation error; a long value, which the library quotes in full, is shortened."""
    value = json.dumps(error.instance)
    message = error.message
    return message.replace(repr(error.instance), value if len(value) <= 60 else f"{value[:57]}...")
