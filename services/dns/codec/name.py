r"""Domain names: case-insensitive labels, presentation format with escapes, wire format with compression.

    >>> Name.from_text("WWW.Example.com.") == Name.from_text("www", Name.from_text("example.COM."))
    True

Name is always absolute: relative names exist in master files only, beside an origin. Reader and Writer decode and
encode the octets of a message. A compression pointer must point to an offset before the labels that precede the pointer
(RFC 1035 section 4.1.4: a prior occurrence). Offsets therefore decrease strictly, and decoding terminates; the decoded
name has at most 255 octets. A WireError raised here has no message id; Message.from_wire adds it.

RFC 1035 sections 2.3.4 (63 and 255 octets), 4.1.4 (compression) and 5.1 (\X and \DDD), RFC 4343 (only A-Z are folded),
RFC 4034 section 6.1 (canonical order), RFC 4592 section 2.1.1 (wildcards), RFC 6672 section 2.2 (DNAME substitution).
Left out: IDNA, which is a matter of the application, and the bit-string labels withdrawn by RFC 6891 section 5.
"""

import struct
from collections.abc import Iterator
from functools import total_ordering

from lab7.services.dns.codec.errors import NameTooLongError, TextError, WireError

LABEL_OCTETS_MAX = 63

NAME_OCTETS_MAX = 255

ASTERISK = b"*"

# Printable characters of a label that must be escaped in a master file.
_SPECIAL = frozenset(b'".;\\()@$')


@total_ordering
class Name:
    """An absolute domain name.

    `labels` has the labels in their original case, without the empty label of the root; `folded` has them in lower
    case. Raises NameTooLongError for an empty label, a label over 63 octets, and a name over 255 octets.
    """

    __slots__ = ("_hash", "folded", "labels")

    labels: tuple[bytes, ...]
    folded: tuple[bytes, ...]

    def __init__(self, labels: tuple[bytes, ...] = ()) -> None:
        for label in labels:
            if not 0 < len(label) <= LABEL_OCTETS_MAX:
                raise NameTooLongError(f"label of {len(label)} octets, expected 1 to {LABEL_OCTETS_MAX}")
        if sum(map(len, labels)) + len(labels) + 1 > NAME_OCTETS_MAX:
            raise NameTooLongError(f"name longer than {NAME_OCTETS_MAX} octets")
        self.labels = labels
        # RFC 4343 section 3: bytes.lower() folds the 26 letters of ASCII and nothing else.
        self.folded = tuple([label.lower() for label in labels])
        self._hash = hash(self.folded)

    @classmethod
    def from_text(cls, text: str, origin: "Name | None" = None) -> "Name":
        """Parse presentation format; a name without final dot is relative to `origin`, absolute if `origin` is None.

        Characters are octets (Latin-1). Raises TextError for invalid escapes and empty labels.
        """
        if text == ".":
            return ROOT
        labels, absolute = _split(text)
        ending = () if absolute or origin is None else origin.labels
        try:
            return cls((*labels, *ending))
        except NameTooLongError as error:
            raise TextError(f"{text!r}: {error}") from error

    @classmethod
    def _part(cls, labels: tuple[bytes, ...], folded: tuple[bytes, ...]) -> "Name":
        """Return a name made of labels of an existing name; the labels are not validated again."""
        name = cls.__new__(cls)
        name.labels, name.folded, name._hash = labels, folded, hash(folded)
        return name

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"Name({self.to_text()!r})"

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.folded == other.folded

    def __lt__(self, other: "Name") -> bool:
        # RFC 4034 section 6.1: names are compared from the rightmost label on.
        return self.folded[::-1] < other.folded[::-1]

    def __len__(self) -> int:
        return len(self.labels)

    def to_text(self) -> str:
        """Return the name in presentation format, with the final dot."""
        return "".join(escape(label) + "." for label in self.labels) or "."

    def to_wire(self) -> bytes:
        """Encode the name without compression, in its original case."""
        return b"".join(bytes((len(label),)) + label for label in self.labels) + b"\0"

    def canonical(self) -> bytes:
        """Encode the name without compression, in lower case (RFC 4034 section 6.2)."""
        return b"".join(bytes((len(label),)) + label for label in self.folded) + b"\0"

    @property
    def parent(self) -> "Name":
        """The name without its leftmost label; the root's parent is the root."""
        return Name._part(self.labels[1:], self.folded[1:])

    def is_below(self, ancestor: "Name") -> bool:
        """Tell whether this name is `ancestor` or a subdomain of `ancestor`."""
        count = len(ancestor.folded)
        return count == 0 or self.folded[-count:] == ancestor.folded

    def is_strictly_below(self, ancestor: "Name") -> bool:
        """Tell whether this name is a subdomain of `ancestor`, and not `ancestor` itself."""
        return len(self.folded) > len(ancestor.folded) and self.is_below(ancestor)

    def suffix(self, count: int) -> "Name":
        """Return the ancestor that consists of the last `count` labels."""
        begin = len(self.labels) - count
        return Name._part(self.labels[begin:], self.folded[begin:])

    def ancestors(self) -> Iterator["Name"]:
        """Yield this name, its parent, and so on up to the root."""
        for begin in range(len(self.labels) + 1):
            yield Name._part(self.labels[begin:], self.folded[begin:])

    def child(self, label: bytes) -> "Name":
        """Return the name with `label` prepended; raises NameTooLongError."""
        return Name((label, *self.labels))

    def substituted(self, owner: "Name", target: "Name") -> "Name":
        """Return the name with its suffix `owner` replaced by `target` (RFC 6672 2.2); raises NameTooLongError."""
        return Name(self.labels[: len(self.labels) - len(owner.labels)] + target.labels)


