"""State of an IMAP session that command handlers read and change: protocol state, capabilities, selected mailbox.

RFC 3501 specifies the states in section 3, message sets in sections 6.4.8 and 9, responses and capabilities in section
7. The state is separate from session.py, which imports the handlers, so that the handlers can import it without a
cycle. commands/table.py lists the states in which each command is permitted.

The selected mailbox (View) is a mailbox as it was announced to this client: sequence numbers, and pending updates
(sections 5.2 and 7). Its messages (CachedMessage) are read lazily, on first use by FETCH or SEARCH: octets, header and
MIME structure.
"""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from lab7.services.mail.access.requests import Opened
from lab7.services.mail.imap.errors import BadError, ByeError, NoError
from lab7.services.mail.imap.limits import CACHE_OCTETS
from lab7.services.mail.imap.search_context import SearchContext
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set, numbers_in, read_sequence_set, uids_in
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.errors import MessageGoneError, NoFolderError
from lab7.services.mail.maildir.folder import SYSTEM_FLAGS, Folder
from lab7.services.mail.maildir.limits import STEP_MESSAGES
from lab7.services.mail.maildir.steps import batches, with_pauses
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.mime.header import Header, header_end, parse_header
from lab7.services.mail.mime.structure import Part, parse

RECENT = "\\Recent"
REV2 = "IMAP4rev2"
_ALWAYS = f"IMAP4rev1 {REV2} SASL-IR LITERAL+ ID ENABLE IDLE"
# Capabilities after authentication, sorted.
_AFTER_LOG_IN = (
    "BINARY CATENATE CHILDREN COMPRESS=DEFLATE CONDSTORE CONTEXT=SEARCH ESEARCH ESORT I18NLEVEL=1 "
    "LIST-EXTENDED LIST-STATUS MOVE MULTIAPPEND NAMESPACE NOTIFY OBJECTID PREVIEW QRESYNC REPLACE SAVEDATE "
    "SEARCHRES SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDPLUS "
    "UNSELECT URL-PARTIAL WITHIN"
)
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Capabilities:
    """Capabilities to announce before and after authentication (RFC 3501 section 7.2.1).

    `tls` is true while STARTTLS can be offered: a certificate is configured and TLS is not active yet. If `needs_tls`
    is true, LOGINDISABLED is announced until TLS is active (RFC 3501 section 6.2.3).
    """

    tls: bool = False
    needs_tls: bool = False

    @property
    def login_allowed(self) -> bool:
        """True if LOGIN and AUTHENTICATE are permitted now."""
        return not (self.tls and self.needs_tls)

    def encode(self, logged_in: bool) -> bytes:
        """Return `CAPABILITY` and the capability names, for the untagged response or a response code."""
        words = ["CAPABILITY", _ALWAYS]
        if logged_in:
            words.append(_AFTER_LOG_IN)
        else:
            words += ["STARTTLS"] if self.tls else []
            words.append(_MECHANISMS if self.login_allowed else "LOGINDISABLED")
        return " ".join(words).encode("ascii")


class State(Enum):
    """States of an IMAP session (RFC 3501 section 3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


class CachedMessage:
    """A message whose octets, header and MIME structure are read lazily, on first use.

    Reading may raise MessageGoneError (another program has removed the message) and OSError.
    """

    def __init__(self, folder: Folder, uid: int) -> None:
        self.folder = folder
        self.uid = uid
        self._octets: bytes | None = None
        self._header_octets: bytes | None = None
        self._header: Header | None = None
        self._root: Part | None = None

    @property
    def octets(self) -> bytes:
        """The octets of the whole message, with CRLF line ends."""
        if self._octets is None:
            self._octets = self.folder.read(self.uid)
        return self._octets

    def load(self, header_only: bool) -> None:
        """Read the header or the whole message now, so that MessageGoneError and OSError are raised here, not later."""
        _ = self.header_octets if header_only else self.octets

    @property
    def root(self) -> Part:
        """The MIME structure of the whole message."""
        if self._root is None:
            self._root = parse(self.octets)
        return self._root

    @property
    def header_octets(self) -> bytes:
        """The octets of the header, including the empty line at its end."""
        if self._root is not None:
            return self.octets[: self._root.body_begin]
        if self._octets is not None:
            return self._octets[: header_end(self._octets, 0, len(self._octets))[1]]
        if self._header_octets is None:
            self._header_octets = self.folder.read_header(self.uid)
        return self._header_octets

    @property
    def header(self) -> Header:
        """The parsed header fields."""
        if self._root is not None:
            return self._root.header
        if self._header is None:
            self._header = parse_header(self.header_octets)
        return self._header

    @property
    def is_small(self) -> bool:
        """True if the message's octets are not loaded yet, or few enough (CACHE_OCTETS) to stay in memory."""
        return self._octets is None or len(self._octets) <= CACHE_OCTETS


