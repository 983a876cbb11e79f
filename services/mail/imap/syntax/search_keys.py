"""Parser of IMAP SEARCH keys: compiles the keys to a predicate on messages (RFC 3501 sections 6.4.4 and 9).

    test = KeyReader(reader, "utf-8", view).program()      view: the selected mailbox
    test(Candidate(view, number, uid))                     True if this message matches all keys

The argument `reader` is positioned at the first key of the command line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.limits import SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, SEARCH_TEXTS_MAX
from lab7.services.mail.imap.session_state import CachedMessage, View
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.dates import day_of, read_date, sent_day
from lab7.services.mail.imap.syntax.fetch_items import SequenceSet, read_sequence_set, uids_in
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.text_search import addresses_contain, body_contains, fold, header_contains, text_contains
from lab7.services.mail.maildir.folder import Message


@dataclass(slots=True)
class Candidate:
    """A message to be tested by SEARCH keys: flags and size, and its content, read lazily."""

    view: View
    number: int
    uid: int

    @property
    def message(self) -> Message:
        """The message in its Maildir folder, with flags and size; raises MessageGoneError."""
        return self.view.folder.message(self.uid)

    @property
    def content(self) -> CachedMessage:
        """The message's octets and MIME structure, read lazily."""
        return self.view.cache.get(self.uid)

    def has_flag(self, flag: str) -> bool:
        """Return True if the message has a flag, compared case-insensitively."""
        return flag.lower() in (own.lower() for own in self.message.flags)

    @property
    def is_recent(self) -> bool:
        r"""True if the message is \Recent in this session."""
        return self.uid in self.view.recent


Predicate = Callable[[Candidate], bool]

# SEARCH keys without an argument, most of which test a flag.
_FLAGS: dict[bytes, Predicate] = {
    b"ALL": lambda _primary: True,
    b"SAVEDATESUPPORTED": lambda _primary: True,
    b"ANSWERED": lambda message: message.has_flag("\\Answered"),
    b"DELETED": lambda message: message.has_flag("\\Deleted"),
    b"DRAFT": lambda message: message.has_flag("\\Draft"),
    b"FLAGGED": lambda message: message.has_flag("\\Flagged"),
    b"SEEN": lambda message: message.has_flag("\\Seen"),
    b"UNANSWERED": lambda message: not message.has_flag("\\Answered"),
    b"UNDELETED": lambda message: not message.has_flag("\\Deleted"),
    b"UNDRAFT": lambda message: not message.has_flag("\\Draft"),
    b"UNFLAGGED": lambda message: not message.has_flag("\\Flagged"),
    b"UNSEEN": lambda message: not message.has_flag("\\Seen"),
    b"RECENT": lambda message: message.is_recent,
    b"OLD": lambda message: not message.is_recent,
    b"NEW": lambda message: message.is_recent and not message.has_flag("\\Seen"),
}
# SEARCH keys in _ADDRESSES test an address field; keys in _TEXTS read the whole message.
_ADDRESSES = frozenset((b"BCC", b"CC", b"FROM", b"TO"))
_FieldTest = Callable[[CachedMessage, bytes, str], bool]
_TEXTS: dict[bytes, Callable[[CachedMessage, str], bool]] = {b"BODY": body_contains, b"TEXT": text_contains}
_DATES = frozenset(
    (b"BEFORE", b"ON", b"SINCE", b"SAVEDBEFORE", b"SAVEDON", b"SAVEDSINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE")
)