ROOT = Name()


def escape(label: bytes) -> str:
    """Return a label in presentation format, with escapes."""
    return "".join(_escaped(octet) for octet in label)


def _escaped(octet: int) -> str:
    if octet in _SPECIAL:
        return "\\" + chr(octet)
    return chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03d}"


def _split(text: str) -> tuple[list[bytes], bool]:
    """Return (labels, whether the name is absolute) of a name in presentation format."""
    labels: list[bytes] = []
    label = bytearray()
    for octet, escaped in octets_of(text):
        if octet != ord(".") or escaped:
            label.append(octet)
            continue
        if not label:
            raise TextError(f"{text!r} has an empty label")
        labels.append(bytes(label))
        label.clear()
    if label:
        return [*labels, bytes(label)], False
    if not labels:
        raise TextError("empty name")
    return labels, True


def octets_of(text: str) -> Iterator[tuple[int, bool]]:
    """Decode a text with escapes; yield (octet, whether escaped) for each octet; raises TextError."""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if ord(character) > 255:
            raise TextError(f"{text!r} has a character above \\255: write it as \\DDD escapes")
        if character != "\\":
            yield ord(character), False
            continue
        octet, position = _escape_at(text, position)
        yield octet, True


def _escape_at(text: str, position: int) -> tuple[int, int]:
    """Decode an escape, \\DDD or \\X (RFC 1035 section 5.1), after its backslash; return (octet, next position)."""
    digits = text[position : position + 3]
    if not digits:
        raise TextError(f"{text!r} ends in a backslash")
    if not digits[0].isdigit():
        if ord(digits[0]) > 255:
            raise TextError(f"{text!r} has a character above \\255: write it as \\DDD escapes")
        return ord(digits[0]), position + 1
    if len(digits) < 3 or not (digits.isascii() and digits.isdigit()) or int(digits) > 255:
        raise TextError(f"{text!r} has the invalid escape \\{digits}, expected three digits up to 255")
    return int(digits), position + 3


POINTER = 0xC0

POINTER_OFFSET_MAX = 0x3FFF

_U16 = struct.Struct("!H")

_U32 = struct.Struct("!I")


