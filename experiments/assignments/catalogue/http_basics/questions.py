"""Questions of the assignment http-basics, on HTTP/1.1 requests and responses: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.http.lab import write_picture
from lab7.experiments.http.wire.http1 import Exchange

# Modification times are drawn within a year from this time on (2023-11-14 22:13:20 UTC).
MODIFIED = 1_700_000_000
YEAR_S = 31_536_000


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: names, sizes, RTT, order of requests, and whether all share one connection."""
    page = f"{draw.word('page')}.html"
    picture = f"{draw.word('picture')}.png"
    extra = [f"{draw.word(f'extra-{number}', 2)}.txt" for number in range(draw.number("extras", 1, 4))]
    missing = f"{draw.word('missing')}-old.html"
    return {
        "host": "www.example.com",
        "page": page,
        "picture": picture,
        "missing": missing,
        "extra": extra,
        "order": draw.shuffled("order", [page, picture, missing, *extra]),
        "one_connection": draw.choice("connections", [True, False]),
        "picture_bytes": draw.number("picture-size", 800, 9_000),
        "page_lines": draw.number("page-lines", 5, 40),
        "modified": MODIFIED + draw.below("modified", YEAR_S),
        "parameters": {"delay": f"{draw.number('delay', 5, 60)}ms"},
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the files that the origin serves."""
    page = "".join(f"<p>Line {number} of {variant['page']}</p>\n" for number in range(variant["page_lines"]))
    (folder / variant["page"]).write_text(f"<!doctype html>\n<title>{variant['page']}</title>\n{page}")
    write_picture(folder / variant["picture"], variant["picture_bytes"], seed=1)
    for name in variant["extra"]:
        (folder / name).write_text(f"{name}\n" * 7)
    for path in folder.iterdir():
        os.utime(path, (variant["modified"], variant["modified"]))


def record(lab: Lab) -> None:
    """Produce the traffic: request the objects in the drawn order, on one connection or on a new one for each."""
    urls = [f"http://{lab.variant['host']}/{name}" for name in lab.variant["order"]]
    field = ["-H", f"X-Course: {lab.variant['nonce']}"]
    common = ["curl", "--silent", "--show-error", "--output", "/dev/null"]
    if lab.variant["one_connection"]:
        outputs = ["--output", "/dev/null"] * (len(urls) - 1)
        lab.run("client", [*common, *outputs, *field, *urls])
        return
    for url in urls:
        lab.run("client", [*common, *field, url])


def _exchange(seen: CaptureView, name: str) -> Exchange:
    return next(one for one in seen.http if one.target == f"/{name}".encode())


def _field(exchange: Exchange, name: bytes) -> str:
    assert exchange.response is not None
    return exchange.response.values(name)[0].decode()


def _response_key(exchange: Exchange, answer: Number | Text, explanation: str) -> Key:
    assert exchange.response is not None
    frames = exchange.response.frames
    # Wireshark shows the fields of a message in the frame that completes it.
    place = f"begins in frame {frames[0]}" if len(frames) == 1 else f"has the frames {frames[0]} to {frames[-1]}"
    return Key(answer, tuple(frames), f"{explanation} The response {place}.")


@question(points=1, filter="http.request", hint="Count the request lines, not the packets.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the number of HTTP requests that the client sends."""
    frames = tuple(one.request.frames[0] for one in seen.http)
    return Key(Number(len(frames)), frames, f"The requests begin in the frames {', '.join(map(str, frames))}.")


@question(points=1, filter="http.request.method == GET", hint="The request line has the path of the object.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the number of the frame in which the request for the page begins."""
    request = _exchange(seen, seen.variant["page"]).request
    line = b" ".join(request.start_line).decode()
    return Key(Frames((request.frames[0],)), request.frames[:1], f"The request line there is `{line}`.")


@question(points=1, filter="http.response", hint="The status line is the first line of a response.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the status code of the response with the page."""
    exchange = _exchange(seen, seen.variant["page"])
    assert exchange.response is not None
    code = int(exchange.response.start_line[1])
    return _response_key(exchange, Number(code), f"The status code is {code} (RFC 9110 section 15).")


@question(points=1, filter="http.response.code >= 400", hint="Look for a response that is no success.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the status code and reason phrase for the object that does not exist."""
    exchange = _exchange(seen, seen.variant["missing"])
    assert exchange.response is not None
    text = b" ".join(exchange.response.start_line[1:]).decode()
    return _response_key(exchange, Text(text), f"There is no such object, hence `{text}` (RFC 9110 section 15.5.5).")


@question(points=1, filter="http.content_length", hint="Which header field gives the length of the content?")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the Content-Length of the picture."""
    exchange = _exchange(seen, seen.variant["picture"])
    length = int(_field(exchange, b"content-length"))
    answer = Number(length, "size", "bytes")
    return _response_key(exchange, answer, f"Content-Length is {length} (RFC 9110 section 8.6).")


@question(points=1, filter="http.content_type", hint="Which header field gives the type of the content?")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the Content-Type of the picture."""
    exchange = _exchange(seen, seen.variant["picture"])
    kind = _field(exchange, b"content-type")
    return _response_key(exchange, Text(kind), f"Content-Type is {kind} (RFC 9110 section 8.3).")


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="Each connection begins with one SYN.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the number of TCP connections."""
    frames = tuple(one.syn.frame for one in seen.connections)
    return Key(Number(len(frames)), frames, f"A SYN of the client opens each: frames {', '.join(map(str, frames))}.")


@question(points=2, filter="tcp.flags.syn == 1", hint="Subtract the times of two frames.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the RTT, from the first SYN to its SYN-ACK."""
    first = seen.connections[0]
    answer = first.from_server.syn
    assert answer is not None
    rtt_s = (answer.time_ns - first.syn.time_ns) / 1e9
    explanation = f"SYN in frame {first.syn.frame}, SYN-ACK in frame {answer.frame}: {rtt_s * 1e3:.3f} ms later."
    return Key(Number(rtt_s, "time", "ms", tolerance=0.02), (first.syn.frame, answer.frame), explanation)


@question(points=1, filter="http.last_modified", hint="The field value is a date in GMT.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the Last-Modified field of the page."""
    exchange = _exchange(seen, seen.variant["page"])
    date = _field(exchange, b"last-modified")
    return _response_key(exchange, Text(date), f"Last-Modified is `{date}` (RFC 9110 section 8.8.2).")


@question(points=1, filter='http.request.line contains "X-Course"', hint="Open the header of any request.")
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the student's nonce in the request header field X-Course."""
    request = seen.http[0].request
    value = request.values(b"x-course")[0].decode()
    return Key(Text(value), request.frames[:1], f"Frame {request.frames[0]} has `X-Course: {value}`.")