class MessageCache:
    """Cache of one message, the last one requested; messages never change, so the entry never becomes stale."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._last: CachedMessage | None = None

    def get(self, uid: int) -> CachedMessage:
        """Return the message with this UID, from the cache or new; its content is read lazily.

        MessageGoneError and OSError are therefore raised on reading, not here.
        """
        if self._last is None or self._last.uid != uid or not self._last.is_small:
            self._last = CachedMessage(self._folder, uid)
        return self._last


def pauses(steps: Generator[None, None, _Result]) -> Generator[bytes, None, _Result]:
    """Return a generator that runs `steps`, yields b"" after each step, and returns their result.

    Whenever b"" (no octets to send) is yielded, the connection may let other sessions run.
    """
    return with_pauses(steps, b"")


class View:
    """The selected mailbox as announced to the client: sequence numbers and flags (RFC 3501 section 7).

    `read_only` is True after EXAMINE. The Maildir folder may change at any time; sequence numbers change only with an
    EXPUNGE or EXISTS response, at a point where the protocol permits it.
    """

    def __init__(self, folder: Folder, read_only: bool, enabled: set[str] | None = None) -> None:
        self.folder = folder
        # Extensions that the session has enabled; the session adds to the set.
        self.enabled = set() if enabled is None else enabled
        self.read_only = read_only
        self.cache = MessageCache(folder)
        # Searches whose changes are notified, keyed by tag (RFC 5267).
        self.contexts: dict[bytes, SearchContext] = {}
        # UIDs whose flags were sent since the last updates(), for the search contexts.
        self._touched: set[int] = set()
        self.uids: list[int] = []
        self.recent: set[int] = set()
        self.has_mod_sequences = True
        self._sent_flags: dict[int, frozenset[str]] = {}
        self._keywords: list[str] = []
        self._sent_recent_count = 0
        self._revision = -1

    def load(self) -> Iterator[bytes]:
        """Read the mailbox; yield b"" now and then, so that other sessions can run. Raise NoFolderError and OSError."""
        yield from pauses(self.folder.refresh_steps())
        if self.read_only:
            first = self.folder.first_recent
        else:
            first = yield from pauses(self.folder.claim_recent_steps())
        try:
            yield from pauses(self.folder.record_steps())
        except OSError:
            # RFC 7162 section 3.1.2.2: without mod-sequences, the mailbox can be read, but with NOMODSEQ.
            self.has_mod_sequences = False
        self.uids = list(self.folder.uids)
        self.recent = set(self.uids[bisect_left(self.uids, first) :])
        self._sent_recent_count = len(self.recent)
        self._revision = self.folder.revision
        for batch in batches(self.uids, STEP_MESSAGES):
            messages = self.folder.messages
            self._sent_flags.update((uid, messages[uid].flags) for uid in batch if uid in messages)
            yield b""
        self._keywords = list(self.folder.keywords.names)

    def number(self, uid: int) -> int | None:
        """Return a message's sequence number, None for a UID not announced to the client yet."""
        position = bisect_left(self.uids, uid)
        return position + 1 if position < len(self.uids) and self.uids[position] == uid else None

    def flags(self, uid: int) -> frozenset[str]:
        r"""Return a message's flags, including \Recent."""
        flags = self._flags(uid)
        return flags | {RECENT} if self.reports_recent and uid in self.recent else flags

    def _flags(self, uid: int) -> frozenset[str]:
        r"""Return a message's flags without \Recent; for an expunged message, the flags last sent."""
        message = self.folder.messages.get(uid)
        return self._sent_flags.get(uid, frozenset()) if message is None else message.flags

    def sent_flags(self, uid: int) -> frozenset[str]:
        r"""Return the flags of a message that were last sent to the client, without \Recent."""
        return self._sent_flags.get(uid, frozenset())

    def set_flags_of_expunged(self, uid: int, flags: frozenset[str]) -> None:
        """Record flags that STORE sets on an expunged message, for this session only.

        Keywords that the folder does not have are left out.
        """
        keywords = set(self.folder.keywords.names)
        self._record(uid, frozenset(flag for flag in flags if flag.startswith("\\") or flag in keywords))

    @property
    def reports_mod_sequences(self) -> bool:
        """True if FETCH responses with flags also have a mod-sequence: CONDSTORE is enabled (RFC 7162 section 3.1)."""
        return "CONDSTORE" in self.enabled and self.has_mod_sequences

    @property
    def reports_recent(self) -> bool:
        r"""True unless IMAP4rev2 is enabled, which has neither RECENT nor \Recent (RFC 9051 appendix E)."""
        return REV2 not in self.enabled

    @property
    def reports_vanished(self) -> bool:
        """True if VANISHED responses replace EXPUNGE responses, because QRESYNC is enabled (RFC 7162 section 3.2)."""
        return "QRESYNC" in self.enabled

    @property
    def enabled_items(self) -> tuple[bytes, ...]:
        """The FETCH items that enabled extensions add to responses with changed flags: UID, MODSEQ (RFC 7162)."""
        uid = (b"UID",) if self.reports_vanished else ()
        return (*uid, b"MODSEQ") if self.reports_mod_sequences else uid

    def mod_sequence(self, uid: int) -> int:
        """Return a message's current mod-sequence.

        Raises MessageGoneError for a message that was removed, and NoError if the mailbox has no mod-sequences.
        """
        if not self.has_mod_sequences:
            raise NoError("The mailbox has no mod-sequences.")
        self.folder.record_changes()
        mod_sequence = self.folder.mod_sequences.of(uid)
        if not mod_sequence:
            # RFC 7162 section 7: the mod-sequence of a message in a response is not zero.
            raise MessageGoneError("The message has been removed.")
        return mod_sequence

    def highest_mod_sequence(self) -> int:
        """Return the current HIGHESTMODSEQ (RFC 7162 section 3.1.2.1)."""
        self.folder.record_changes()
        return self.folder.mod_sequences.highest

    def flags_response(self, uid: int, with_uid: bool = False, with_flags: bool = True) -> bytes:
        """Encode the FETCH response for changed flags, with UID and mod-sequence if enabled; record the flags as sent.

        If `with_flags` is False, the response has no FLAGS: the client knows the flags, but not the new mod-sequence.
        """
        items = [b"UID %d" % uid] if with_uid or self.reports_vanished else []
        if with_flags:
            items.append(self.flags_item(uid))
        if self.reports_mod_sequences:
            # A message that another session has expunged has no mod-sequence any more.
            with contextlib.suppress(MessageGoneError):
                items.append(b"MODSEQ (%d)" % self.mod_sequence(uid))
        return b"* %d FETCH %b\r\n" % (self.number(uid) or 0, encoder.parenthesized(items))

    def flags_item(self, uid: int) -> bytes:
        """Encode the FLAGS item of FETCH, and record the flags as sent."""
        self._record(uid, self._flags(uid))
        return b"FLAGS " + encoder.flag_list(self.flags(uid))

    def mark_sent(self, uid: int) -> None:
        """Record that the present flags of a message have been sent to the client."""
        self._record(uid, self.folder.message(uid).flags)

    def _record(self, uid: int, flags: frozenset[str]) -> None:
        if self.contexts and self._sent_flags.get(uid) != flags:
            self._touched.add(uid)
        self._sent_flags[uid] = flags

    def is_current(self, uid: int) -> bool:
        """Return True if the client has been sent the present flags of a message."""
        return self._sent_flags.get(uid) == self.folder.message(uid).flags

    def flag_lines(self) -> list[bytes]:
        """Return the FLAGS and PERMANENTFLAGS responses (RFC 3501 sections 7.2.6 and 7.1)."""
        every = [*SYSTEM_FLAGS, *self.folder.keywords.names]
        lasting = [] if self.read_only else [*every, *(["\\*"] if self.folder.may_add_keyword() else [])]
        return [
            b"* FLAGS " + encoder.flag_list(every) + b"\r\n",
            b"* OK [PERMANENTFLAGS " + encoder.flag_list(lasting) + b"] Flags permitted.\r\n",
        ]

    def refresh(self) -> Iterator[bytes]:
        """Rescan the folder for changes by other programs; raise ByeError if the mailbox was deleted.

        Yields b"" now and then, so that other sessions can run.
        """
        try:
            yield from pauses(self.folder.refresh_steps())
        except NoFolderError:
            raise ByeError("The mailbox has been removed.") from None

    def updates(self, may_expunge: bool) -> Iterator[bytes]:
        """Yield untagged responses for all changes not sent yet; EXPUNGE is included only if `may_expunge`."""
        yield from self.refresh()
        if self.folder.revision == self._revision:
            return
        yield from self._record_changes()
        revision = self.folder.revision
        messages = self.folder.messages
        expunged = [uid for uid in self.uids if uid not in messages]
        if may_expunge:
            yield from self._expunges(expunged)
        yield from self._new_messages()
        if self.reports_recent and len(self.recent) != self._sent_recent_count:
            self._sent_recent_count = len(self.recent)
            yield b"* %d RECENT\r\n" % len(self.recent)
        yield from self.new_keywords()
        yield from self._flag_changes()
        yield from self._context_changes()
        # If EXPUNGE responses are outstanding, forget the folder's revision, so that the next updates() compares again.
        self._revision = revision if may_expunge or not expunged else -1

    def _record_changes(self) -> Iterator[bytes]:
        try:
            yield from pauses(self.folder.record_steps())
        except OSError:
            # An error of the mod-sequence record matters only to a client that uses mod-sequences.
            if self.reports_mod_sequences:
                raise

    def _context_changes(self) -> Iterator[bytes]:
        """Yield ESEARCH responses for changed results of earlier searches with UPDATE (RFC 5267 section 4.3)."""
        messages = self.folder.messages
        changed = [(self.number(uid) or 0, uid) for uid in sorted(self._touched) if uid in messages]
        self._touched.clear()
        for context in self.contexts.values() if changed else ():
            yield from context.update(changed)

    def _expunges(self, expunged: list[int]) -> Iterator[bytes]:
        for context in self.contexts.values():
            yield from context.remove_expunged([(self.number(uid) or 0, uid) for uid in expunged])
        if self.reports_vanished and expunged:
            gone = set(expunged)
            self.uids = [uid for uid in self.uids if uid not in gone]
            for uid in expunged:
                self._forget(uid)
            yield b"* VANISHED %b\r\n" % format_sequence_set(expunged).encode("ascii")
            return
        # Expunge in descending order, so that the sequence numbers of the remaining messages stay valid.
        numbers = [self.number(uid) or 0 for uid in reversed(expunged)]
        gone = set(expunged)
        self.uids = [uid for uid in self.uids if uid not in gone]
        for uid in expunged:
            self._forget(uid)
        for batch in batches(numbers, STEP_MESSAGES):
            yield b"".join(b"* %d EXPUNGE\r\n" % number for number in batch)

    def _forget(self, uid: int) -> None:
        self._sent_flags.pop(uid, None)
        self.recent.discard(uid)

    def _new_messages(self) -> Iterator[bytes]:
        last = self.uids[-1] if self.uids else 0
        arrived = self.folder.uids[bisect_right(self.folder.uids, last) :]
        if not arrived:
            return
        if self.read_only:
            first = self.folder.first_recent
        else:
            first = yield from pauses(self.folder.claim_recent_steps())
        # Messages removed since the last scan are announced first, and expunged later.
        self.uids += arrived
        self.recent.update(uid for uid in arrived if uid >= first)
        for uid in arrived:
            self._record(uid, self._flags(uid))
        yield b"* %d EXISTS\r\n" % len(self.uids)

    def new_keywords(self) -> Iterator[bytes]:
        """Yield the FLAGS and PERMANENTFLAGS responses if the folder has keywords that the client does not know."""
        if self.folder.keywords.names != self._keywords:
            self._keywords = list(self.folder.keywords.names)
            yield from self.flag_lines()

    def _flag_changes(self) -> Iterator[bytes]:
        messages = self.folder.messages
        for index, uid in enumerate(self.uids):
            if index % STEP_MESSAGES == 0:
                yield b""
            message = messages.get(uid)
            if message is not None and message.flags != self._sent_flags.get(uid):
                # Another session may have added a keyword since the last pause.
                yield from self.new_keywords()
                yield self.flags_response(uid)


