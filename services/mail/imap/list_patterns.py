"""Which names a pattern of LIST means: `*` stands for anything, `%` for anything but the separator (RFC 3501 6.3.8).

The places in the pattern at which one may be are the bits of one number, so that the time grows with the name's length
alone, whatever the wildcards.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from services.mail.maildir.folder_names import SEPARATOR

_WILDCARDS = re.compile(r"[*%]{2,}")
_PATTERNS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Places:
    """Bits of the places with `*`, with `%` and with each letter, and the number of the place behind the last."""

    stars: int
    percents: int
    letters: dict[str, int]
    end: int

    def onward(self, places: int) -> int:
        """A wildcard may stand for nothing; no two stand side by side."""
        return places | (places & (self.stars | self.percents)) << 1


@lru_cache(maxsize=_PATTERNS_KEPT)
def _places_of(pattern: str) -> _Places:
    pattern = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    bits: dict[str, int] = {}
    for place, character in enumerate(pattern):
        bits[character] = bits.get(character, 0) | 1 << place
    return _Places(bits.pop("*", 0), bits.pop("%", 0), bits, len(pattern))


def matches(pattern: str, name: str) -> bool:
    """Tell whether the whole name fits the pattern."""
    of = _places_of(pattern)
    places = of.onward(1)
    for character in name:
        stays = of.stars if character == SEPARATOR else of.stars | of.percents
        places = of.onward(places & stays | (places & of.letters.get(character, 0)) << 1)
        if not places:
            return False
    return bool(places >> of.end & 1)
