"""Byte ranges: which octets of a representation does a Range field ask for? (RFC 9110 section 14)

    >>> select_ranges(b"bytes=0-4,-2", 10)
    [Span(first=0, last=4), Span(first=8, last=9)]

Left out: units other than bytes, which section 14.2 has a server ignore.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

# RFC 9110 section 14.2 lets a server ignore many small ranges: they cost it far more than the client.
LARGEST_SET = 16
# The same section: more than two overlapping ranges are a sign of a broken or hostile client.
OVERLAPS_TAKEN = 2

_SPEC = re.compile(rb"(\d++)-(\d++)?|-(\d++)")
# So no number in it has more digits than this, which int() reads without complaint.
_LARGEST_SET_OCTETS = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """Octets `first` to `last`, both counted in."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


def select_ranges(value: bytes, size: int) -> list[Span] | None:
    """Return the spans that a Range field selects of `size` octets, in the order asked for.

    None: the field is to be ignored. An empty list: it is well formed, and nothing of it can be had (416).
    """
    unit, _, range_set = value.partition(b"=")
    if unit.lower() != b"bytes" or len(range_set) > _LARGEST_SET_OCTETS:
        return None
    parts = range_set.split(b",")
    # RFC 9110 sections 5.6.1.2 and 14.1.1: white space stands around the commas, not around the equals sign.
    if parts[0].strip(b" \t") and parts[0][:1] in (b" ", b"\t"):
        return None
    specs = [spec for part in parts if (spec := part.strip(b" \t"))]
    matches = [_SPEC.fullmatch(spec) for spec in specs]
    if not matches or len(matches) > LARGEST_SET:
        return None
    spans: list[Span] = []
    for match in matches:
        if match is None or _is_backwards(match):
            return None
        if (span := _satisfied(match, size)) is not None:
            spans.append(span)
    return None if _overlaps(spans) > OVERLAPS_TAKEN else _joined(spans)


def _is_backwards(match: re.Match[bytes]) -> bool:
    """RFC 9110 section 14.1.1: a last position below the first makes the whole set invalid."""
    return match[2] is not None and int(match[2]) < int(match[1])


def _satisfied(match: re.Match[bytes], size: int) -> Span | None:
    """RFC 9110 section 14.1.2: positions beyond the end are cut, a start beyond it selects nothing."""
    if match[3] is not None:
        suffix = min(int(match[3]), size)
        return Span(size - suffix, size - 1) if suffix else None
    first = int(match[1])
    last = size - 1 if match[2] is None else min(int(match[2]), size - 1)
    return Span(first, last) if first < size else None


def _overlaps(spans: list[Span]) -> int:
    ordered = sorted(spans, key=lambda span: span.first)
    return sum(b.first <= a.last for a, b in pairwise(ordered))


def _joined(spans: list[Span]) -> list[Span]:
    """RFC 9110 section 15.3.7.2: ranges that overlap may be joined into one."""
    joined: list[Span] = []
    for span in spans:
        touching = [other for other in joined if span.first <= other.last and other.first <= span.last]
        for other in touching:
            joined.remove(other)
        first = min([span.first, *(other.first for other in touching)])
        last = max([span.last, *(other.last for other in touching)])
        joined.append(Span(first, last))
    return joined
