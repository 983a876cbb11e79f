"""Questions of the assignment http-prediction, on page load times of HTTP: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() loads the page in four ways (HTTP/1.0 with serial and
parallel connections, HTTP/1.1 with and without pipelining) while the traffic is captured. Each function q1, q2, ...
computes the correct answer to one question (its key) from this capture. Students do not get the capture: they predict
the answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Number
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.harness.judge.decomposition import Decomposition
from lab7.experiments.http.lab import MODIFIED, write_picture
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.page_load import PageLoad, decompose

# Page load strategies of the client, in the order in which they are used.
STRATEGIES = ("1.0-serial", "1.0-parallel", "1.1-persistent", "1.1-pipelined")
# Idle time in seconds between two page loads.
PAUSE_S = 5.0
# Approximate size in octets of the header section in a response of lab7's origin.
HEAD_BYTES = 200


def variant(draw: Draw) -> dict[str, Any]:
    """Draw rate and delay of the link, and objects so small that no burst exceeds the initial congestion window."""
    pictures = dict.fromkeys(f"{draw.word(f'picture-{number}')}.png" for number in range(draw.number("pictures", 3, 6)))
    return {
        "page": f"{draw.word('page')}.html",
        "page_bytes": draw.number("page-size", 900, 1_200),
        "pictures": {name: draw.number(f"size-{name}", 500, 1_900, 10) for name in pictures},
        "head_bytes": HEAD_BYTES,
        "parameters": {"delay": f"{draw.number('delay', 10, 60)}ms", "bw": draw.number("rate", 10, 40) / 10},
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the page, padded to its drawn size, and its pictures."""
    images = "".join(f'<img src="{name}" alt="">\n' for name in variant["pictures"])
    page = f'<!doctype html>\n<meta name="course" content="{variant["nonce"]}">\n<title>page</title>\n{images}'
    (folder / variant["page"]).write_text(page.ljust(variant["page_bytes"]))
    for seed, (name, size_bytes) in enumerate(variant["pictures"].items()):
        write_picture(folder / name, size_bytes, seed)
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))


def record(lab: Lab) -> None:
    """Produce the traffic: load the page by each of STRATEGIES in turn, such as HTTP/1.0 with parallel connections."""
    url = f"http://www.example.com/{lab.variant['page']}"
    for strategy in STRATEGIES:
        flags = ["--strategy", strategy, "--parallel", str(len(lab.variant["pictures"]))]
        lab.run_module("client", "lab7.services.http.client", *flags, url)
        time.sleep(PAUSE_S)


def _load(seen: CaptureView, strategy: str) -> PageLoad:
    """Return the captured page load by a strategy (HTTP version and use of connections).

    Page loads follow each other in the order of STRATEGIES, and are separated by idle times.
    """
    starts: list[int] = []
    last_ns = 0
    for one in seen.page_load.conversations:
        if not starts or one.connection.syn.time_ns - last_ns > PAUSE_S / 2 * 1e9:
            starts.append(one.connection.syn.time_ns)
        ends_ns = [each.response.last_ns for each in one.exchanges if each.response is not None]
        last_ns = max(last_ns, *ends_ns)
    if len(starts) != len(STRATEGIES):
        raise ValueError(f"the capture has {len(starts)} page loads")
    place = STRATEGIES.index(strategy)
    return seen.page_load.between(starts[place], [*starts, 1 << 63][place + 1])


def _time(seen: CaptureView, strategy: str) -> tuple[Decomposition, tuple[int, int]]:
    """Return (measured page load time, divided into terms; frame numbers).

    The pair of frame numbers is that of the first SYN and of the last response segment.
    """
    load = _load(seen, strategy)
    last = max(
        (piece for one in load.exchanges if one.response is not None for piece in one.response.pieces),
        key=lambda piece: (piece.time_ns, piece.frame),
    )
    return decompose(load), (load.conversations[0].connection.syn.frame, last.frame)


