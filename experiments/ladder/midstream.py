"""TCP connections whose SYN was not captured: opened before the capture began, or captured in one direction only.

The client is the receiver of the SYN-ACK. Without a SYN-ACK, it is the sender of an HTTP request or the receiver of an
HTTP response, or else the end with the higher port. A stream begins with its first captured segment, an HTTP stream
with the first segment that starts with a message. Left out: a capture that begins within the first message of another
protocol, since the parser does not recognise the rest of that message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lab7.experiments.harness.judge.frames import (
    ACK,
    SYN,
    Connection,
    Direction,
    Endpoint,
    Frame,
    TcpSegment,
    datagrams,
)

# Spaces in or before the target are malformed, but servers may accept them (RFC 9112 section 3).
HTTP_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [^\r\n]{1,8000}? HTTP/\d\.\d\r?\n|PRI \* HTTP/2\.0\r\n")
HTTP_STATUS = re.compile(rb"HTTP/\d\.\d \d{3}[ \r\n]")
SEQUENCES = 1 << 32

_Ends = frozenset[Endpoint]
_Segments = list[tuple[Frame, TcpSegment]]


def connections_without_syn(frames: Iterable[Frame]) -> list[Connection]:
    """Return the TCP connections with payload but without a captured SYN, in the order of their first frames."""
    opened: set[_Ends] = set()
    begun: dict[_Ends, _Segments] = {}
    for frame in datagrams(frames):
        tcp = frame.tcp
        if tcp is None:
            continue
        ends = frozenset((tcp.source, tcp.target))
        if tcp.flags & (SYN | ACK) == SYN:
            opened.add(ends)
        elif ends not in opened:
            begun.setdefault(ends, []).append((frame, tcp))
    return [_connection(segments) for segments in begun.values() if any(tcp.payload for _, tcp in segments)]


def _connection(segments: _Segments) -> Connection:
    client, server = _roles([tcp for _, tcp in segments])
    requested = next((at for at, (_, tcp) in enumerate(segments) if HTTP_REQUEST.match(tcp.payload)), 0)
    ways = {client: Direction(), server: Direction()}
    for end, pattern in ((client, HTTP_REQUEST), (server, HTTP_STATUS)):
        way = ways[end]
        # Skip a response captured before the first request, since its request was not captured.
        starts = (tcp.sequence for _, tcp in segments[requested:] if tcp.source == end and pattern.match(tcp.payload))
        for frame, tcp in segments:
            if tcp.source == end:
                way.add(frame, tcp)
        if way.initial_sequence is None and way.segments:
            lowest = _lowest([segment.sequence for segment in way.segments])
            way.initial_sequence = next(starts, lowest) - 1
    return Connection(client, server, ways[client], ways[server])


def _roles(segments: list[TcpSegment]) -> tuple[Endpoint, Endpoint]:
    """Return (client, server) of a connection without a captured SYN, by the SYN-ACK, an HTTP message or the ports."""
    for tcp in segments:
        if tcp.flags & SYN:
            return tcp.target, tcp.source
    for tcp in segments:
        if HTTP_REQUEST.match(tcp.payload):
            return tcp.source, tcp.target
        if HTTP_STATUS.match(tcp.payload):
            return tcp.target, tcp.source
    first = segments[0]
    ends = (first.source, first.target)
    return ends if first.source.port >= first.target.port else ends[::-1]


def _lowest(sequences: list[int]) -> int:
    """Return the lowest of several TCP sequence numbers, compared modulo 2**32 relative to the first one."""
    half = SEQUENCES // 2
    return (sequences[0] + min((one - sequences[0] + half) % SEQUENCES - half for one in sequences)) % SEQUENCES
