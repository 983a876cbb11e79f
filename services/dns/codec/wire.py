"""The octets of a message: a reader with bounds, and a writer that compresses names.

RFC 1035 section 4.1.4. A pointer leads strictly backwards from the part of the name that it ends, so that following
them ends, and a name is over after 255 octets whatever it says. Errors here know no message id; the message's parser
adds it.
"""

import struct

from services.dns.codec.errors import NameTooLongError, WireError
from services.dns.codec.name import NAME_OCTETS_MAX, Name

POINTER = 0xC0
POINTER_OFFSET_MAX = 0x3FFF

_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")


class Reader:
    """Reads `data` from `offset` on; `end` is where the present part ends, which rdata makes smaller."""

    __slots__ = ("data", "end", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data)

    @property
    def remaining(self) -> int:
        """Octets that are left before the end."""
        return self.end - self.offset

    def take(self, count: int) -> bytes:
        """Take `count` octets; raises WireError when there are fewer."""
        begin, after = self.offset, self.offset + count
        if after > self.end:
            raise WireError(f"{count} octets should follow at {begin}, and {self.end - begin} do")
        self.offset = after
        return self.data[begin:after]

    def u8(self) -> int:
        """Take one octet."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Take a number of two octets."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Take a number of four octets."""
        return int.from_bytes(self.take(4), "big")

    def character_string(self) -> bytes:
        """Take an octet of length and as many octets (RFC 1035 section 3.3)."""
        return self.take(self.u8())

    def name(self, compressed: bool = True) -> Name:
        """Take a name; with `compressed` False a pointer is an error (RFC 3597 section 4)."""
        labels: list[bytes] = []
        data, position, end = self.data, self.offset, self.end
        after = -1
        segment, size = position, 1
        while True:
            if position >= end:
                raise WireError(f"a name at {self.offset} does not end")
            length = data[position]
            position += 1
            if length == 0:
                break
            if length < POINTER:
                size += length + 1
                if length > 63 or position + length > end or size > NAME_OCTETS_MAX:
                    raise WireError(f"the name at {self.offset} has a label of a wrong kind, or is too long")
                labels.append(data[position : position + length])
                position += length
                continue
            if position >= end or not compressed:
                raise WireError(f"the name at {self.offset} has a pointer where none may be, or half of one")
            target = (length & 0x3F) << 8 | data[position]
            if after < 0:
                after = position + 1
            # What is pointed to was written before, so each jump leads to a smaller offset, and there is an end.
            if target >= segment:
                raise WireError(f"the name at {self.offset} has a pointer that leads forward")
            segment = position = target
            end = len(data)
        self.offset = position if after < 0 else after
        return Name(tuple(labels))


class Writer:
    """Gathers the octets of a message, and the places of the names in it that later ones may point to."""

    __slots__ = ("_places", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        self._places: dict[tuple[bytes, ...], int] = {}

    def __len__(self) -> int:
        return len(self.octets)

    def write(self, data: bytes) -> None:
        """Append octets."""
        self.octets += data

    def u8(self, number: int) -> None:
        """Append one octet."""
        self.octets.append(number)

    def u16(self, number: int) -> None:
        """Append a number of two octets."""
        self.octets += _U16.pack(number)

    def u32(self, number: int) -> None:
        """Append a number of four octets."""
        self.octets += _U32.pack(number)

    def set_u16(self, offset: int, number: int) -> None:
        """Write a number over the two octets at `offset`."""
        _U16.pack_into(self.octets, offset, number)

    def name(self, name: Name, compressed: bool = True) -> None:
        """Append a name, its longest ending that was written before as a pointer; case does not matter to that."""
        octets, places = self.octets, self._places
        folded = name.folded
        for index, label in enumerate(name.labels):
            ending = folded[index:]
            place = places.get(ending)
            if place is not None and compressed:
                octets += _U16.pack(POINTER << 8 | place)
                return
            if place is None and len(octets) <= POINTER_OFFSET_MAX:
                places[ending] = len(octets)
            octets.append(len(label))
            octets += label
        octets.append(0)

    def cut(self, length: int) -> None:
        """Take back all from `length` on."""
        del self.octets[length:]
        self._places = {ending: place for ending, place in self._places.items() if place < length}


def read_whole_name(data: bytes) -> Name:
    """Read octets that are one name without compression and nothing else; raises WireError."""
    reader = Reader(data)
    try:
        name = reader.name(compressed=False)
    except NameTooLongError as error:
        raise WireError(str(error)) from error
    if reader.remaining:
        raise WireError("octets follow the name")
    return name
