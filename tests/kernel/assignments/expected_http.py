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

CLIENT_SIDE, SERVER_SIDE = "tcp.port == 3128", "tcp.port == 80"


def _asked(capture: Path, side: str, name: str = "") -> list[int]:
    """Return the frames of the requests at a side of the proxy, for one object if a name is given."""
    wanted = f' && http.request.uri contains "/{name}"' if name else ""
    return tshark.frames(capture, f"http.request && {side}{wanted}")


def _begins(capture: Path, side: str, request: int) -> int:
    """Return the frame of the first data in the other direction after a request, which is the only one under way."""
    answer = side.replace("tcp.port", "tcp.srcport")
    return tshark.frames(capture, f"{answer} && tcp.len > 0 && frame.number > {request}")[0]


def _line(capture: Path, frame: int, name: str) -> str:
    """Return the value of a header field of the message that is complete in a frame."""
    (lines,) = tshark.lines(capture, f"frame.number == {frame}")
    return next(line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name.lower()}:"))


def _hits(capture: Path, _values: Values) -> str:
    asked, forwarded = _asked(capture, CLIENT_SIDE), _asked(capture, SERVER_SIDE)
    answered = [_begins(capture, CLIENT_SIDE, frame) for frame in asked]
    return ", ".join(
        str(end)
        for start, end in zip(asked, answered, strict=True)
        if not any(start < frame < end for frame in forwarded)
    )


def _hit_field(capture: Path, values: Values, name: str) -> str:
    # tshark decodes a message in the frame that completes it.
    rows = tshark.frames(capture, f'http.response_for.uri contains "/{values["kept"]}" && {CLIENT_SIDE}')
    return _line(capture, rows[1], name)


def _rest_of_freshness(capture: Path, values: Values) -> str:
    lifetime = _hit_field(capture, values, "Cache-Control").partition("max-age=")[2]
    return f"{int(lifetime) - int(_hit_field(capture, values, 'Age'))} s"


def _saved(capture: Path, values: Values) -> str:
    requests = [*_asked(capture, SERVER_SIDE), 1 << 31]
    sizes = []
    for start in _asked(capture, SERVER_SIDE, values["same"]):
        end = requests[requests.index(start) + 1]
        between = f"tcp.srcport == 80 && frame.number > {start} && frame.number < {end}"
        sizes.append(sum(int(size) for (size,) in tshark.fields(capture, between, "tcp.len")))
    return f"{sizes[0] - sizes[1]} bytes"


def _new_tag(capture: Path, values: Values) -> str:
    rows = tshark.frames(capture, f'http.response_for.uri contains "/{values["changed"]}" && {SERVER_SIDE}')
    return _line(capture, rows[1], "ETag")


def _miss_time(capture: Path, values: Values) -> str:
    request = _asked(capture, CLIENT_SIDE, values["kept"])[0]
    ends = f"frame.number == {request} || frame.number == {_begins(capture, CLIENT_SIDE, request)}"
    start_ns, end_ns = tshark.times_ns(capture, ends)
    return tshark.ms(end_ns - start_ns)


WEB_CACHE: Expected = {
    "q1": lambda capture, _: str(len(_asked(capture, CLIENT_SIDE))),
    "q2": lambda capture, _: str(len(_asked(capture, SERVER_SIDE))),
    "q3": _hits,
    "q4": lambda capture, values: f"{_hit_field(capture, values, 'Age')} s",
    "q5": _rest_of_freshness,
    "q6": lambda capture, values: _hit_field(capture, values, "Cache-Status"),
    "q7": lambda capture, values: _line(capture, _asked(capture, SERVER_SIDE, values["same"])[1], "If-None-Match"),
    "q8": lambda capture, values: str(_begins(capture, SERVER_SIDE, _asked(capture, SERVER_SIDE, values["same"])[1])),
    "q9": _saved,
    "q10": _new_tag,
    "q11": lambda capture, _: _line(capture, _asked(capture, SERVER_SIDE)[0], "Via"),
    "q12": _miss_time,
}

EXPECTED = {"http-basics": HTTP_BASICS, "http-timing": HTTP_TIMING, "web-cache": WEB_CACHE}
