"""LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9; CHILDREN of RFC 3348)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.mail.imap.command import Steps
from services.mail.imap.commands.mailboxes import maildir_of
from services.mail.imap.errors import NoError
from services.mail.imap.limits import PATTERN_OCTETS
from services.mail.imap.syntax import formatting
from services.mail.imap.syntax.reader import Reader
from services.mail.maildir.folder_names import INBOX, SEPARATOR, canonical, parents

if TYPE_CHECKING:
    from services.mail.imap.session import Session
import re
from dataclasses import dataclass
from functools import lru_cache

# Which names a pattern of LIST means: `*` stands for anything, `%` for anything but the separator (RFC 3501 6.3.8).
#
# The possible places in the pattern are the bits of one number, so that the time grows with the name's length
# alone, whatever the wildcards.

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


def _read(reader: Reader) -> tuple[str, str]:
    """Read a reference and a pattern."""
    reader.space()
    reference = reader.mailbox()
    reader.space()
    pattern = reader.list_mailbox().decode("latin-1")
    reader.end()
    return reference, pattern


def _line(word: bytes, attributes: Iterable[bytes], name: str) -> bytes:
    shown = formatting.parenthesized(attributes)
    return b'* %b %b "%b" %b\r\n' % (word, shown, SEPARATOR.encode("ascii"), formatting.mailbox(name))


def _joined(reference: str, pattern: str) -> str:
    """RFC 3501 section 6.3.8: a reference is put before the pattern, INBOX in capitals where it begins the whole."""
    whole = reference + pattern
    if len(whole) > PATTERN_OCTETS:
        raise NoError(f"No name has more than {PATTERN_OCTETS} octets.")
    return whole


def _fits(pattern: str, name: str) -> bool:
    if matches(pattern, name):
        return True
    first, _, rest = name.partition(SEPARATOR)
    # RFC 3501 section 5.1: INBOX is the same in any case, and so it is in a pattern.
    return first == INBOX and matches(pattern.upper() if not rest else canonical(pattern), name)


def list_mailboxes(session: "Session", reader: Reader) -> Steps:
    """RFC 3501 section 6.3.8."""
    reference, pattern = _read(reader)
    if not pattern:
        # RFC 3501 section 6.3.8: asks for the separator and the root of the reference.
        root = SEPARATOR if reference.startswith(SEPARATOR) else ""
        yield _line(b"LIST", (b"\\Noselect",), root)
        return "List completed."
    wanted = _joined(reference, pattern)
    folders = maildir_of(session).names()
    existing = set(folders)
    above = {parent for name in folders for parent in parents(name)}
    for name in _ordered(existing | above):
        if _fits(wanted, name):
            attributes = [] if name in existing else [b"\\Noselect"]
            attributes.append(b"\\HasChildren" if name in above else b"\\HasNoChildren")
            yield _line(b"LIST", attributes, name)
    return "List completed."


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name))


def list_subscribed(session: "Session", reader: Reader) -> Steps:
    """RFC 3501 section 6.3.9: with `%`, a name whose inferiors alone are subscribed to is shown as \\Noselect."""
    reference, pattern = _read(reader)
    wanted = _joined(reference, pattern)
    subscribed = set(maildir_of(session).subscriptions.names())
    above = {parent for name in subscribed for parent in parents(name)} if "%" in wanted else set()
    for name in _ordered(subscribed | above):
        if _fits(wanted, name):
            if name in subscribed:
                yield _line(b"LSUB", (), name)
            elif not _shows_below(wanted, name, subscribed):
                yield _line(b"LSUB", (b"\\Noselect",), name)
    return "Lsub completed."


def _shows_below(wanted: str, name: str, subscribed: set[str]) -> bool:
    """Whether the pattern itself shows every subscribed name below, so that the one above need not stand for it."""
    return all(_fits(wanted, other) for other in subscribed if other.startswith(name + SEPARATOR))
