"""LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9) with the CHILDREN attributes (RFC 3348).

Mailbox patterns are matched by a bit-parallel automaton (shift-and): the active positions in the pattern are the bits
of one integer, so that the time is linear in the length of the name, whatever the wildcards.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from services.mail.access.requests import Steps
from services.mail.imap.errors import NoError
from services.mail.imap.limits import PATTERN_OCTETS
from services.mail.imap.session_state import SessionState
from services.mail.imap.syntax import encoder
from services.mail.imap.syntax.reader import Reader
from services.mail.maildir.folder_names import INBOX, SEPARATOR, canonical, parents

_WILDCARDS = re.compile(r"[*%]{2,}")
_PATTERNS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _PatternMasks:
    """Bit masks of a pattern: positions of `*`, of `%` and of each character, and the position of the end."""

    stars: int
    percents: int
    characters: dict[str, int]
    end: int

    def spread(self, positions: int) -> int:
        """Activate positions behind wildcards too: a wildcard may match nothing. No two are adjacent."""
        return positions | (positions & (self.stars | self.percents)) << 1


@lru_cache(maxsize=_PATTERNS_KEPT)
def _masks_of(pattern: str) -> _PatternMasks:
    pattern = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    bits: dict[str, int] = {}
    for position, character in enumerate(pattern):
        bits[character] = bits.get(character, 0) | 1 << position
    return _PatternMasks(bits.pop("*", 0), bits.pop("%", 0), bits, len(pattern))


def matches(pattern: str, name: str) -> bool:
    """Return whether a mailbox name matches a LIST pattern: `*` any characters, `%` any but the hierarchy separator."""
    masks = _masks_of(pattern)
    positions = masks.spread(1)
    for character in name:
        wildcards = masks.stars if character == SEPARATOR else masks.stars | masks.percents
        positions = masks.spread(positions & wildcards | (positions & masks.characters.get(character, 0)) << 1)
        if not positions:
            return False
    return bool(positions >> masks.end & 1)


def _read(reader: Reader) -> tuple[str, str]:
    """Parse a reference name and a mailbox pattern."""
    reader.expect_space()
    reference = reader.mailbox()
    reader.expect_space()
    pattern = reader.list_mailbox().decode("latin-1")
    reader.expect_end()
    return reference, pattern


def _line(word: bytes, attributes: Iterable[bytes], name: str) -> bytes:
    attribute_list = encoder.parenthesized(attributes)
    return b'* %b %b "%b" %b\r\n' % (word, attribute_list, SEPARATOR.encode("ascii"), encoder.mailbox(name))


def _full_pattern(reference: str, pattern: str) -> str:
    """Prepend the reference to the pattern (RFC 3501 section 6.3.8)."""
    whole = reference + pattern
    if len(whole) > PATTERN_OCTETS:
        raise NoError(f"The pattern is longer than {PATTERN_OCTETS} octets.")
    return whole


def _matches_any_case(pattern: str, name: str) -> bool:
    if matches(pattern, name):
        return True
    first, _, rest = name.partition(SEPARATOR)
    # RFC 3501 section 5.1: INBOX is case-insensitive, in a pattern too.
    return first == INBOX and matches(pattern.upper() if not rest else canonical(pattern), name)


def list_mailboxes(session: SessionState, reader: Reader) -> Steps:
    """Handle LIST (RFC 3501 section 6.3.8)."""
    reference, pattern = _read(reader)
    if not pattern:
        # RFC 3501 section 6.3.8: an empty pattern requests the hierarchy delimiter and the root of the reference.
        root = SEPARATOR if reference.startswith(SEPARATOR) else ""
        yield _line(b"LIST", (b"\\Noselect",), root)
        return "List completed."
    full_pattern = _full_pattern(reference, pattern)
    folders = session.user_maildir().names()
    existing = set(folders)
    superiors = {parent for name in folders for parent in parents(name)}
    for name in _ordered(existing | superiors):
        if _matches_any_case(full_pattern, name):
            attributes = [] if name in existing else [b"\\Noselect"]
            attributes.append(b"\\HasChildren" if name in superiors else b"\\HasNoChildren")
            yield _line(b"LIST", attributes, name)
    return "List completed."


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name))


def list_subscribed(session: SessionState, reader: Reader) -> Steps:
    r"""Handle LSUB (RFC 3501 section 6.3.9).

    With `%`, a name that is not subscribed but has subscribed inferiors is listed as \Noselect.
    """
    reference, pattern = _read(reader)
    full_pattern = _full_pattern(reference, pattern)
    subscribed = set(session.user_maildir().subscriptions.names())
    superiors = {parent for name in subscribed for parent in parents(name)} if "%" in full_pattern else set()
    for name in _ordered(subscribed | superiors):
        if _matches_any_case(full_pattern, name):
            if name in subscribed:
                yield _line(b"LSUB", (), name)
            elif not _covers_inferiors(full_pattern, name, subscribed):
                yield _line(b"LSUB", (b"\\Noselect",), name)
    return "Lsub completed."


def _covers_inferiors(full_pattern: str, name: str, subscribed: set[str]) -> bool:
    """Return whether the pattern matches every subscribed inferior, so that its parent need not be listed."""
    return all(_matches_any_case(full_pattern, other) for other in subscribed if other.startswith(name + SEPARATOR))
