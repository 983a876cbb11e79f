"""HPACK decoder for HTTP/2 header blocks, dynamic table included (RFC 7541).

The static table and the Huffman code are taken from scapy. scapy's decoder is not used: it ignores table size updates
(section 6.3), continues after an invalid index, and alters octets that are not UTF-8. The limit
SETTINGS_HEADER_TABLE_SIZE is not enforced, since a capture does not show when an endpoint applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lab7.experiments.harness.judge import layers

Field = tuple[bytes, bytes]
DEFAULT_SIZE = 4096  # RFC 9113 section 6.5.2
STATIC_ENTRIES = 61  # RFC 7541 appendix A
ENTRY_OVERHEAD = 32  # RFC 7541 section 4.1
EOS = 256
LONGEST_PADDING_BITS = 7


class HeaderBlockError(ValueError):
    """Exception raised for octets that are not a valid HPACK header block; its message has the reason."""


class HeaderTable:
    """HPACK decoding context (dynamic table) of one direction of a connection; it decodes header blocks in order."""

    def __init__(self) -> None:
        self._entries: list[Field] = []
        self._max_size = DEFAULT_SIZE

    def read(self, block: bytes) -> list[Field]:
        """Decode the next header block; return its fields as (name, value), in order. Raises HeaderBlockError."""
        fields: list[Field] = []
        reader = _Reader(block)
        while reader.left():
            first = reader.peek()
            if first & 0x80:  # section 6.1: indexed
                fields.append(self._entry(reader.integer(7)))
            elif first & 0x40:  # section 6.2.1: literal, indexed from now on
                fields.append(self._literal(reader, 6))
                self._insert(fields[-1])
            elif first & 0x20:  # section 6.3: table size update
                self._max_size = reader.integer(5)
                self._shrink(self._max_size)
            else:  # sections 6.2.2 and 6.2.3: literal, not indexed
                fields.append(self._literal(reader, 4))
        return fields

    def _literal(self, reader: _Reader, prefix_bits: int) -> Field:
        index = reader.integer(prefix_bits)
        name = self._entry(index)[0] if index else reader.string()
        return name, reader.string()

    def _entry(self, index: int) -> Field:
        if 1 <= index <= STATIC_ENTRIES:
            return _static_entry(index)
        place = index - STATIC_ENTRIES - 1
        if not 0 <= place < len(self._entries):
            raise HeaderBlockError(f"index {index} in a table of {STATIC_ENTRIES + len(self._entries)} entries")
        return self._entries[place]

    def _insert(self, field: Field) -> None:
        # RFC 7541 section 4.4: an entry larger than the table empties the table, which is no error.
        size = _size(field)
        self._shrink(self._max_size - size)
        if size <= self._max_size:
            self._entries.insert(0, field)

    def _shrink(self, size: int) -> None:
        while self._entries and sum(map(_size, self._entries)) > size:
            self._entries.pop()


class _Reader:
    """Sequential reader of the integers and strings (RFC 7541 section 5) in one header block."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._at = 0

    def left(self) -> bool:
        return self._at < len(self._block)

    def peek(self) -> int:
        if not self.left():
            raise HeaderBlockError("the header block ends inside a field")
        return self._block[self._at]

    def integer(self, prefix_bits: int) -> int:
        most = (1 << prefix_bits) - 1
        value, shift = self._octet() & most, 0
        if value < most:
            return value
        while True:
            octet = self._octet()
            value += (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                return value

    def string(self) -> bytes:
        coded = bool(self.peek() & 0x80)
        end = self.integer(7) + self._at
        if end > len(self._block):
            raise HeaderBlockError("the header block ends inside a string")
        octets, self._at = self._block[self._at : end], end
        return _unpacked(octets) if coded else octets

    def _octet(self) -> int:
        octet = self.peek()
        self._at += 1
        return octet


def _size(field: Field) -> int:
    return len(field[0]) + len(field[1]) + ENTRY_OVERHEAD


@cache
def _static_entry(index: int) -> Field:
    entry = layers.HPackHdrTable()[index]
    return entry.name().encode(), entry.value().encode()


@cache
def _symbols() -> Mapping[tuple[int, int], int]:
    """Return the Huffman code of HPACK (RFC 7541 appendix B): (code, length in bits) -> symbol."""
    return {(code, length): symbol for symbol, (code, length) in enumerate(layers.HPackZString.static_huffman_code)}


def _unpacked(octets: bytes) -> bytes:
    """Decode a Huffman-coded string (RFC 7541 section 5.2). Raises HeaderBlockError for EOS or wrong padding."""
    symbols, found, code, length = _symbols(), bytearray(), 0, 0
    for octet in octets:
        for bit in range(7, -1, -1):
            code, length = code << 1 | octet >> bit & 1, length + 1
            symbol = symbols.get((code, length))
            if symbol == EOS:
                raise HeaderBlockError("a string holds the end-of-string symbol")
            if symbol is not None:
                found.append(symbol)
                code = length = 0
    # RFC 7541 section 5.2: the remaining bits are padding, which must be the first bits of EOS (ones).
    if length > LONGEST_PADDING_BITS or code != (1 << length) - 1:
        raise HeaderBlockError("a string has invalid padding")
    return bytes(found)
