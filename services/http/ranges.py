"""Range header field: parsing and selection of byte ranges (RFC 9110 section 14).

    >>> select_ranges(b"bytes=0-4,-2", 10)
    [Span(first=0, last=4), Span(first=8, last=9)]

Left out: range units other than bytes; a server ignores them (section 14.2).
"""

import re
from dataclasses import dataclass
from itertools import pairwise

# Maximum number of ranges, above which Range is ignored: many small ranges cost the server more (RFC 9110 14.2).
LARGEST_SET = 16
# Maximum number of overlaps, beyond which Range is ignored: the client is broken or hostile (RFC 9110 section 14.2).
OVERLAPS_TAKEN = 2

_SPEC = re.compile(rb"(\d++)-(\d++)?|-(\d++)")
# Maximum length of a range set in octets, beyond which Range is ignored; int() accepts 4300 digits.
_LARGEST_SET_OCTETS = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A byte range from position `first` to position `last`, inclusive."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


def select_ranges(value: bytes, size: int) -> list[Span] | None:
    """Return the spans that a Range field selects from `size` octets, in the order of the request.

    Returns None if the field is to be ignored, and an empty list if no range can be satisfied (416).
    """
    if size == 0:
        # RFC 9110 section 14.1.2: a suffix range is satisfiable even then, and no Content-Range can express it.
        return None
    unit, _, range_set = value.partition(b"=")
    if unit.lower() != b"bytes" or len(range_set) > _LARGEST_SET_OCTETS:
        return None
    parts = range_set.split(b",")
    # RFC 9110 sections 5.6.1.2 and 14.1.1: white space is allowed around commas, not around the equals sign.
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
        if (span := _clip(match, size)) is not None:
            spans.append(span)
    return None if _overlaps(spans) > OVERLAPS_TAKEN else _coalesce(spans)


def _is_backwards(match: re.Match[bytes]) -> bool:
    """Return whether a range ends before it begins, so that the whole field is invalid (RFC 9110 section 14.1.1)."""
    return match[2] is not None and int(match[2]) < int(match[1])


def _clip(match: re.Match[bytes], size: int) -> Span | None:
    """Return the Span of a range, limited to `size` octets; None if the range is not satisfiable (RFC 9110 14.1.2)."""
    if match[3] is not None:
        suffix = min(int(match[3]), size)
        return Span(size - suffix, size - 1) if suffix else None
    first = int(match[1])
    last = size - 1 if match[2] is None else min(int(match[2]), size - 1)
    return Span(first, last) if first < size else None


def _overlaps(spans: list[Span]) -> int:
    ordered = sorted(spans, key=lambda span: span.first)
    return sum(b.first <= a.last for a, b in pairwise(ordered))


def _coalesce(spans: list[Span]) -> list[Span]:
    """Return the spans in which overlapping spans are merged into one (RFC 9110 section 15.3.7.2)."""
    joined: list[Span] = []
    for span in spans:
        touching = [other for other in joined if span.first <= other.last and other.first <= span.last]
        for other in touching:
            joined.remove(other)
        first = min([span.first, *(other.first for other in touching)])
        last = max([span.last, *(other.last for other in touching)])
        joined.append(Span(first, last))
    return joined
