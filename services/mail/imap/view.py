"""Selected mailbox as announced to one IMAP client: sequence numbers, pending updates (RFC 3501 sections 5.2, 7).

Other sessions change the mailbox at any time, but the sequence numbers of a client change only when its session sends
EXISTS and EXPUNGE. The view is the state that the client knows; its pending updates are the difference from the folder.
"""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from typing import TypeVar

from lab7.services.mail.imap.cached_message import MessageCache
from lab7.services.mail.imap.errors import ByeError, NoError
from lab7.services.mail.imap.search_context import SearchContext
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set
from lab7.services.mail.maildir.errors import MessageGoneError, NoFolderError
from lab7.services.mail.maildir.folder import SYSTEM_FLAGS, Folder
from lab7.services.mail.maildir.limits import STEP_MESSAGES
from lab7.services.mail.maildir.steps import batches, with_pauses

RECENT = "\\Recent"
REV2 = "IMAP4rev2"
_Result = TypeVar("_Result")


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
