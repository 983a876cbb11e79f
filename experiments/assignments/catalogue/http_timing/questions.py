"""Questions of the assignment http-timing, on page load times of HTTP: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Choice, Frames, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView, ends, span
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.http.lab import MODIFIED, write_picture
from lab7.experiments.http.theory import http_page_load

# Page load strategies of the client, each described as in question q10.
STRATEGIES = {
    "1.0-serial": "with HTTP/1.0, each on a connection of its own, one object after the other",
    "1.0-parallel": (
        "with HTTP/1.0, each on a connection of its own: the page first, then all pictures at the same time"
    ),
    "1.1-persistent": "with HTTP/1.1 on one persistent connection, without pipelining",
    "1.1-pipelined": (
        "with HTTP/1.1 on one persistent connection: the page first, then all pictures with pipelined requests"
    ),
}


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: two page load strategies, the RTT, and the number and sizes of objects.

    A strategy is an HTTP version and use of connections. The student's capture shows the first one; the time of the
    second one is to be computed.
    """
    strategy = draw.choice("strategy", list(STRATEGIES))
    pictures = [f"{draw.word(f'picture-{number}')}.png" for number in range(draw.number("pictures", 3, 9))]
    return {
        "page": f"{draw.word('page')}.html",
        "pictures": {name: draw.number(f"size-{name}", 400, 1_200) for name in dict.fromkeys(pictures)},
        "strategy": strategy,
        "parallel": draw.number("parallel", 2, 4),
        "other": STRATEGIES[other := draw.choice("other", [one for one in STRATEGIES if one != strategy])],
        "other_strategy": other,
        "parameters": {"delay": f"{draw.number('delay', 15, 95)}ms"},
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
    """Produce the traffic: load the page by the drawn strategy, such as HTTP/1.1 with pipelining."""
    url = f"http://www.example.com/{lab.variant['page']}"
    flags = ["--strategy", lab.variant["strategy"], "--parallel", str(lab.variant["parallel"])]
    lab.run_module("client", "lab7.services.http.client", *flags, url)


def _rtt(seen: CaptureView) -> tuple[float, tuple[int, int]]:
    """Return (time in s from the first SYN to its SYN-ACK, numbers of these two frames)."""
    first = seen.connections[0]
    answer = first.from_server.syn
    assert answer is not None
    return (answer.time_ns - first.syn.time_ns) / 1e9, (first.syn.frame, answer.frame)


def _duration(seen: CaptureView) -> tuple[float, tuple[int, int]]:
    """Return (time in s from the first SYN to the last octet of the last response, numbers of these two frames)."""
    syn = seen.connections[0].syn
    last = max(
        (piece for one in seen.http if one.response is not None for piece in one.response.pieces),
        key=lambda piece: (piece.time_ns, piece.frame),
    )
    return (last.time_ns - syn.time_ns) / 1e9, (syn.frame, last.frame)


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="Each connection begins with one SYN.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the number of TCP connections."""
    frames = tuple(one.syn.frame for one in seen.connections)
    return Key(Number(len(frames)), frames, f"Frames with SYN and without ACK: {len(frames)} (RFC 9293 section 3.5).")


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="A SYN-ACK has the flag ACK as well.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the frame numbers of the client's SYNs."""
    frames = tuple(one.syn.frame for one in seen.connections)
    return Key(Frames(frames), frames, f"SYN without ACK: frames {', '.join(map(str, frames))}.")


@question(points=1, filter="tcp.flags.syn == 1", hint="Subtract the time of the SYN from that of its SYN-ACK.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the RTT, from the first SYN to its SYN-ACK."""
    rtt_s, frames = _rtt(seen)
    explanation = f"SYN in frame {frames[0]}, SYN-ACK in frame {frames[1]}: {rtt_s * 1e3:.3f} ms later."
    return Key(Number(rtt_s, "time", "ms", tolerance=0.02), frames, explanation)


@question(points=1, filter="http.request.version", hint="The version is the last word of the request line.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the HTTP version in the request for the page."""
    request = seen.http[0].request
    version = request.start_line[2].decode()
    return Key(Text(version), request.frames[:1], f"Frame {request.frames[0]} has {version} (RFC 9112 section 3).")


@question(points=2, filter="tcp.len > 0", hint="Several requests may be in one frame, and on several connections.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the number of requests that the client sends before the second response begins."""
    response = seen.http[1].response
    assert response is not None
    before = [one.request.frames[0] for one in seen.http if one.request.frames[0] < response.frames[0]]
    explanation = (
        f"The response begins in frame {response.frames[0]}; the requests before it begin in the frames "
        f"{', '.join(map(str, before))} (RFC 9112 sections 9.3.2 and 9.4)."
    )
    return Key(Number(len(before)), (*dict.fromkeys(before), response.frames[0]), explanation)


@question(points=2, filter="tcp.flags.syn == 1 || tcp.flags.fin == 1", hint="Go through the SYNs and FINs in order.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the maximum number of connections open (from SYN to first FIN) at the same time."""
    opened = [one.syn.frame for one in seen.connections]
    closed = [_first_fin(seen, number) for number in range(len(opened))]
    most, at = max(
        (sum(opened[: n + 1][i] <= frame < closed[i] for i in range(n + 1)), -frame) for n, frame in enumerate(opened)
    )
    explanation = f"Open after the SYN in frame {-at}: {most} (RFC 9112 section 9.4)."
    return Key(Number(most), (-at,), explanation)


def _first_fin(seen: CaptureView, number: int) -> int:
    """Return the number of the frame with the first FIN, from either side, on connection `number`."""
    one = seen.connections[number]
    return min(way.fin.frame for way in (one.from_client, one.from_server) if way.fin is not None)


@question(points=1, filter="tcp.flags.fin == 1", hint="Look at the source address of the first FIN.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the side, client or server, that sends the first FIN on the first connection."""
    first, frame = seen.connections[0], _first_fin(seen, 0)
    fin = first.from_client.fin
    side = "client" if fin is not None and fin.frame == frame else "server"
    explanation = f"Frame {frame} has the first FIN, from the {side} (RFC 9112 sections 9.3 and 9.6)."
    return Key(Choice(side, ("client", "server")), (frame,), explanation)


@question(
    points=2,
    filter="(tcp.flags.syn == 1 && tcp.flags.ack == 0) || (tcp.len > 0 && tcp.srcport == 80)",
    hint="The last segment with data from the server ends it.",
)
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load, from the first SYN to the last octet of a response."""
    time_s, frames = _duration(seen)
    explanation = f"From the SYN in frame {frames[0]} to the last data in frame {frames[1]}: {time_s * 1e3:.3f} ms."
    return Key(Number(time_s, "time", "ms", tolerance=0.01), frames, explanation)


@question(
    points=1, filter="tcp.flags.syn == 1 || http", hint="Each connection costs a round trip before its first request."
)
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load divided by the RTT, rounded."""
    (rtt_s, _), (time_s, frames) = _rtt(seen), _duration(seen)
    trips = round(time_s / rtt_s)
    explanation = f"{time_s * 1e3:.3f} ms / {rtt_s * 1e3:.3f} ms = {time_s / rtt_s:.2f}: handshakes and requests."
    return Key(Number(trips), frames, explanation)


@question(
    points=2,
    filter="http.request",
    hint="Count handshakes and rounds of requests; a round of parallel ones counts once.",
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the number of RTTs that the second drawn strategy would take to load the same objects."""
    frames = tuple(dict.fromkeys(one.request.frames[0] for one in seen.http))
    count = len(seen.http)
    trips = round(http_page_load(seen.variant["other_strategy"], 1.0, [0] * count).total_s)
    explanation = (
        f"The requests in the frames {', '.join(map(str, frames))} ask for {count} objects; "
        f"{seen.variant['other']}: {trips} round trips of handshakes and requests."
    )
    return Key(Number(trips), frames, explanation)


@question(points=1, filter="tcp.len > 0", hint="Subtract the times of two frames on the same connection.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the time from the request for the page to the beginning of the response."""
    first = seen.http[0]
    assert first.response is not None
    wait_s = (first.response.first_ns - first.request.first_ns) / 1e9
    frames = (first.request.frames[0], first.response.frames[0])
    explanation = f"Request in frame {frames[0]}, response in frame {frames[1]}: {wait_s * 1e3:.3f} ms."
    return Key(Number(wait_s, "time", "ms", tolerance=0.02), frames, explanation)


@question(points=1, filter='frame contains "course"', hint="Open the content of the first response.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the student's nonce in a meta element of the page."""
    response = seen.http[0].response
    assert response is not None
    mark = response.body.partition(b'name="course" content="')[2].partition(b'"')[0].decode()
    return Key(Text(mark), ends(response), f"{span(response)}: the page has it, {mark}.")
