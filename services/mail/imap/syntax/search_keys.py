"""SEARCH keys, compiled to predicates on a message (RFC 3501 sections 6.4.4 and 9).

test = KeyReader(reader, "utf-8", view).program()
test(Candidate(view, number, uid))
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.mail.imap.contents import Content
from services.mail.imap.errors import BadError, NoError
from services.mail.imap.limits import SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, SEARCH_TEXTS_MAX
from services.mail.imap.matching import addresses_have, body_has, folded, header_has, text_has
from services.mail.imap.syntax.dates import day_of, read_date, sent_day
from services.mail.imap.syntax.reader import Reader
from services.mail.imap.syntax.sequence_set import SequenceSet, read_sequence_set, uids_in
from services.mail.imap.view import View
from services.mail.maildir.folder import Message


@dataclass(slots=True)
class Candidate:
    """A message under test."""

    view: View
    number: int
    uid: int

    @property
    def message(self) -> Message:
        """Flags and size; raises MessageGoneError."""
        return self.view.folder.message(self.uid)

    @property
    def content(self) -> Content:
        """The message itself, read on demand."""
        return self.view.contents.get(self.uid)

    def has(self, flag: str) -> bool:
        """Return whether the message has a flag, case-insensitively."""
        return flag.lower() in (own.lower() for own in self.message.flags)

    @property
    def is_recent(self) -> bool:
        r"""True if the message is \Recent in this session."""
        return self.uid in self.view.recent


Test = Callable[[Candidate], bool]

# Keys without an argument.
_FLAGS: dict[bytes, Test] = {
    b"ALL": lambda _one: True,
    b"ANSWERED": lambda one: one.has("\\Answered"),
    b"DELETED": lambda one: one.has("\\Deleted"),
    b"DRAFT": lambda one: one.has("\\Draft"),
    b"FLAGGED": lambda one: one.has("\\Flagged"),
    b"SEEN": lambda one: one.has("\\Seen"),
    b"UNANSWERED": lambda one: not one.has("\\Answered"),
    b"UNDELETED": lambda one: not one.has("\\Deleted"),
    b"UNDRAFT": lambda one: not one.has("\\Draft"),
    b"UNFLAGGED": lambda one: not one.has("\\Flagged"),
    b"UNSEEN": lambda one: not one.has("\\Seen"),
    b"RECENT": lambda one: one.is_recent,
    b"OLD": lambda one: not one.is_recent,
    b"NEW": lambda one: one.is_recent and not one.has("\\Seen"),
}
# Keys that search an address field, and keys that search the whole message.
_ADDRESSES = frozenset((b"BCC", b"CC", b"FROM", b"TO"))
_Has = Callable[[Content, bytes, str], bool]
_TEXTS: dict[bytes, Callable[[Content, str], bool]] = {b"BODY": body_has, b"TEXT": text_has}
_DATES = frozenset((b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"))


class KeyReader:
    """Recursive-descent parser of search keys; raises BadError on syntax errors and on excessive nesting."""

    def __init__(self, reader: Reader, charset: str, view: View) -> None:
        self._reader = reader
        self._charset = charset
        self._view = view
        self._depth = 0
        self._keys = 0
        self._texts = 0

    def program(self) -> Test:
        """Parse all keys to the end of the command; return their conjunction."""
        tests = [self._key()]
        while not self._reader.at_end:
            self._reader.space()
            tests.append(self._key())
        return _all(tests)

    def _key(self) -> Test:
        self._keys += 1
        self._depth += 1
        if self._depth > SEARCH_DEPTH_MAX or self._keys > SEARCH_KEYS_MAX:
            raise BadError("The search is nested too deep.")
        test = self._one()
        self._depth -= 1
        return test

    def _one(self) -> Test:
        reader = self._reader
        if reader.next_is(b"("):
            return _all(reader.in_parentheses(self._key))
        if reader.octets[reader.place : reader.place + 1] in (*(b"%d" % digit for digit in range(10)), b"*"):
            return self._numbers(read_sequence_set(reader))
        word = reader.word("search key")
        if word in _FLAGS:
            return _FLAGS[word]
        reader.space()
        return self._with_argument(word)

    def _with_argument(self, word: bytes) -> Test:
        reader = self._reader
        if word in _ADDRESSES:
            return self._field(word.lower(), addresses_have)
        if word == b"SUBJECT":
            return self._field(b"subject", header_has)
        if word in _TEXTS:
            return self._text(_TEXTS[word])
        if word in _DATES:
            return self._date(word)
        if word in (b"LARGER", b"SMALLER"):
            return self._size(word)
        if word in (b"KEYWORD", b"UNKEYWORD"):
            keyword = reader.atom().decode("ascii")
            return lambda one: one.has(keyword) == (word == b"KEYWORD")
        return self._compound(word)

    def _compound(self, word: bytes) -> Test:
        reader = self._reader
        if word == b"HEADER":
            name = reader.astring().lower()
            reader.space()
            return self._field(name, header_has)
        if word == b"UID":
            return self._uids(read_sequence_set(reader))
        if word == b"NOT":
            inner = self._key()
            return lambda one: not inner(one)
        if word == b"OR":
            first = self._key()
            reader.space()
            second = self._key()
            return lambda one: first(one) or second(one)
        raise BadError("SEARCH has no such key.")

    def _needle(self) -> str:
        octets = self._reader.astring()
        try:
            return folded(octets.decode(self._charset))
        except UnicodeDecodeError:
            raise BadError("The text is not in the character set.") from None

    def _field(self, name: bytes, has: _Has) -> Test:
        needle = self._needle()
        return lambda one: has(one.content, name, needle)

    def _text(self, has: Callable[[Content, str], bool]) -> Test:
        self._texts += 1
        if self._texts > SEARCH_TEXTS_MAX:
            raise NoError(f"A search reads messages {SEARCH_TEXTS_MAX} times at most.", "LIMIT")
        needle = self._needle()
        return lambda one: has(one.content, needle)

    def _numbers(self, wanted: SequenceSet) -> Test:
        # A sequence number beyond the mailbox matches no message; it is no error here.
        numbers = frozenset(uids_in(wanted, range(1, len(self._view.uids) + 1)))
        return lambda one: one.number in numbers

    def _uids(self, wanted: SequenceSet) -> Test:
        uids = frozenset(uids_in(wanted, self._view.uids))
        return lambda one: one.uid in uids

    def _size(self, word: bytes) -> Test:
        number = self._reader.number()
        if word == b"LARGER":
            return lambda one: self._view.folder.size_octets(one.uid) > number
        return lambda one: self._view.folder.size_octets(one.uid) < number

    def _date(self, word: bytes) -> Test:
        wanted = read_date(self._reader)
        sent = word.startswith(b"SENT")

        def test(one: Candidate) -> bool:
            day = sent_day(one.content.header.first(b"date")) if sent else day_of(self._view.folder.date(one.uid))
            if day is None:
                return False
            if word.endswith(b"ON"):
                return day == wanted
            return day < wanted if word.endswith(b"BEFORE") else day >= wanted

        return test


def _all(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda one: all(test(one) for test in tests)
