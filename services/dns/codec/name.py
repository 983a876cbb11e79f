r"""Domain names: labels of octets, compared without regard to ASCII case, with escapes in presentation form.

    >>> Name.from_text("WWW.Example.com.") == Name.from_text("www", Name.from_text("example.COM."))
    True

RFC 1035 sections 2.3.4 (63 and 255 octets) and 5.1 (\X and \DDD), RFC 4343 (only A-Z fold), RFC 4034 section 6.1
(order), RFC 4592 section 2.1.1 (wildcards), RFC 6672 section 2.2 (substitution). Names are always absolute: a relative
one exists in text only, beside its origin. Left out: IDNA, which is the business of whoever types names, and the bit
string labels that RFC 6891 section 5 gave up.
"""

from collections.abc import Iterator
from functools import total_ordering

from services.dns.codec.errors import NameTooLongError, TextError

LABEL_OCTETS_MAX = 63
NAME_OCTETS_MAX = 255
ASTERISK = b"*"

# What needs a backslash before it in a master file, beside what is not printable.
_SPECIAL = frozenset(b'".;\\()@$')


@total_ordering
class Name:
    """An absolute name: `labels` from the leftmost on, without the root's empty one; `folded` has them in lower case.

    Raises NameTooLongError when a label or the whole is too long, or a label is empty.
    """

    __slots__ = ("_hash", "folded", "labels")

    labels: tuple[bytes, ...]
    folded: tuple[bytes, ...]

    def __init__(self, labels: tuple[bytes, ...] = ()) -> None:
        for label in labels:
            if not 0 < len(label) <= LABEL_OCTETS_MAX:
                raise NameTooLongError(f"a label has {len(label)} octets, where 1 to {LABEL_OCTETS_MAX} may be")
        if sum(map(len, labels)) + len(labels) + 1 > NAME_OCTETS_MAX:
            raise NameTooLongError(f"a name has more than {NAME_OCTETS_MAX} octets")
        self.labels = labels
        # RFC 4343 section 3: bytes.lower() folds the 26 letters of ASCII and nothing else.
        self.folded = tuple([label.lower() for label in labels])
        self._hash = hash(self.folded)

    @classmethod
    def from_text(cls, text: str, origin: "Name | None" = None) -> "Name":
        """Read a presentation form; one without a final dot is relative to `origin`, or absolute if that is None.

        Characters stand for octets (Latin-1). Raises TextError for wrong escapes and empty labels.
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
        """Make a name of parts that were checked before."""
        made = cls.__new__(cls)
        made.labels, made.folded, made._hash = labels, folded, hash(folded)
        return made

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"Name({self.to_text()!r})"

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.folded == other.folded

    def __lt__(self, other: "Name") -> bool:
        # RFC 4034 section 6.1: the rightmost labels decide first.
        return self.folded[::-1] < other.folded[::-1]

    def __len__(self) -> int:
        return len(self.labels)

    def to_text(self) -> str:
        """Return the presentation form, with its final dot."""
        return "".join(escape(label) + "." for label in self.labels) or "."

    def to_wire(self) -> bytes:
        """Return the octets of the name without compression, in the case it has."""
        return b"".join(bytes((len(label),)) + label for label in self.labels) + b"\0"

    def canonical(self) -> bytes:
        """Return the octets of the name without compression, in lower case (RFC 4034 section 6.2)."""
        return b"".join(bytes((len(label),)) + label for label in self.folded) + b"\0"

    @property
    def parent(self) -> "Name":
        """The name without its leftmost label; the root's parent is the root."""
        return Name._part(self.labels[1:], self.folded[1:])

    @property
    def is_wildcard(self) -> bool:
        """Whether the leftmost label is an asterisk (RFC 4592 section 2.1.1)."""
        return self.folded[:1] == (ASTERISK,)

    def is_below(self, ancestor: "Name") -> bool:
        """Tell whether this is `ancestor` or a name under it."""
        count = len(ancestor.folded)
        return count == 0 or self.folded[-count:] == ancestor.folded

    def is_strictly_below(self, ancestor: "Name") -> bool:
        """Tell whether this is a name under `ancestor` and not that itself."""
        return len(self.folded) > len(ancestor.folded) and self.is_below(ancestor)

    def suffix(self, count: int) -> "Name":
        """Return the ancestor that has the last `count` labels."""
        begin = len(self.labels) - count
        return Name._part(self.labels[begin:], self.folded[begin:])

    def ancestors(self) -> Iterator["Name"]:
        """Yield this name, its parent, and so on to the root."""
        for begin in range(len(self.labels) + 1):
            yield Name._part(self.labels[begin:], self.folded[begin:])

    def child(self, label: bytes) -> "Name":
        """Return the name with one more label at the left; raises NameTooLongError."""
        return Name((label, *self.labels))

    def substituted(self, owner: "Name", target: "Name") -> "Name":
        """Replace the ending `owner` by `target` (RFC 6672 section 2.2); raises NameTooLongError."""
        return Name(self.labels[: len(self.labels) - len(owner.labels)] + target.labels)


ROOT = Name()


def escape(label: bytes) -> str:
    """Return a label's presentation form."""
    return "".join(_escaped(octet) for octet in label)


def _escaped(octet: int) -> str:
    if octet in _SPECIAL:
        return "\\" + chr(octet)
    return chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03d}"


def _split(text: str) -> tuple[list[bytes], bool]:
    """Return the labels of a presentation form, and whether it ended in a dot."""
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
        raise TextError("a name is empty")
    return labels, True


def octets_of(text: str) -> Iterator[tuple[int, bool]]:
    """Yield the octets that characters and escapes stand for, and whether each was escaped; raises TextError."""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if ord(character) > 255:
            raise TextError(f"{text!r} has a character that is no octet: write it as \\DDD escapes")
        if character != "\\":
            yield ord(character), False
            continue
        octet, position = _escape_at(text, position)
        yield octet, True


def _escape_at(text: str, position: int) -> tuple[int, int]:
    """RFC 1035 section 5.1: a backslash, then three decimal digits, or one character that is no digit."""
    digits = text[position : position + 3]
    if not digits:
        raise TextError(f"{text!r} ends in a backslash")
    if not digits[0].isdigit():
        if ord(digits[0]) > 255:
            raise TextError(f"{text!r} has a character that is no octet: write it as \\DDD escapes")
        return ord(digits[0]), position + 1
    if len(digits) < 3 or not (digits.isascii() and digits.isdigit()) or int(digits) > 255:
        raise TextError(f"{text!r} has \\{digits}, where three digits up to 255 may follow a backslash")
    return int(digits), position + 3
