"""Handlers of LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9), with CHILDREN attributes (RFC 3348).

Extensions of LIST: LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819) and SPECIAL-USE (RFC 6154).

Mailbox patterns are matched by a bit-parallel automaton (shift-and): the active positions in the pattern are the bits
of one integer. The time is linear in the length of the name, whatever the wildcards.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.commands.mailboxes import read_status_items, status_response
from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.limits import PATTERN_OCTETS, PATTERNS_MAX
from lab7.services.mail.imap.session_state import SessionState
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.errors import NoFolderError
from lab7.services.mail.maildir.folder_names import INBOX, SEPARATOR, canonical, is_listable, parents
from lab7.services.mail.maildir.store import Maildir

_WILDCARDS = re.compile(r"[*%]{2,}")
_PATTERNS_KEPT = 64
# Mailboxes with the listed names have a special use (RFC 6154 section 2); webmail and mail programs create them.
SPECIAL_USES = {
    "Archive": b"\\Archive",
    "Drafts": b"\\Drafts",
    "Junk": b"\\Junk",
    "Sent": b"\\Sent",
    "Trash": b"\\Trash",
}
_BASE_SELECTIONS = frozenset((b"SUBSCRIBED", b"SPECIAL-USE"))
_SELECTIONS = _BASE_SELECTIONS | {b"REMOTE", b"RECURSIVEMATCH"}
_RETURNS = frozenset((b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS"))


@dataclass(frozen=True, slots=True)
class _PatternMasks:
    """Bit masks of a LIST pattern for the shift-and automaton: the positions of `*`, of `%`, and of each character.

    `end` is the position after the whole pattern.
    """

    stars: int
    percents: int
    characters: dict[str, int]
    end: int

    def spread(self, positions: int) -> int:
        """Add to the bit mask `positions` the position after each wildcard in it, since a wildcard may match nothing.

        Wildcards are never adjacent, so one step suffices.
        """
        return positions | (positions & (self.stars | self.percents)) << 1


@lru_cache(maxsize=_PATTERNS_KEPT)
def _masks_of(pattern: str) -> _PatternMasks:
    pattern = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    bits: dict[str, int] = {}
    for position, character in enumerate(pattern):
        bits[character] = bits.get(character, 0) | 1 << position
    return _PatternMasks(bits.pop("*", 0), bits.pop("%", 0), bits, len(pattern))


def matches(pattern: str, name: str) -> bool:
    """Return True if a mailbox name matches a pattern: `*` any characters, `%` any but the hierarchy separator."""
    masks = _masks_of(pattern)
    positions = masks.spread(1)
    for character in name:
        wildcards = masks.stars if character == SEPARATOR else masks.stars | masks.percents
        positions = masks.spread(positions & wildcards | (positions & masks.characters.get(character, 0)) << 1)
        if not positions:
            return False
    return bool(positions >> masks.end & 1)


def _read(reader: Reader) -> tuple[str, str]:
    """Parse the arguments of LSUB; return (reference name, mailbox pattern)."""
    reader.expect_space()
    reference = reader.mailbox()
    reader.expect_space()
    pattern = reader.name_of(reader.list_mailbox())
    reader.expect_end()
    return reference, pattern


def list_response(
    word: bytes, attributes: Iterable[bytes], name: str, extended: bytes = b"", utf8: bool = False
) -> bytes:
    """Encode a LIST or LSUB response; `extended` is appended after the mailbox name (RFC 5258 section 6)."""
    attribute_list = encoder.parenthesized(attributes)
    separator = SEPARATOR.encode("ascii")
    return b'* %b %b "%b" %b%b\r\n' % (word, attribute_list, separator, encoder.mailbox(name, utf8), extended)


def _full_pattern(reference: str, pattern: str) -> str:
    """Join a reference name and a pattern to one pattern (RFC 3501 section 6.3.8)."""
    whole = reference + pattern
    if len(whole) > PATTERN_OCTETS:
        raise NoError(f"The pattern is longer than {PATTERN_OCTETS} octets.")
    return whole


def _matches_any_case(pattern: str, name: str) -> bool:
    if matches(pattern, name):
        return True
    first, _, rest = name.partition(SEPARATOR)
    # RFC 3501 section 5.1: INBOX is case-insensitive, also in a pattern.
    return first == INBOX and matches(pattern.upper() if not rest else canonical(pattern), name)


@dataclass(frozen=True, slots=True)
class _ListCommand:
    """Arguments of LIST: selection options, reference, patterns and return options (RFC 5258 section 3)."""

    selection: frozenset[bytes]
    reference: str
    patterns: list[str]
    returns: frozenset[bytes]
    status_items: list[bytes]

    def is_matched(self, name: str) -> bool:
        """Return True if a mailbox name matches one of the patterns."""
        return any(_matches_any_case(_full_pattern(self.reference, pattern), name) for pattern in self.patterns)


def _read_list(reader: Reader) -> _ListCommand:
    reader.expect_space()
    selection: frozenset[bytes] = frozenset()
    if reader.starts_with(b"("):
        selection = frozenset(reader.in_parentheses(lambda: reader.word("selection option"), may_be_empty=True))
        reader.expect_space()
    if not selection <= _SELECTIONS or (selection & {b"RECURSIVEMATCH"} and not selection & _BASE_SELECTIONS):
        raise BadError("Unknown selection options of LIST, or RECURSIVEMATCH without another one.")
    reference = reader.mailbox()
    reader.expect_space()
    if reader.starts_with(b"("):
        patterns = reader.in_parentheses(reader.list_mailbox)
        if len(patterns) > PATTERNS_MAX:
            raise NoError(f"LIST takes {PATTERNS_MAX} patterns at most.")
    else:
        patterns = [reader.list_mailbox()]
    returns: list[bytes] = []
    status_items: list[bytes] = []
    if reader.accept(b" "):
        if reader.word("RETURN") != b"RETURN":
            raise BadError("Too many arguments.")
        reader.expect_space()
        returns = reader.in_parentheses(lambda: _read_return(reader, status_items), may_be_empty=True)
    reader.expect_end()
    names = [reader.name_of(pattern) for pattern in patterns]
    return _ListCommand(selection, reference, names, frozenset(returns), status_items)


def _read_return(reader: Reader, status_items: list[bytes]) -> bytes:
    option = reader.word("return option")
    if option not in _RETURNS:
        raise BadError("Unknown RETURN option of LIST.")
    if option == b"STATUS":
        reader.expect_space()
        status_items += read_status_items(reader)
    return option


def listed_names(maildir: Maildir) -> tuple[set[str], set[str]]:
    """Return (mailbox names, subscribed names) of the user; names with a component `.` or `..` are left out.

    Mail programs refuse such names, since they take them for directories.
    """
    return set(filter(is_listable, maildir.names())), set(filter(is_listable, maildir.subscriptions.names()))


def list_mailboxes(session: SessionState, reader: Reader) -> Steps:
    """Handle LIST (RFC 3501 section 6.3.8, RFC 5258), with STATUS data (RFC 5819) and special uses (RFC 6154)."""
    command = _read_list(reader)
    if command.patterns == [""]:
        # RFC 3501 section 6.3.8: an empty pattern asks for the hierarchy delimiter and the root of the reference name.
        root = SEPARATOR if command.reference.startswith(SEPARATOR) else ""
        yield list_response(b"LIST", (b"\\Noselect",), root)
        return "List completed."
    existing, subscribed = listed_names(session.user_maildir())
    superiors = {parent for name in existing for parent in parents(name)}
    selected = existing | superiors
    if b"SUBSCRIBED" in command.selection:
        selected = subscribed
    if b"SPECIAL-USE" in command.selection:
        selected = selected & existing & SPECIAL_USES.keys()
    above = {parent for name in selected for parent in parents(name)}
    recursive = b"RECURSIVEMATCH" in command.selection
    shows_subscribed = b"SUBSCRIBED" in command.selection | command.returns
    for name in _ordered(selected | above if recursive else selected):
        if not command.is_matched(name):
            continue
        attributes = [] if name in existing else [b"\\Noselect"]
        if name not in existing and (command.selection or command.returns):
            attributes.append(b"\\NonExistent")
        attributes += [b"\\Subscribed"] if shows_subscribed and name in subscribed else []
        attributes.append(b"\\HasChildren" if name in superiors else b"\\HasNoChildren")
        attributes += [SPECIAL_USES[name]] if name in SPECIAL_USES and name in existing else []
        kinds = encoder.parenthesized(encoder.string(kind) for kind in sorted(command.selection & _BASE_SELECTIONS))
        child_info = b' ("CHILDINFO" %b)' % kinds if recursive and name in above else b""
        yield list_response(b"LIST", attributes, name, child_info, session.is_rev2)
        if command.status_items and name in existing:
            # Send no STATUS if another session has just removed the mailbox.
            with suppress(NoFolderError):
                yield from status_response(session, name, command.status_items)
    return "List completed."


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name))


def list_subscribed(session: SessionState, reader: Reader) -> Steps:
    r"""Handle LSUB: list the subscribed names that match a pattern (RFC 3501 section 6.3.9).

    With `%`, a name that is not subscribed but has subscribed inferiors is listed as \Noselect.
    """
    reference, pattern = _read(reader)
    full_pattern = _full_pattern(reference, pattern)
    subscribed = set(filter(is_listable, session.user_maildir().subscriptions.names()))
    superiors = {parent for name in subscribed for parent in parents(name)} if "%" in full_pattern else set()
    for name in _ordered(subscribed | superiors):
        if _matches_any_case(full_pattern, name):
            if name in subscribed:
                yield list_response(b"LSUB", (), name, utf8=session.is_rev2)
            elif not _covers_inferiors(full_pattern, name, subscribed):
                yield list_response(b"LSUB", (b"\\Noselect",), name, utf8=session.is_rev2)
    return "Lsub completed."


def _covers_inferiors(full_pattern: str, name: str, subscribed: set[str]) -> bool:
    """Return True if the pattern of LSUB matches every subscribed inferior of a name.

    The name itself is then not listed.
    """
    return all(_matches_any_case(full_pattern, other) for other in subscribed if other.startswith(name + SEPARATOR))
