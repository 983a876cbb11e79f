"""JSON Schema of HTTP Archive 1.2, written from its specification (http://www.softwareishard.com/blog/har-12-spec/)."""

from __future__ import annotations

from typing import Any

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
# -1: the phase does not apply, or the size is unknown.
DURATION, SIZE = {"type": "number", "minimum": 0}, {"type": "integer", "minimum": -1}
OPTIONAL_DURATION = {"anyOf": [DURATION, {"const": -1}]}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {}), "comment": TEXT},
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


PAIR = record({"name": TEXT, "value": TEXT})
MESSAGE = {"httpVersion": TEXT, "cookies": array({}), "headers": array(PAIR), "headersSize": SIZE, "bodySize": SIZE}
REQUEST = record({"method": TEXT, "url": {"type": "string", "format": "uri"}, "queryString": array(PAIR), **MESSAGE})
CONTENT = record({"size": WHOLE, "mimeType": TEXT}, {"compression": WHOLE, "text": TEXT, "encoding": TEXT})
RESPONSE = record({"status": WHOLE, "statusText": TEXT, "content": CONTENT, "redirectURL": TEXT, **MESSAGE})
TIMINGS = record(
    {"send": DURATION, "wait": DURATION, "receive": DURATION},
    dict.fromkeys(("blocked", "dns", "connect", "ssl"), OPTIONAL_DURATION),
)
ENTRY = record(
    {
        "startedDateTime": MOMENT,
        "time": DURATION,
        "request": REQUEST,
        "response": RESPONSE,
        "cache": record({}),
        "timings": TIMINGS,
    },
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
)
PAGE = record(
    {
        "startedDateTime": MOMENT,
        "id": TEXT,
        "title": TEXT,
        "pageTimings": record({}, {"onContentLoad": OPTIONAL_DURATION, "onLoad": OPTIONAL_DURATION}),
    }
)
LOG = record(
    {"version": TEXT, "creator": record({"name": TEXT, "version": TEXT}), "entries": array(ENTRY)},
    {"browser": record({"name": TEXT, "version": TEXT}), "pages": array(PAGE)},
)
HAR = record({"log": LOG})
