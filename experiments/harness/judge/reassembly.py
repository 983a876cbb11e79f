"""TCP stream reassembly: the octets of one direction in order, with the number of the frame that carried each octet.

RFC 9293 section 3.4: sequence numbers count octets modulo 2^32. Segments may arrive out of order, repeated and
overlapping; of several copies of an octet, the first to arrive counts, as in a receiver's buffer. Left out: detection
of two different copies of the same octet, which no conforming sender produces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SEQUENCE_SPACE = 1 << 32


@dataclass(frozen=True)
class Segment:
    """Payload of one TCP segment: sequence number of the first octet, octets, frame number and time in ns."""

    sequence: int
    payload: bytes
    frame: int
    time_ns: int


@dataclass(frozen=True)
class Piece:
    """Range [start, end) of a stream's octets, with the number and time of the frame that first carried the octets."""

    start: int
    end: int
    frame: int
    time_ns: int


class Stream:
    """Reassembled octets of one direction of a TCP connection.

    `data` are the octets up to the first missing one; `whole` is True if no octet is missing. `pieces`
    are in the order of the octets.
    """

    def __init__(self, data: bytes, pieces: Sequence[Piece], whole: bool) -> None:
        self.data = data
        self.pieces = tuple(pieces)
        self.whole = whole
        self._starts = [piece.start for piece in self.pieces]

    def span(self, start: int, end: int) -> tuple[Piece, ...]:
        """Return the pieces that carried the octets [start, end). Raises IndexError beyond the stream's end."""
        if not 0 <= start < end <= len(self.data):
            raise IndexError(f"octets {start} to {end} of a stream of {len(self.data)}")
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1)
        return self.pieces[first:last]


def reassemble(first_sequence: int, segments: Iterable[Segment], end: int | None = None) -> Stream:
    """Reassemble one direction of a TCP connection from segments in order of arrival.

    `first_sequence` is the sequence number of the first octet (the SYN's plus one); `end` is the length of the stream
    as given by the sender's FIN, if one was captured.
    """
    pieces: list[Piece] = []
    octets: dict[int, bytes] = {}
    expected = 0
    for segment in segments:
        start = unwrap(segment.sequence - first_sequence, expected)
        for low, high in _gaps(pieces, max(start, 0), start + len(segment.payload)):
            _insert(pieces, Piece(low, high, segment.frame, segment.time_ns))
            octets[low] = segment.payload[low - start : high - start]
        expected = max(expected, start + len(segment.payload))
    contiguous = _contiguous(pieces)
    data = b"".join(octets[piece.start] for piece in contiguous)
    whole = len(contiguous) == len(pieces) and (end is None or end == len(data))
    return Stream(data, contiguous, whole)


def unwrap(distance: int, near: int) -> int:
    """Return the unwrapped sequence number: the number closest to `near` that equals `distance` modulo 2^32."""
    half = SEQUENCE_SPACE // 2
    return near + (distance - near + half) % SEQUENCE_SPACE - half


def _gaps(pieces: Sequence[Piece], start: int, end: int) -> list[tuple[int, int]]:
    """Return the ranges within [start, end) that no piece covers; the pieces must be disjoint and sorted."""
    gaps: list[tuple[int, int]] = []
    index = max(bisect_right(pieces, start, key=lambda piece: piece.start) - 1, 0)
    for piece in pieces[index:]:
        if piece.start >= end:
            break
        if piece.start > start:
            gaps.append((start, piece.start))
        start = max(start, piece.end)
    if start < end:
        gaps.append((start, end))
    return gaps


def _insert(pieces: list[Piece], piece: Piece) -> None:
    pieces.insert(bisect_right(pieces, piece.start, key=lambda other: other.start), piece)


def _contiguous(pieces: Sequence[Piece]) -> list[Piece]:
    expected = 0
    prefix: list[Piece] = []
    for piece in pieces:
        if piece.start != expected:
            break
        prefix.append(piece)
        expected = piece.end
    return prefix