class SessionState:
    """Data of one session; `maildir` is set by authentication, `view` (the selected mailbox) by SELECT and EXAMINE."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.state = State.NOT_AUTHENTICATED
        self.user = ""
        # ESEARCH responses include the tag of the running command.
        self.tag = b""
        self.maildir: Maildir | None = None
        self.view: View | None = None
        # Enabled extensions that change responses, by ENABLE (RFC 5161) or by a command with the extension (RFC 7162).
        self.enabled: set[str] = set()
        # UIDs of the search result variable `$` (RFC 5182), in the selected mailbox.
        self.saved_result: list[int] = []
        self.idling = False
        # Function that yields the notifications of NOTIFY (RFC 5465); None without NOTIFY.
        self.poll_notifications: Callable[[SessionState], Iterator[bytes]] | None = None
        self.tls_requested = False
        self.compression_requested = False
        self.compresses = False
        self.failed_logins = 0

    @property
    def logged_in(self) -> bool:
        """True once the client has logged in."""
        return self.state is not State.NOT_AUTHENTICATED

    @property
    def is_rev2(self) -> bool:
        """True if the client has enabled IMAP4rev2 (RFC 9051 section 6.3.1)."""
        return REV2 in self.enabled

    def capability(self) -> bytes:
        """Return `CAPABILITY` and the capability names to announce in the current session state."""
        return self.capabilities.encode(self.logged_in)

    def log_in(self, opened: Opened) -> None:
        """Enter the authenticated state with the user's mailbox."""
        self.user, self.maildir = opened.name, opened.maildir
        self.state = State.AUTHENTICATED

    def select(self, view: View | None) -> None:
        """Enter the selected state with the mailbox `view`; if it is None, leave the selected state."""
        self.view = view
        # RFC 5182 section 2.1: selecting a mailbox empties the search result variable `$`.
        self.saved_result = []
        self.state = State.AUTHENTICATED if view is None else State.SELECTED

    def enable_condstore(self) -> Iterator[bytes]:
        """Enable CONDSTORE because a command uses it (RFC 7162 section 3.1).

        Yields the HIGHESTMODSEQ response if a mailbox is selected.
        """
        if "CONDSTORE" not in self.enabled:
            self.enabled.add("CONDSTORE")
            if self.view is not None:
                yield highest_mod_sequence_line(self.view)

    def log_out(self) -> None:
        """Enter the logout state."""
        self.state = State.LOGOUT

    def user_maildir(self) -> Maildir:
        """Return the authenticated user's Maildir; raise BadError before authentication."""
        if self.maildir is None:
            raise BadError("Log in first.")
        return self.maildir

    def selected(self) -> View:
        """Return the selected mailbox; raise BadError if none is selected."""
        if self.view is None:
            raise BadError("No mailbox is selected.")
        return self.view

    def writable(self) -> View:
        """Return the selected mailbox if it may be changed; raise NoError if it is read-only."""
        view = self.selected()
        if view.read_only:
            raise NoError("The mailbox is read-only.", "READ-ONLY")
        return view


def highest_mod_sequence_line(view: View) -> bytes:
    """Encode the response HIGHESTMODSEQ, or NOMODSEQ if the mailbox has no mod-sequences (RFC 7162 section 3.1.2)."""
    if not view.has_mod_sequences:
        return b"* OK [NOMODSEQ] No mod-sequences.\r\n"
    return b"* OK [HIGHESTMODSEQ %d] Highest mod-sequence.\r\n" % view.highest_mod_sequence()


def read_message_set(session: SessionState, reader: Reader, by_uid: bool) -> list[int]:
    """Parse a space and a sequence set, or `$` for the saved search result (RFC 5182); return the UIDs of its messages.

    A sequence number that does not exist raises BadError; a UID that does not exist is ignored.
    """
    reader.expect_space()
    uids = session.selected().uids
    if reader.accept(b"$"):
        present = set(uids)
        return [uid for uid in session.saved_result if uid in present]
    sequence_set = read_sequence_set(reader)
    if by_uid:
        return uids_in(sequence_set, uids)
    return [uids[number - 1] for number in numbers_in(sequence_set, len(uids))]
