"""Questions of the assignment web-cache, on a caching proxy for HTTP: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Number, Text
from lab7.experiments.assignments.capture_view import HTTP_PORTS, CaptureView, ends, span
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.cache.wire.legs import Legs, Served, read_legs
from lab7.experiments.http.lab import MODIFIED
from lab7.experiments.http.wire.http1 import Message
from lab7.topologies.web import PROXY_ADDRESS

PROXY_PORT = 3128


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: names, sizes, freshness lifetimes, order of requests, pauses between requests."""
    kept, same, changed = (f"{draw.word(label)}.html" for label in ("kept", "same", "changed"))
    once = [f"{draw.word(f'once-{number}', 2)}.txt" for number in range(draw.number("once", 1, 4))]
    short_s, long_s = draw.number("short", 5, 40), draw.number("long", 600, 9_000)
    names = [kept, same, changed, *once]
    return {
        "kept": kept,
        "same": same,
        "changed": changed,
        "first": draw.shuffled("first", names),
        "again": draw.shuffled("again", [same, changed]),
        "condition": draw.choice("condition", [True, False]),
        "sizes": {name: draw.number(f"size-{name}", 300, 9_000) for name in names},
        "pause": draw.number("pause", 3, 90),
        "short": short_s,
        "parameters": {
            "delay": f"{draw.number('delay', 10, 80)}ms",
            "cache_flags": f"--name {draw.word('proxy')}",
            "origin_flags": f"--cache-control /{kept}=max-age={long_s} --cache-control '*=max-age={short_s}'",
        },
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the files that the origin serves."""
    for name in variant["sizes"]:
        _write(folder, variant, name, version=1)


def _write(folder: Path, variant: Mapping[str, Any], name: str, version: int) -> None:
    path = folder / name
    start = f"<!doctype html>\n<title>{name}, version {version}</title>\n"
    path.write_text(start.ljust(variant["sizes"][name] + version, "."))
    os.utime(path, (MODIFIED + version, MODIFIED + version))


def record(lab: Lab) -> None:
    """Produce the traffic: request all objects; then one that is fresh, and two that are stale, one of them changed."""
    for name in lab.variant["first"]:
        _get(lab, name)
    lab.run("client", ["sleep", str(lab.variant["pause"])])
    _get(lab, lab.variant["kept"])
    if lab.variant["condition"]:
        _get(lab, lab.variant["kept"], "-H", "If-None-Match: *")
    _write(lab.files, lab.variant, lab.variant["changed"], version=2)
    lab.run("client", ["sleep", str(lab.variant["short"] + 1)])
    for name in lab.variant["again"]:
        _get(lab, name)


def _get(lab: Lab, name: str, *further: str) -> None:
    common = ["curl", "--silent", "--show-error", "--output", "/dev/null"]
    way = ["--proxy", f"http://{PROXY_ADDRESS}:{PROXY_PORT}", "-H", f"X-Course: {lab.variant['nonce']}"]
    lab.run("client", [*common, *way, *further, f"http://www.example.com/{name}"])


def _legs(seen: CaptureView) -> Legs:
    return read_legs(seen.captured, seen.interface, PROXY_ADDRESS, HTTP_PORTS)


def _served(seen: CaptureView, name: str = "") -> list[Served]:
    """Return each request of the client with the proxy's resulting request to the origin (None for a cache hit).

    `name`: return only the requests for this object.
    """
    every = _legs(seen).served([(0, 1 << 63)])
    return [one for one in every if name in ("", one.path.decode().lstrip("/"))]


def _response(served: Served) -> Message:
    """Return the proxy's response to a request of the client."""
    assert served.exchange.response is not None
    return served.exchange.response


def _origin(served: Served) -> tuple[Message, Message]:
    """Return (request, response) of the exchange between proxy and origin that a request of the client caused."""
    assert served.upstream is not None
    assert served.upstream.response is not None
    return served.upstream.request, served.upstream.response


def _field(message: Message, name: bytes) -> str:
    return message.values(name)[0].decode()


def _age(seen: CaptureView) -> tuple[int, Message]:
    """Return (Age in s, response) of the second response for the object that is requested twice while fresh."""
    response = _response(_served(seen, seen.variant["kept"])[1])
    return int(_field(response, b"age")), response


@question(points=1, filter="http.request && tcp.dstport == 3128", hint="The proxy's port is 3128.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the number of requests from the client to the proxy."""
    frames = tuple(one.exchange.request.frames[0] for one in _served(seen))
    return Key(Number(len(frames)), frames, f"They begin in the frames {', '.join(map(str, frames))}.")


@question(points=1, filter="http.request && tcp.dstport == 80", hint="The server's port is 80.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the number of requests from the proxy to the origin."""
    frames = tuple(one.request.frames[0] for one in _legs(seen).origin.exchanges)
    return Key(Number(len(frames)), frames, f"They begin in the frames {', '.join(map(str, frames))}.")


@question(points=2, filter="tcp.len > 0 && tcp.port in {80, 3128}", hint="No request to the server comes before it.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the numbers of the frames in which the responses from the cache (hits) begin."""
    responses = [_response(one) for one in _served(seen) if one.upstream is None]
    frames = tuple(response.frames[0] for response in responses)
    explanation = f"Served from the cache (RFC 9111 section 4): responses from frame {', '.join(map(str, frames))} on."
    # Who reads a message in all of its segments may give their range.
    beside = tuple(number for response in responses for number in response.frames)
    return Key(Frames(frames, beside=beside), frames, explanation)


@question(points=1, filter='http.response.line contains "Age:"', hint="The header field Age counts seconds.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the Age field of the response from the cache, in s."""
    age_s, response = _age(seen)
    explanation = f"{span(response)}: `Age: {age_s}` (RFC 9111 section 5.1)."
    return Key(Number(age_s, "time", "s"), ends(response), explanation)


@question(points=2, filter="http.cache_control", hint="Subtract the age from the freshness lifetime.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the remaining freshness lifetime of the response from the cache, in s."""
    age_s, response = _age(seen)
    found = re.search(r"max-age=(\d+)", _field(response, b"cache-control"))
    assert found is not None
    rest_s = int(found[1]) - age_s
    explanation = f"{span(response)}: max-age {found[1]} less Age {age_s} (RFC 9111 section 4.2)."
    return Key(Number(rest_s, "time", "s"), ends(response), explanation)


@question(points=1, filter='http.response.line contains "Cache-Status"', hint="Copy all that follows the colon.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the Cache-Status field (RFC 9211) of the response from the cache."""
    _, response = _age(seen)
    value = _field(response, b"cache-status")
    explanation = f"{span(response)}: `Cache-Status: {value}` (RFC 9211 section 2)."
    return Key(Text(value), ends(response), explanation)


@question(
    points=1, filter='http.request.line contains "If-None-Match" && tcp.dstport == 80', hint="Copy the quotes, too."
)
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the entity tag in the proxy's conditional request."""
    request, _ = _origin(_served(seen, seen.variant["same"])[1])
    value = _field(request, b"if-none-match")
    explanation = f"Frame {request.frames[0]} has `If-None-Match: {value}` (RFC 9110 section 13.1.2)."
    return Key(Text(value), request.frames[:1], explanation)


@question(points=1, filter="http.response.code == 304", hint="The stored response is still valid.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the 304 response to the proxy's conditional request."""
    _, response = _origin(_served(seen, seen.variant["same"])[1])
    line = b" ".join(response.start_line[1:]).decode()
    explanation = f"{span(response)}: `{line}`, without content (RFC 9110 section 15.4.5)."
    return Key(Frames(response.frames[:1]), ends(response), explanation)


@question(points=2, filter="tcp.srcport == 80 && tcp.len > 0", hint="Add the TCP segment lengths of each response.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the number of octets by which the 304 response is shorter than the first response."""
    (_, first), (_, second) = (_origin(one) for one in _served(seen, seen.variant["same"])[:2])
    saved = len(first.octets) - len(second.octets)
    explanation = (
        f"{len(first.octets)} octets from frame {first.frames[0]} on, {len(second.octets)} from frame "
        f"{second.frames[0]} on (RFC 9111 section 4.3)."
    )
    return Key(Number(saved, "size", "bytes"), (*first.frames, *second.frames), explanation)


@question(
    points=1, filter='http.response.line contains "ETag"', hint="The validator of the old version does not match."
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the entity tag of the changed object's new version."""
    _, response = _origin(_served(seen, seen.variant["changed"])[1])
    value = _field(response, b"etag")
    line = b" ".join(response.start_line[1:]).decode()
    explanation = f"{span(response)}: `{line}` with `ETag: {value}` (RFC 9110 section 8.8.3)."
    return Key(Text(value), ends(response), explanation)


@question(points=1, filter='http.request.line contains "Via" && tcp.dstport == 80', hint="Proxies add it to requests.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the Via field of the proxy's requests."""
    request = _legs(seen).origin.exchanges[0].request
    value = _field(request, b"via")
    explanation = f"Frame {request.frames[0]} has `Via: {value}` (RFC 9110 section 7.6.3)."
    return Key(Text(value), request.frames[:1], explanation)


@question(
    points=1, filter="tcp.len > 0 && tcp.port == 3128", hint="Subtract the times of two frames on the client's side."
)
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the time from the client's first request for an object (a miss) to the response."""
    first = _served(seen, seen.variant["kept"])[0]
    request, response = first.exchange.request, _response(first)
    time_s = (response.first_ns - request.first_ns) / 1e9
    frames = (request.frames[0], response.frames[0])
    explanation = f"From frame {frames[0]} to frame {frames[1]}: {time_s * 1e3:.3f} ms, the time of a miss."
    return Key(Number(time_s, "time", "ms", tolerance=0.02), frames, explanation)