class KeyReader:
    """Recursive-descent parser of search keys; raises BadError on syntax errors and on excessive nesting."""

    def __init__(self, reader: Reader, charset: str, view: View, saved: Sequence[int] = ()) -> None:
        self._reader = reader
        self._charset = charset
        self._view = view
        self._saved = saved
        # True once a MODSEQ key was parsed: the response then has the highest mod-sequence (RFC 7162 section 3.1.5).
        self.uses_mod_sequences = False
        self._depth = 0
        self._keys = 0
        self._texts = 0

    def program(self) -> Predicate:
        """Parse all search keys to the end of the command; return a predicate that is true if all keys match."""
        tests = [self._key()]
        while not self._reader.at_end:
            self._reader.expect_space()
            tests.append(self._key())
        return _all(tests)

    def _key(self) -> Predicate:
        self._keys += 1
        self._depth += 1
        if self._depth > SEARCH_DEPTH_MAX or self._keys > SEARCH_KEYS_MAX:
            raise BadError("The search is nested too deep.")
        test = self._primary()
        self._depth -= 1
        return test

    def _primary(self) -> Predicate:
        reader = self._reader
        if reader.starts_with(b"("):
            return _all(reader.in_parentheses(self._key))
        if reader.octets[reader.position : reader.position + 1] in (*(b"%d" % digit for digit in range(10)), b"*"):
            return self._numbers(read_sequence_set(reader))
        if reader.accept(b"$"):
            return self._saved_result()
        word = reader.word("search key")
        if word in _FLAGS:
            return _FLAGS[word]
        reader.expect_space()
        return self._with_argument(word)

    def _with_argument(self, word: bytes) -> Predicate:
        reader = self._reader
        if word in _ADDRESSES:
            return self._field(word.lower(), addresses_contain)
        if word == b"SUBJECT":
            return self._field(b"subject", header_contains)
        if word in _TEXTS:
            return self._text(_TEXTS[word])
        if word in _DATES:
            return self._date(word)
        if word in (b"LARGER", b"SMALLER"):
            return self._size(word)
        if word in (b"EMAILID", b"THREADID"):
            # RFC 8474 section 6: the key THREADID is valid, but no message has a THREADID.
            identifier = reader.atom()
            return lambda message: word == b"EMAILID" and encoder.email_id(message.content.octets) == identifier
        if word == b"MODSEQ":
            return self._mod_sequence()
        if word in (b"OLDER", b"YOUNGER"):
            return self._within(word)
        if word in (b"KEYWORD", b"UNKEYWORD"):
            keyword = reader.atom().decode("ascii")
            return lambda message: message.has_flag(keyword) == (word == b"KEYWORD")
        return self._compound(word)

    def _compound(self, word: bytes) -> Predicate:
        reader = self._reader
        if word == b"HEADER":
            name = reader.astring().lower()
            reader.expect_space()
            return self._field(name, header_contains)
        if word == b"UID":
            return self._saved_result() if reader.accept(b"$") else self._uids(read_sequence_set(reader))
        if word == b"NOT":
            inner = self._key()
            return lambda message: not inner(message)
        if word == b"OR":
            first = self._key()
            reader.expect_space()
            second = self._key()
            return lambda message: first(message) or second(message)
        raise BadError("Unknown search key.")

    def _needle(self) -> str:
        octets = self._reader.astring()
        try:
            return fold(octets.decode(self._charset))
        except UnicodeDecodeError:
            raise BadError("The text is not in the character set.") from None

    def _field(self, name: bytes, test: _FieldTest) -> Predicate:
        needle = self._needle()
        return lambda message: test(message.content, name, needle)

    def _text(self, test: Callable[[CachedMessage, str], bool]) -> Predicate:
        self._texts += 1
        if self._texts > SEARCH_TEXTS_MAX:
            raise NoError(f"A search reads messages {SEARCH_TEXTS_MAX} times at most.", "LIMIT")
        needle = self._needle()
        return lambda message: test(message.content, needle)

    def _saved_result(self) -> Predicate:
        uids = frozenset(self._saved)
        return lambda message: message.uid in uids

    def _numbers(self, sequence_set: SequenceSet) -> Predicate:
        # Sequence numbers beyond the mailbox match no message, and are no error in SEARCH.
        numbers = frozenset(uids_in(sequence_set, range(1, len(self._view.uids) + 1)))
        return lambda message: message.number in numbers

    def _uids(self, sequence_set: SequenceSet) -> Predicate:
        uids = frozenset(uids_in(sequence_set, self._view.uids))
        return lambda message: message.uid in uids

    def _size(self, word: bytes) -> Predicate:
        number = self._reader.number64()
        if word == b"LARGER":
            return lambda message: self._view.folder.size_octets(message.uid) > number
        return lambda message: self._view.folder.size_octets(message.uid) < number

    def _mod_sequence(self) -> Predicate:
        """Parse the argument of MODSEQ (RFC 7162); return a predicate on messages.

        The predicate is true if the message's mod-sequence is at least the parsed number. An optional metadata entry
        has no effect, as each message has one mod-sequence.
        """
        reader = self._reader
        if reader.starts_with(b'"'):
            reader.string()
            reader.expect_space()
            if reader.word("entry type") not in (b"ALL", b"PRIV", b"SHARED"):
                raise BadError("Unknown type of metadata entry.")
            reader.expect_space()
        least = reader.mod_sequence()
        self.uses_mod_sequences = True
        return lambda message: self._view.mod_sequence(message.uid) >= least

    def _within(self, word: bytes) -> Predicate:
        """Parse the interval of OLDER or YOUNGER in seconds (RFC 5032 section 2); return a predicate on messages.

        The predicate compares a message's internal date with the time of the search minus the interval.
        """
        interval_s = self._reader.number()
        if not interval_s:
            raise BadError("The interval must not be zero.")
        view = self._view
        limit = view.folder.now() - interval_s
        if word == b"OLDER":
            return lambda message: view.folder.date(message.uid) <= limit
        return lambda message: view.folder.date(message.uid) >= limit

    def _date(self, word: bytes) -> Predicate:
        wanted_day = read_date(self._reader)

        def test(message: Candidate) -> bool:
            day: date | None
            if word.startswith(b"SENT"):
                day = sent_day(message.content.header.first(b"date"))
            elif word.startswith(b"SAVED"):
                # RFC 8514 section 4.3: a message without a save date is compared by its internal date.
                saved = self._view.folder.save_date(message.uid)
                day = day_of(self._view.folder.date(message.uid) if saved is None else saved)
            else:
                day = day_of(self._view.folder.date(message.uid))
            if day is None:
                return False
            if word.endswith(b"ON"):
                return day == wanted_day
            return day < wanted_day if word.endswith(b"BEFORE") else day >= wanted_day

        return test


def _all(tests: list[Predicate]) -> Predicate:
    return tests[0] if len(tests) == 1 else lambda message: all(test(message) for test in tests)
