"""Header and trailer fields: field lines in their order and case, with access by name (RFC 9110 section 5).

    >>> fields = Fields(((b"Via", b"1.1 a"), (b"via", b"1.1 b")))
    >>> fields.get(b"via")
    b'1.1 a, 1.1 b'

RFC 9110 sections 5.1 (names are case-insensitive) and 5.2, 5.3 (lines of one name combine, in order).
The methods expect names in lower case: callers pass literals, so the hot path needs no case folding.
"""

from collections.abc import Collection, Iterator

FieldLine = tuple[bytes, bytes]


class Fields:
    """An immutable header or trailer section."""

    __slots__ = ("_hash", "_index", "lines")

    def __init__(self, lines: tuple[FieldLine, ...] = ()) -> None:
        self.lines = lines
        index: dict[bytes, list[bytes]] = {}
        for name, value in lines:
            index.setdefault(name.lower(), []).append(value)
        self._index = index
        self._hash = hash(lines)

    def __iter__(self) -> Iterator[FieldLine]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.lines == other.lines

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Fields({self.lines!r})"

    def get(self, name: bytes) -> bytes | None:
        """Return the field's combined value, lines joined by comma and space; None if it is absent."""
        values = self._index.get(name)
        if values is None:
            return None
        # RFC 9110 section 5.3
        return values[0] if len(values) == 1 else b", ".join(values)

    def get_all(self, name: bytes) -> list[bytes]:
        """Return the values of all lines with this name, in order."""
        return list(self._index.get(name, ()))

    def has_any(self, names: Collection[bytes]) -> bool:
        """Return whether a line with any of these names is present."""
        return not self._index.keys().isdisjoint(names)

    def adding(self, *lines: FieldLine) -> "Fields":
        """Return a copy with further lines at the end."""
        return Fields(self.lines + lines)

    def without(self, names: Collection[bytes]) -> "Fields":
        """Return a copy without the lines of the given names."""
        return Fields(tuple(line for line in self.lines if line[0].lower() not in names))
