"""HTTP/2 client of the probes: one request on one connection, and the messages in the frames received."""

import socket
from collections.abc import Iterator
from contextlib import suppress

from hpack import Decoder

from tests.loopback.http.cache_probes.probing import Line, Message, Probe, Step
from tests.loopback.http.raw_http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    block,
    frame,
)
from tests.loopback.http.support import HOST, PATIENCE_S

# RFC 9113 section 4.2: the largest frame without a setting of the server.
FRAME_OCTETS = 16_384
# RFC 9113 section 8.2.2: a request with any of these is malformed, so a probe that sends one is for HTTP/1 alone.
_OF_HTTP_1 = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")


def is_expressible(probe: Probe) -> bool:
    """Return whether each request of a probe has an equivalent in HTTP/2, and no time must pass between them."""
    return all(_has_equivalent(step) and not step.after_s for step in probe.steps)


def _has_equivalent(step: Step) -> bool:
    names = [line.partition(":")[0].strip().lower() for line in step.fields]
    return (
        not step.raw
        and step.version == "1.1"
        and step.method not in ("CONNECT", "TRACE")
        and step.target[:1] in ("", "/", "{")
        and not any(name in _OF_HTTP_1 for name in names)
        and all(line.lower().split(":")[1].strip() == "trailers" for line in step.fields if line.lower()[:3] == "te:")
    )


def ask(port: int, step: Step, target: str, lines: tuple[str, ...]) -> Message:
    """Send a request whose fields are `lines`, Host among them; return the response."""
    pairs = [(name.strip().lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
    authority = next(value for name, value in pairs if name == "host")
    pseudo = ((":method", step.method), (":scheme", "http"), (":authority", authority), (":path", target))
    wanted = [*pseudo, *(pair for pair in pairs if pair[0] not in ("host", "connection"))]
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in wanted]
    flags = END_HEADERS | (0 if step.sent else END_STREAM)
    octets = PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0) + frame(HEADERS, flags, 1, block(fields))
    for at in range(0, len(step.sent), FRAME_OCTETS):
        piece = step.sent[at : at + FRAME_OCTETS]
        octets += frame(DATA, END_STREAM if at + FRAME_OCTETS >= len(step.sent) else 0, 1, piece)
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        return _message(_frames(peer))


def _frames(peer: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Return type, flags and payload of the frames on stream 1, until its end."""
    octets = b""
    with suppress(OSError):
        while piece := peer.recv(65_536):
            octets += piece
            while len(octets) >= 9 and len(octets) >= 9 + (size := int.from_bytes(octets[:3], "big")):
                kind, flags, stream_id = octets[3], octets[4], int.from_bytes(octets[5:9], "big")
                payload, octets = octets[9 : 9 + size], octets[9 + size :]
                if stream_id == 1:
                    yield kind, flags, payload
                    if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                        return


def _message(frames: Iterator[tuple[int, int, bytes]]) -> Message:
    decoder = Decoder()
    interim: list[Message] = []
    start, content, is_whole = "", b"", False
    lines: tuple[Line, ...] = ()
    trailers: tuple[Line, ...] = ()
    for kind, flags, payload in frames:
        is_whole = kind in (HEADERS, DATA) and bool(flags & END_STREAM)
        if kind == DATA:
            content += payload
        elif kind == HEADERS:
            decoded = tuple(
                (name.decode(), value.decode("latin-1")) for name, value in decoder.decode(payload, raw=True)
            )
            status = dict(decoded).get(":status")
            rest = tuple(line for line in decoded if line[0] != ":status")
            if status is None:
                trailers = rest
            elif status.startswith("1"):
                interim.append(Message(f"HTTP/2 {status}", rest))
            else:
                start, lines = f"HTTP/2 {status}", rest
    return Message(start, lines, content, is_whole, tuple(interim), trailers)
