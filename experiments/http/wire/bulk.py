"""Fast parser of captures with thousands of HTTP/1 requests: packet headers and message heads only, without scapy.

scapy dissects some thousand frames a second; with the parser `http1`, an experiment under load would need minutes. This
parser reads the fixed headers directly (Ethernet RFC 894, IPv4 RFC 791, TCP RFC 9293 section 3.1), and the first line
of each message. It assumes one outstanding request per connection: a request begins at "GET " after the previous
response, and its response is all server data until the next request. Pipelining, HTTP/2, IPv6 and reassembly are not
supported. Retransmitted segments are counted, for the caller to report.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lab7.experiments.harness.judge.frames import Frame
from lab7.experiments.http.wire.http1 import GrammarError, chunked_body

ETHERNET_BYTES, IPV4, TCP = 14, 0x0800, 6
_ETHERTYPE = struct.Struct("!12xH")
_TCP = struct.Struct("!HHII")
Address = tuple[bytes, int]
# _ABSOLUTE matches the scheme and authority (RFC 3986 section 3) in a request-target for a proxy.
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?]*")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)


@dataclass(slots=True)
class BulkExchange:
    """HTTP/1 request and its response at one interface, with times in ns of the request and of the response's segments.

    - `end`: sequence number after the last octet of the response, which identifies it at other interfaces as well
    - `wire_bytes`: octets of all frames of the response, packet headers included
    - `pieces`: payloads of the response's segments, if kept
    - `request_bytes`: size of the request, which is in one segment
    - `acknowledgement_bytes`: octets of frames without data that the server sends before the response
    """

    client: Address
    server: Address
    target: bytes
    asked_ns: int
    frame: int
    first_ns: int = 0
    last_ns: int = 0
    end: int = 0
    wire_bytes: int = 0
    status: bytes = b""
    start: int = 0
    pieces: list[bytes] = field(default_factory=list)
    request_bytes: int = 0
    acknowledgement_bytes: int = 0

    @property
    def octets(self) -> int:
        """Return the size in octets of the response, header section and content."""
        return (self.end - self.start) % 2**32

    @property
    def path(self) -> bytes:
        """Return path and query of the request-target, without scheme and authority."""
        return _ABSOLUTE.sub(b"", self.target, count=1) or b"/"

    @property
    def content(self) -> bytes | None:
        """Return the content of the response (RFC 9112 section 6.3); None if it was not captured completely.

        If Content-Length is wrong, the header section is included; the result then equals no object.
        """
        octets = b"".join(self.pieces)
        if not octets or len(octets) != self.octets:
            return None
        head, _, body = octets.partition(b"\r\n\r\n")
        head += b"\r\n"
        if _CHUNKED.search(head):
            try:
                return chunked_body(octets, len(head) + 2)[0]
            except (GrammarError, EOFError):
                return body
        length = _LENGTH.search(head)
        return body if length is None or int(length[1]) == len(body) else octets

    @property
    def key(self) -> tuple[Address, Address, int]:
        """Return (client, server, sequence number of the response's end), which is the same at every interface."""
        return self.client, self.server, self.end


@dataclass
class Traffic:
    """HTTP/1 requests with responses at one interface, in order, and the number of retransmitted segments."""

    crossings: list[BulkExchange] = field(default_factory=list)
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    source: Address
    target: Address
    sequence: int
    payload: bytes
    # Octets of data by the IP header, more than those of `payload` in a frame that was captured in part.
    length: int


def crossings(frames: Iterable[Frame], port: int, keep_content: bool = False) -> Traffic:
    """Return the HTTP/1 requests to servers at this port, with their responses.

    With `keep_content`, the octets of the responses are kept.
    """
    traffic = Traffic()
    current: dict[tuple[Address, Address], BulkExchange] = {}
    highest: dict[tuple[Address, Address], int] = {}
    for frame, segment in _segments(frames):
        way = segment.source, segment.target
        if not segment.length:
            asked = current.get((way[1], way[0]))
            if asked is not None and not asked.first_ns:
                asked.acknowledgement_bytes += frame.wire_length
            continue
        end = (segment.sequence + segment.length) % 2**32
        if way in highest and not _is_after(end, highest[way]):
            traffic.repeated += 1
            continue
        highest[way] = end
        if segment.target[1] == port and segment.payload.startswith(b"GET "):
            target = segment.payload.split(b" ", 2)[1]
            current[way] = BulkExchange(segment.source, segment.target, target, frame.time_ns, frame.number)
            current[way].request_bytes = segment.length
            traffic.crossings.append(current[way])
        elif segment.source[1] == port and (way[1], way[0]) in current:
            _extend(current[way[1], way[0]], frame, segment, end, keep_content)
    return traffic


def _extend(crossing: BulkExchange, frame: Frame, segment: _Segment, end: int, keep_content: bool) -> None:
    payload = segment.payload
    if keep_content:
        crossing.pieces.append(payload)
    if not crossing.first_ns:
        crossing.first_ns, crossing.start = frame.time_ns, segment.sequence
        crossing.status = payload.split(b" ", 2)[1] if payload.startswith(b"HTTP/1.") else b""
    crossing.last_ns, crossing.end = frame.time_ns, end
    crossing.wire_bytes += frame.wire_length


def _is_after(sequence: int, other: int) -> bool:
    """Return True if sequence number `sequence` is after `other` modulo 2^32 (RFC 9293 section 3.4)."""
    return 0 < (sequence - other) % 2**32 < 2**31


def _segments(frames: Iterable[Frame]) -> Iterator[tuple[Frame, _Segment]]:
    """Yield (frame, TCP segment) for each frame with TCP over IPv4."""
    for frame in frames:
        data = frame.data
        if len(data) < ETHERNET_BYTES + 40 or _ETHERTYPE.unpack_from(data)[0] != IPV4:
            continue
        header = (data[ETHERNET_BYTES] & 0x0F) * 4
        if data[ETHERNET_BYTES + 9] != TCP:
            continue
        total = int.from_bytes(data[ETHERNET_BYTES + 2 : ETHERNET_BYTES + 4], "big")
        start = ETHERNET_BYTES + header
        source_port, target_port, sequence, _ = _TCP.unpack_from(data, start)
        begin = start + (data[start + 12] >> 4) * 4
        payload, length = data[begin : ETHERNET_BYTES + total], max(ETHERNET_BYTES + total - begin, 0)
        source, target = data[ETHERNET_BYTES + 12 : ETHERNET_BYTES + 16], data[ETHERNET_BYTES + 16 : start]
        yield frame, _Segment((source, source_port), (target[:4], target_port), sequence, payload, length)


def octets_without_content(data: bytes) -> int:
    """Return how many octets of a frame to store in a capture, if the content of HTTP/1 messages is to be omitted.

    A TCP segment over IPv4 that begins with a message head is kept up to the end of the head; any other segment with
    data is content, and only its packet headers are kept. Segments without data, and all other frames, are kept whole.
    """
    if len(data) < ETHERNET_BYTES + 40 or _ETHERTYPE.unpack_from(data)[0] != IPV4 or data[ETHERNET_BYTES + 9] != TCP:
        return len(data)
    start = ETHERNET_BYTES + (data[ETHERNET_BYTES] & 0x0F) * 4
    payload = start + (data[start + 12] >> 4) * 4 if start + 12 < len(data) else len(data)
    if ETHERNET_BYTES + int.from_bytes(data[ETHERNET_BYTES + 2 : ETHERNET_BYTES + 4], "big") <= payload:
        # A segment without data; what follows is the padding of a short frame.
        return len(data)
    if not _HEAD.match(data, payload):
        return payload
    end = data.find(b"\r\n\r\n", payload)
    return len(data) if end < 0 else end + 4


# First octets of a request line (RFC 9112 section 3) or status line (section 4).
_HEAD = re.compile(rb"HTTP/1\.|[A-Z]{3,16} \S")
