"""JSON Schemas (draft 2020-12) of result.json and of other output, from the dataclasses that read and write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lab7.experiments.harness.results.result import FORMAT, Result

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number"}


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema of result.json; fields with a default are optional, further fields are permitted."""
    return schema_of(Result, "result", FORMAT, "result.json of lab7")


def schema_of(kind: type, name: str, version: int, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass in its stored form, with the additional field `format` (version number)."""
    definitions: dict[str, Any] = {}
    _schema(kind, definitions)
    root: dict[str, Any] = definitions[kind.__name__]
    root["properties"] = {"format": {"const": version}, **root["properties"]}
    root["required"] = ["format", *root["required"]]
    return {
        "$schema": DRAFT,
        "$id": f"urn:lab7:schema:{name}:{version}",
        "title": title,
        "$ref": f"#/$defs/{kind.__name__}",
        "$defs": definitions,
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a type; schemas of dataclasses are added to `definitions`.

    The types are those that `result.decode` accepts.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _reference(kind, definitions)
    if origin is UnionType:
        return {"anyOf": [_schema(arguments[0], definitions), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if origin is Literal:
        return {"enum": list(arguments)}
    return {"type": _SCALARS[kind]} if kind in _SCALARS else {}


def _reference(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}
        types = get_type_hints(kind)
        definitions[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").partition("\n")[0],
            "properties": {each.name: _schema(types[each.name], definitions) for each in fields(kind)},
            "required": [
                each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING
            ],
        }
    return {"$ref": f"#/$defs/{name}"}
