"""HTTP exchanges of an experiment as an HTTP Archive (HAR 1.2), the format of network panels in browsers.

Each page of the archive is one measured page load: of all repetitions of a measurement, the one with the median time.
Each entry is one exchange as captured at its client's interface. Times are in ms. DNS lookups and handshakes belong to
the first exchange of their connection; `blocked` is the remaining time before the request, so that the phases of an
entry add up to its time. Left out: content of responses, and cookies apart from their header fields.

Source: HAR 1.2 Spec, http://www.softwareishard.com/blog/har-12-spec/.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.http.wire.http1 import Message
from lab7.experiments.waterfall.objects import CLIENT, HttpObject, http_objects

HAR_VERSION = "1.2"
# Value of an unknown size or of a phase that does not apply.
UNKNOWN = -1


def har_of(folder: Path, result: Result) -> dict[str, Any]:
    """Return HAR data with the HTTP exchanges of each measurement's median repetition.

    Raises CaptureReadError, OSError.
    """
    captures: dict[str, CaptureFile] = {}
    pages: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for comparison in result.comparisons:
        if comparison.span is None:
            continue
        name = Path(comparison.span.capture).name
        if name not in captures:
            captures[name] = read_capture(folder / name)
        objects = _objects(captures[name], comparison)
        if objects:
            page = f"page_{len(pages) + 1}"
            pages.append(_page(page, comparison, objects))
            entries += [_entry(page, one, name) for one in objects]
    if not entries:
        raise CaptureReadError(f"{folder} has no HTTP exchange within the time of a sample")
    creator = {"name": "lab7", "version": version("lab7")}
    comment = f"{result.experiment}, {result.started}, seed {result.seed}"
    return {"log": {"version": HAR_VERSION, "creator": creator, "pages": pages, "entries": entries, "comment": comment}}


def _objects(captured: CaptureFile, comparison: Comparison) -> list[HttpObject]:
    span = comparison.span
    if span is None or not captured.frames:
        return []
    first_ns = captured.frames[0].time_ns
    start_ns, end_ns = first_ns + span.start_ns, first_ns + span.end_ns
    within = (frame for frame in captured.frames if start_ns <= frame.time_ns <= end_ns)
    frame = next(within, None)
    return [] if frame is None else http_objects(captured, frame.interface, start_ns, end_ns)


def _page(page: str, comparison: Comparison, objects: list[HttpObject]) -> dict[str, Any]:
    start_ns = min(one.start_ns for one in objects)
    load_ms = _ms(max(one.end_ns for one in objects) - start_ns)
    return {
        "startedDateTime": _moment(start_ns),
        "id": page,
        "title": comparison.name,
        "pageTimings": {"onContentLoad": UNKNOWN, "onLoad": load_ms},
    }


def _entry(page: str, one: HttpObject, capture: str) -> dict[str, Any]:
    request, response = one.exchange.request, one.exchange.response
    spans = {phase.name: phase.end_ns - phase.start_ns for phase in one.phases if phase.name != CLIENT}
    total_ns = one.end_ns - one.start_ns
    timings = {
        "blocked": _ms(total_ns - sum(spans.values())),
        "dns": _ms(spans["dns"]) if "dns" in spans else UNKNOWN,
        "connect": _ms(spans["tcp_handshake"]) if "tcp_handshake" in spans else UNKNOWN,
        "ssl": UNKNOWN,
        "send": _ms(spans["request_sent"]),
        "wait": _ms(spans.get("waiting", 0)),
        "receive": _ms(spans.get("receiving", 0)),
    }
    frames = ", ".join(str(frame) for phase in one.phases for frame in phase.frames[:1])
    return {
        "pageref": page,
        "startedDateTime": _moment(one.start_ns),
        "time": _ms(total_ns),
        "request": _request(request),
        "response": _response(response),
        "cache": {},
        "timings": timings,
        "serverIPAddress": one.connection.server.address,
        "connection": str(one.number) if one.stream is None else f"{one.number}, stream {one.stream}",
        "comment": f"{capture}, phases begin in frames {frames}" + ("; pushed" if one.pushed else ""),
    }


def _request(message: Message) -> dict[str, Any]:
    method, target, http_version = (word.decode("latin-1") for word in message.start_line)
    # RFC 9112 section 3.3: the target URI is the request-target if absolute, else it has the authority of Host.
    authority = next(iter([*message.values(b"host"), *message.values(b":authority")]), b"").decode("latin-1")
    url = target if "://" in target else f"http://{authority}{target}"
    query = [{"name": name, "value": value} for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    return {
        "method": method,
        "url": url,
        "httpVersion": http_version,
        "cookies": [],
        "headers": _headers(message),
        "queryString": query,
        "headersSize": _head_bytes(message),
        "bodySize": len(message.body),
    }


def _response(message: Message | None) -> dict[str, Any]:
    # Status 0 stands for a request without a response, as in browsers' exports.
    words = ["", "0", ""] if message is None else [word.decode("latin-1") for word in message.start_line]
    headers = [] if message is None else _headers(message)
    size, head_bytes = (UNKNOWN, UNKNOWN) if message is None else (len(message.body), _head_bytes(message))
    kinds = [header["value"] for header in headers if header["name"].lower() == "content-type"]
    places = [header["value"] for header in headers if header["name"].lower() == "location"]
    return {
        "status": int(words[1]) if words[1].isdigit() else 0,
        "statusText": words[2],
        "httpVersion": words[0],
        "cookies": [],
        "headers": headers,
        "content": {"size": max(size, 0), "mimeType": kinds[0] if kinds else ""},
        "redirectURL": places[0] if places else "",
        "headersSize": head_bytes,
        "bodySize": size,
    }


def _headers(message: Message) -> list[dict[str, str]]:
    return [{"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in message.fields]


def _head_bytes(message: Message) -> int:
    """Return the number of octets of an HTTP/1 head, or of an HTTP/2 field block."""
    return len(message.header_block) or len(message.octets) - len(message.body)


def _ms(time_ns: int) -> float:
    return time_ns / 1e6


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