class Reader:
    """Decoder for the wire format of a message: reads the octets of `data` from `offset`, which advances, up to `end`.

    While rdata is decoded, `end` is the end of the rdata.
    """

    __slots__ = ("data", "end", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data)

    @property
    def remaining(self) -> int:
        """Number of octets left before `end`."""
        return self.end - self.offset

    def octets(self, count: int) -> bytes:
        """Read `count` octets; raises WireError if fewer are left."""
        begin, after = self.offset, self.offset + count
        if after > self.end:
            raise WireError(f"expected {count} octets at {begin}, got {self.end - begin}")
        self.offset = after
        return self.data[begin:after]

    def u8(self) -> int:
        """Read an 8-bit number."""
        return self.octets(1)[0]

    def u16(self) -> int:
        """Read a 16-bit number."""
        return int.from_bytes(self.octets(2), "big")

    def u32(self) -> int:
        """Read a 32-bit number."""
        return int.from_bytes(self.octets(4), "big")

    def character_string(self) -> bytes:
        """Read a character-string: a length octet and that many octets (RFC 1035 section 3.3)."""
        return self.octets(self.u8())

    def name(self, compressed: bool = True) -> Name:
        """Read a domain name; unless `compressed`, a compression pointer raises WireError (RFC 3597 section 4)."""
        labels: list[bytes] = []
        data, position, end = self.data, self.offset, self.end
        after = -1
        segment, size = position, 1
        while True:
            if position >= end:
                raise WireError(f"the name at {self.offset} does not end")
            length = data[position]
            position += 1
            if length == 0:
                break
            if length < POINTER:
                size += length + 1
                if length > 63 or position + length > end or size > NAME_OCTETS_MAX:
                    raise WireError(f"the name at {self.offset} has an invalid label, or is too long")
                labels.append(data[position : position + length])
                position += length
                continue
            if position >= end or not compressed:
                raise WireError(f"the name at {self.offset} has a pointer that is not allowed, or incomplete")
            target = (length & 0x3F) << 8 | data[position]
            if after < 0:
                after = position + 1
            # RFC 1035 section 4.1.4: a pointer leads to "a prior occurrence", a smaller offset, so the loop ends.
            if target >= segment:
                raise WireError(f"the name at {self.offset} has a pointer that leads forward")
            segment = position = target
            end = len(data)
        self.offset = position if after < 0 else after
        return Name(tuple(labels))


class Writer:
    """Encoder for a message; stores the offsets of names, and replaces repeated suffixes by compression pointers."""

    __slots__ = ("_offsets", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        self._offsets: dict[tuple[bytes, ...], int] = {}

    def __len__(self) -> int:
        return len(self.octets)

    def write(self, data: bytes) -> None:
        """Append octets to the message."""
        self.octets += data

    def u8(self, number: int) -> None:
        """Append an 8-bit number."""
        self.octets.append(number)

    def u16(self, number: int) -> None:
        """Append a 16-bit number."""
        self.octets += _U16.pack(number)

    def u32(self, number: int) -> None:
        """Append a 32-bit number."""
        self.octets += _U32.pack(number)

    def set_u16(self, offset: int, number: int) -> None:
        """Overwrite the two octets at `offset` with a 16-bit number."""
        _U16.pack_into(self.octets, offset, number)

    def name(self, name: Name, compressed: bool = True) -> None:
        """Append a domain name; if `compressed`, a suffix that occurs earlier in the message is replaced by a pointer.

        The longest such suffix is replaced. The case of letters is ignored in the search for the suffix.
        """
        octets, offsets = self.octets, self._offsets
        folded = name.folded
        for index, label in enumerate(name.labels):
            suffix = folded[index:]
            offset = offsets.get(suffix)
            if offset is not None and compressed:
                octets += _U16.pack(POINTER << 8 | offset)
                return
            if offset is None and len(octets) <= POINTER_OFFSET_MAX:
                offsets[suffix] = len(octets)
            octets.append(len(label))
            octets += label
        octets.append(0)

    def truncate(self, length: int) -> None:
        """Remove the octets from offset `length` on, and the compression offsets of the names written there."""
        del self.octets[length:]
        self._offsets = {suffix: offset for suffix, offset in self._offsets.items() if offset < length}
