"""Answers by tshark to the questions of the assignments on HTTP."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments import tshark
from tests.kernel.assignments.tshark import Expected, Values

SYN, SYN_ACK = "tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.flags.syn == 1 && tcp.flags.ack == 1"

HTTP_BASICS: Expected = {
    "q1": lambda capture, _: str(len(tshark.frames(capture, "http.request"))),
    "q2": lambda capture, variant: str(tshark.frames(capture, f'http.request.uri == "/{variant["page"]}"')[0]),
    "q3": lambda capture, variant: _response(capture, variant["page"], "http.response.code"),
    "q4": lambda capture, variant: (
        f"{_response(capture, variant['missing'], 'http.response.code')} "
        f"{_response(capture, variant['missing'], 'http.response.phrase')}"
    ),
    "q5": lambda capture, variant: f"{_response(capture, variant['picture'], 'http.content_length_header')} bytes",
    "q6": lambda capture, variant: _response(capture, variant["picture"], "http.content_type"),
    "q7": lambda capture, _: str(len(tshark.frames(capture, SYN))),
    "q9": lambda capture, variant: _response(capture, variant["page"], "http.last_modified"),
}


def _response(capture: Path, name: str, field: str) -> str:
    # tshark decodes the content of a message in the frame that completes it.
    rows = tshark.fields(capture, f'http.response_for.uri contains "/{name}"', field)
    return rows[0][0]


def _rtt_ns(capture: Path) -> int:
    return tshark.times_ns(capture, SYN_ACK)[0] - tshark.times_ns(capture, SYN)[0]


def _load_ns(capture: Path) -> int:
    return tshark.times_ns(capture, "tcp.len > 0 && tcp.srcport == 80")[-1] - tshark.times_ns(capture, SYN)[0]


def _sent_before_the_second_response(capture: Path, _values: Values) -> str:
    # The server's first segment with data on the stream of the second request, after the request itself.
    requests = [(int(frame), stream) for frame, streams in tshark.fields(capture, "http.request", "frame.number",
                "tcp.stream") for stream in streams.split("|")]  # fmt: skip
    counts = [len(uris.split("|")) for (uris,) in tshark.fields(capture, "http.request", "http.request.uri")]
    sent = [frame for (frame, _), count in zip(requests, counts, strict=True) for _ in range(count)]
    streams = [stream for (_, stream), count in zip(requests, counts, strict=True) for _ in range(count)]
    answered = tshark.frames(
        capture, f"tcp.len > 0 && tcp.srcport == 80 && tcp.stream == {streams[1]} && frame.number > {sent[1]}"
    )
    return str(sum(frame < answered[0] for frame in sent))


def _open_at_once(capture: Path, _values: Values) -> str:
    open_now: set[str] = set()
    finished: set[str] = set()
    most = 0
    rows = tshark.fields(capture, "tcp.flags.syn == 1 || tcp.flags.fin == 1", "tcp.stream", "tcp.flags.fin")
    for stream, fin in rows:
        if fin in ("1", "True"):
            finished.add(stream)
            open_now.discard(stream)
        elif stream not in finished:
            open_now.add(stream)
        most = max(most, len(open_now))
    return str(most)


def _first_to_close(capture: Path, _values: Values) -> str:
    port = tshark.fields(capture, "tcp.flags.fin == 1 && tcp.stream == 0", "tcp.srcport")[0][0]
    return "b) server" if port == "80" else "a) client"


def _other_round_trips(capture: Path, values: Values) -> str:
    uris = tshark.fields(capture, "http.request", "http.request.uri")
    count = sum(len(one.split("|")) for (one,) in uris)
    trips = {"1.0-serial": 2 * count, "1.0-parallel": 4, "1.1-persistent": count + 1, "1.1-pipelined": 3}
    return str(trips[values["other_strategy"]])


def _page_wait(capture: Path, values: Values) -> str:
    asked = tshark.times_ns(capture, f'http.request.uri == "/{values["page"]}"')[0]
    return tshark.ms(tshark.times_ns(capture, "tcp.len > 0 && tcp.srcport == 80 && tcp.stream == 0")[0] - asked)


HTTP_TIMING: Expected = {
    "q1": lambda capture, _: str(len(tshark.frames(capture, SYN))),
    "q2": lambda capture, _: ", ".join(map(str, tshark.frames(capture, SYN))),
    "q3": lambda capture, _: tshark.ms(_rtt_ns(capture)),
    "q4": lambda capture, _: tshark.fields(capture, "http.request", "http.request.version")[0][0],
    "q5": _sent_before_the_second_response,
    "q6": _open_at_once,
    "q7": _first_to_close,
    "q8": lambda capture, _: tshark.ms(_load_ns(capture)),
    "q9": lambda capture, _: str(round(_load_ns(capture) / _rtt_ns(capture))),
    "q10": _other_round_trips,
    "q11": _page_wait,
}

EXPECTED = {"http-basics": HTTP_BASICS, "http-timing": HTTP_TIMING}