def _key(seen: CaptureView, strategy: str) -> Key:
    """Return the answer key: the time of a strategy's page load.

    Its explanation compares the measured time with the closed-form formula for the strategy, term by term.
    """
    values = seen.variant
    measured, frames = _time(seen, strategy)
    rtt_s = 2 * float(values["parameters"]["delay"].removesuffix("ms")) / 1e3
    sizes = [values["page_bytes"], *values["pictures"].values()]
    theory = http_page_load(strategy, rtt_s, sizes, values["parameters"]["bw"] * 1e6, values["head_bytes"])
    terms = ", ".join(f"{name} {value_s * 1e3:.1f} ms" for name, value_s in measured.terms.items() if value_s > 0)
    closed = ", ".join(f"{name} {value_s * 1e3:.1f} ms" for name, value_s in theory.terms.items() if value_s > 0)
    explanation = (
        f"From frame {frames[0]} to frame {frames[1]}: {measured.total_s * 1e3:.1f} ms = {terms}. The closed form "
        f"{theory.formula} gives {theory.total_s * 1e3:.1f} ms: {closed} ({theory.source}), without "
        "the frames of handshakes and requests."
    )
    return Key(Number(measured.total_s, "time", "ms"), frames, explanation)


@question(points=1, filter="tcp.flags.syn == 1", hint="Two frames of 74 octets, and the delay in both directions.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the RTT, from the first SYN to its SYN-ACK."""
    first = seen.connections[0]
    answer = first.from_server.syn
    if answer is None:
        raise ValueError("the first SYN has no answer")
    time_s = (answer.time_ns - first.syn.time_ns) / 1e9
    frames = (first.syn.frame, answer.frame)
    explanation = f"From frame {frames[0]} to frame {frames[1]}: twice the delay, and the transmission of both frames."
    return Key(Number(time_s, "time", "ms"), frames, explanation)


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="Page and pictures are objects.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the number of connections of the page load by HTTP/1.0."""
    frames = tuple(one.connection.syn.frame for one in _load(seen, "1.0-serial").conversations)
    explanation = f"SYNs in the frames {', '.join(map(str, frames))}: one connection for each object."
    return Key(Number(len(frames)), frames, explanation)


@question(points=2, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="Each object costs a handshake and a request.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/1.0 over serial connections."""
    return _key(seen, "1.0-serial")


@question(points=2, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="Parallel requests cost one round trip together.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/1.0 over parallel connections."""
    return _key(seen, "1.0-parallel")


@question(points=2, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="One handshake, and a request for each object.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/1.1 over one persistent connection."""
    return _key(seen, "1.1-persistent")


@question(points=2, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="All requests for pictures are sent together.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the time of the page load by HTTP/1.1 with pipelining."""
    return _key(seen, "1.1-pipelined")


@question(points=1, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="Divide two predictions.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the page load time over serial connections divided by that over a persistent one."""
    (serial, first), (persistent, second) = _time(seen, "1.0-serial"), _time(seen, "1.1-persistent")
    ratio = serial.total_s / persistent.total_s
    explanation = f"{serial.total_s * 1e3:.1f} ms / {persistent.total_s * 1e3:.1f} ms = {ratio:.3f}."
    return Key(Number(ratio), (*first, *second), explanation)


@question(points=1, filter="tcp.flags.syn == 1 || tcp.len > 0", hint="A frame arrives when its last octet has arrived.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the time from the persistent connection's SYN to its first response segment."""
    (conversation,) = _load(seen, "1.1-persistent").conversations
    response = conversation.exchanges[0].response
    if response is None:
        raise ValueError("the page has no response")
    syn = conversation.connection.syn
    time_s = (response.first_ns - syn.time_ns) / 1e9
    explanation = (
        f"From frame {syn.frame} to frame {response.frames[0]}: {time_s * 1e3:.1f} ms, a round trip for the handshake "
        "and one for the request, with the transmission of the response's first segment."
    )
    return Key(Number(time_s, "time", "ms"), (syn.frame, response.frames[0]), explanation)
