"""Answers by tshark to the questions of the assignment http2."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments import tshark
from tests.kernel.assignments.tshark import Expected, Values

FROM_CLIENT, FROM_SERVER = "tcp.dstport == 80", "tcp.srcport == 80"
DATA, HEADERS = "0", "1"


def _frames(capture: Path, side: str) -> list[tuple[int, str, str, str, str]]:
    """Return (packet, type, stream, length, flags) of each HTTP/2 frame from a side, in order."""
    names = ("http2.type", "http2.streamid", "http2.length", "http2.flags")
    rows = tshark.fields(capture, f"http2 && {side}", "frame.number", *names)
    return [
        (int(number), *one)
        for number, *columns in rows
        for one in zip(*(column.split("|") for column in columns), strict=True)
    ]


def _requests(capture: Path) -> list[tuple[str, str, str]]:
    """Return (path, stream, length of the header block) of each request by HTTP/2."""
    rows = tshark.fields(capture, f"http2.headers.path && {FROM_CLIENT}", "http2.headers.path")
    paths = [path for (row,) in rows for path in row.split("|")]
    blocks = [one for one in _frames(capture, FROM_CLIENT) if one[1] == HEADERS]
    return [(path, one[2], one[3]) for path, one in zip(paths, blocks, strict=True)]


def _of(capture: Path, name: str) -> tuple[str, str, str]:
    return next(one for one in _requests(capture) if one[0] == f"/{name}")


def _ends(capture: Path, _values: Values) -> str:
    messages = [one for one in _frames(capture, FROM_SERVER) if one[1] in (DATA, HEADERS)]
    return ", ".join(stream for _, _, stream, _, flags in messages if int(flags, 16) & 1)


def _plain_size(capture: Path, values: Values) -> str:
    names = (values["page"], values["picture"])
    rows = [tshark.fields(capture, f'http.request.uri == "/{name}"', "tcp.len") for name in names]
    return f"{sum(int(one[0][0]) for one in rows)} bytes"


def _before_the_second(capture: Path, _values: Values) -> str:
    second = _requests(capture)[1][1]
    answered = next(packet for packet, _, stream, _, _ in _frames(capture, FROM_SERVER) if stream == second)
    asked = [packet for packet, kind, *_ in _frames(capture, FROM_CLIENT) if kind == HEADERS]
    return str(sum(packet < answered for packet in asked))


def _load_ns(capture: Path, which: str) -> int:
    """Return the time in ns from the SYN to the last message of the server on the connection of a protocol."""
    stream = tshark.fields(capture, which, "tcp.stream")[0][0]
    syn = tshark.times_ns(capture, f"tcp.flags.syn == 1 && tcp.stream == {stream}")[0]
    # The GOAWAY at the end of a connection belongs to no response.
    last = tshark.times_ns(capture, f"tcp.stream == {stream} && {FROM_SERVER} && (http2.type == 0 || http.response)")
    return last[-1] - syn


HTTP2: Expected = {
    "q1": lambda capture, _: str(tshark.frames(capture, "http2.magic")[0]),
    "q2": lambda capture, _: str(len(_requests(capture))),
    "q3": lambda capture, values: _of(capture, values["picture"])[1],
    "q4": lambda capture, _: str(sum(one[1] == DATA for one in _frames(capture, FROM_SERVER))),
    "q5": _ends,
    "q6": lambda capture, values: f"{_of(capture, values['page'])[2]} bytes",
    "q7": lambda capture, values: f"{_of(capture, values['picture'])[2]} bytes",
    "q8": _plain_size,
    "q9": _before_the_second,
    "q10": lambda capture, _: tshark.ms(_load_ns(capture, "http2")),
    "q11": lambda capture, _: tshark.ms(_load_ns(capture, "http.request") - _load_ns(capture, "http2")),
}

EXPECTED = {"http2": HTTP2}
