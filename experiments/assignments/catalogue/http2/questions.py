"""Questions of the assignment http2, on streams and frames of HTTP/2: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Listing, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.http.lab import MODIFIED, write_picture
from lab7.experiments.http.wire.http1 import Conversation, Exchange
from lab7.experiments.http.wire.http2 import END_STREAM, Http2Conversation, Kind

STRATEGIES = ("2", "1.1-persistent")


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: names, number and sizes of objects, RTT, and which HTTP version is used first."""
    names = [f"{draw.word(f'picture-{number}')}.png" for number in range(draw.number("pictures", 3, 8))]
    # The larger pictures need several frames of type DATA, which have at most 16,384 octets.
    bounds = {name: draw.choice(f"bounds-{name}", [(600, 4_000), (18_000, 60_000)]) for name in names}
    pictures = {name: draw.number(f"size-{name}", *bounds[name]) for name in names}
    return {
        "page": f"{draw.word('page', draw.number('syllables', 2, 7))}.html",
        "picture": draw.choice("picture", sorted(pictures)),
        "pictures": pictures,
        "strategies": draw.shuffled("strategies", STRATEGIES),
        "parameters": {"delay": f"{draw.number('delay', 10, 90)}ms"},
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the page and its pictures into the folder that the origin serves."""
    images = "".join(f'<img src="{name}" alt="">\n' for name in variant["pictures"])
    mark = f'<meta name="course" content="{variant["nonce"]}">'
    (folder / variant["page"]).write_text(f"<!doctype html>\n{mark}\n<title>{variant['page']}</title>\n{images}")
    for seed, (name, size_bytes) in enumerate(variant["pictures"].items()):
        write_picture(folder / name, size_bytes, seed)
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))


def record(lab: Lab) -> None:
    """Produce the traffic: load the page once by HTTP/2 and once by HTTP/1.1, in the drawn order."""
    for strategy in lab.variant["strategies"]:
        url = f"http://www.example.com/{lab.variant['page']}"
        lab.run_module("client", "lab7.services.http.client", "--strategy", strategy, url)


def _http2(seen: CaptureView) -> Http2Conversation:
    return next(one for one in seen.page_load.conversations if isinstance(one, Http2Conversation))


def _http1(seen: CaptureView) -> Conversation:
    return next(one for one in seen.page_load.conversations if not isinstance(one, Http2Conversation))


def _request(conversation: Conversation, name: str) -> Exchange:
    return next(one for one in conversation.exchanges if one.target == f"/{name}".encode())


def _duration(conversation: Conversation) -> tuple[float, tuple[int, int]]:
    """Return (time in s from a connection's SYN to the last octet of its last response, numbers of both frames)."""
    syn = conversation.connection.syn
    last = max(
        (piece for one in conversation.exchanges if one.response is not None for piece in one.response.pieces),
        key=lambda piece: (piece.time_ns, piece.frame),
    )
    return (last.time_ns - syn.time_ns) / 1e9, (syn.frame, last.frame)


@question(points=1, filter="http2.magic", hint="The preface is the first data of the client on its connection.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the client's HTTP/2 connection preface."""
    frame = _http2(seen).connection.from_client.segments[0].frame
    return Key(Frames((frame,)), (frame,), f"Frame {frame} begins with the preface (RFC 9113 section 3.4).")


@question(points=1, filter="http2.type == 1 && tcp.dstport == 80", hint="Each request has a stream of its own.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the number of streams of the HTTP/2 connection."""
    streams = _http2(seen).streams
    frames = tuple(dict.fromkeys(one.request.frames[0] for _, one in streams))
    identifiers = ", ".join(str(stream) for stream, _ in streams)
    return Key(Number(len(streams)), frames, f"The streams {identifiers} (RFC 9113 section 5.1.1).")


@question(points=1, filter="http2.headers.path", hint="Look for the pseudo-header field :path.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the stream identifier of the request for the given picture."""
    path = f"/{seen.variant['picture']}".encode()
    stream, exchange = next(pair for pair in _http2(seen).streams if pair[1].target == path)
    frame = exchange.request.frames[0]
    explanation = f"Frame {frame} has the HEADERS with that :path on stream {stream} (RFC 9113 section 8.3.1)."
    return Key(Number(stream), (frame,), explanation)


@question(points=1, filter="http2.type == 0", hint="Count the HTTP/2 frames, not the packets.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the number of DATA frames from the server."""
    data = [one for one in _http2(seen).server_frames if one.kind == Kind.DATA]
    frames = tuple(dict.fromkeys(one.pieces[-1].frame for one in data))
    explanation = f"HTTP/2 frames of type 0 (RFC 9113 section 6.1): {len(data)}, complete in the frames given."
    return Key(Number(len(data)), frames, explanation)


@question(points=2, filter="http2.flags.end_stream == 1 && tcp.srcport == 80", hint="A packet may end several streams.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the stream identifiers in the order in which the server ends the streams (END_STREAM)."""
    ends = [
        one for one in _http2(seen).server_frames if one.kind in (Kind.DATA, Kind.HEADERS) and one.flags & END_STREAM
    ]
    frames = tuple(dict.fromkeys(one.pieces[-1].frame for one in ends))
    explanation = (
        "The server chooses the order in which it sends the frames of several streams (RFC 9113 sections 5 and 6.1): "
        + ", ".join(str(one.stream_id) for one in ends)
        + "."
    )
    return Key(Listing(tuple(Number(one.stream_id) for one in ends), ordered=True), frames, explanation)


def _block_key(seen: CaptureView, name: str, explanation: str) -> Key:
    request = _request(_http2(seen), name).request
    size, frame = len(request.header_block), request.frames[0]
    return Key(Number(size, "size", "bytes"), (frame,), f"Frame {frame}: {size} octets. {explanation}")


@question(points=1, filter="http2.type == 1 && tcp.dstport == 80", hint="Each HTTP/2 frame has a field Length.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the size of the header block in the HTTP/2 request for the page."""
    text = "Field lines are indexed in a static table, and literals are Huffman-coded (RFC 7541 sections 5.2 and 6)."
    return _block_key(seen, seen.variant["page"], text)


@question(points=1, filter="http2.type == 1 && tcp.dstport == 80", hint="Each HTTP/2 frame has a field Length.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the size of the header block in the HTTP/2 request for the given picture."""
    text = "Most field lines are indexed in the dynamic table since the first request (RFC 7541 section 2.3.2)."
    return _block_key(seen, seen.variant["picture"], text)


@question(points=1, filter="http.request", hint="The TCP segment length of a request by HTTP/1.1 is its size.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the total size of the HTTP/1.1 requests for the page and the given picture."""
    requests = [_request(_http1(seen), seen.variant[which]).request for which in ("page", "picture")]
    sizes = [len(one.octets) for one in requests]
    frames = tuple(one.frames[0] for one in requests)
    explanation = f"{sizes[0]} octets in frame {frames[0]}, {sizes[1]} in frame {frames[1]}: text, repeated each time."
    return Key(Number(sum(sizes), "size", "bytes"), frames, explanation)


@question(points=2, filter="http2", hint="Look for the first HTTP/2 frame of the server on the second stream.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the number of HTTP/2 requests sent before the server's second response begins."""
    exchanges = [one for _, one in _http2(seen).streams]
    response = exchanges[1].response
    assert response is not None
    before = [one.request.frames[0] for one in exchanges if one.request.frames[0] < response.frames[0]]
    explanation = (
        f"The response begins in frame {response.frames[0]}; the requests are in the frames "
        f"{', '.join(map(str, dict.fromkeys(before)))} (RFC 9113 section 5: multiplexing)."
    )
    return Key(Number(len(before)), (*dict.fromkeys(before), response.frames[0]), explanation)


@question(points=1, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="Find the last data of the server.")
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/2, from the SYN to the last octet of a response."""
    time_s, frames = _duration(_http2(seen))
    explanation = f"From frame {frames[0]} to frame {frames[1]}: {time_s * 1e3:.3f} ms."
    return Key(Number(time_s, "time", "ms", tolerance=0.01), frames, explanation)


@question(points=2, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="Measure the other connection in the same way.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/1.1 minus that by HTTP/2."""
    (fast_s, fast), (slow_s, slow) = _duration(_http2(seen)), _duration(_http1(seen))
    explanation = (
        f"HTTP/1.1 takes {slow_s * 1e3:.3f} ms from frame {slow[0]} to frame {slow[1]}, a round trip for each object; "
        f"HTTP/2 {fast_s * 1e3:.3f} ms."
    )
    return Key(Number(slow_s - fast_s, "time", "ms", tolerance=0.01), (*fast, *slow), explanation)


@question(points=1, filter='frame contains "course"', hint="Open the content of the first response.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the student's nonce in a meta element of the page."""
    response = _request(_http2(seen), seen.variant["page"]).response
    assert response is not None
    mark = response.body.partition(b'name="course" content="')[2].partition(b'"')[0].decode()
    return Key(Text(mark), response.frames[-1:], f"The page ends in frame {response.frames[-1]}: {mark}.")
