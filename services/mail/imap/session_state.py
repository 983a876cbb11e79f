"""Session state that IMAP command handlers read and change: capabilities, selected mailbox, session state.

RFC 3501 sections 3 (states), 6.4.8 and 9 (message sets), 7 (responses, capabilities). Handlers depend on this module,
the session depends on the handlers; commands/table.py has the states in which each command is permitted.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from services.mail.access.requests import Opened
from services.mail.imap.errors import BadError, ByeError, NoError
from services.mail.imap.limits import CACHE_OCTETS
from services.mail.imap.syntax import encoder
from services.mail.imap.syntax.fetch_items import numbers_in, read_sequence_set, uids_in
from services.mail.imap.syntax.reader import Reader
from services.mail.maildir.errors import NoFolderError
from services.mail.maildir.folder import SYSTEM_FLAGS, Folder
from services.mail.maildir.store import Maildir
from services.mail.mime.header import Header, header_end, parse_header
from services.mail.mime.structure import Part, parse

RECENT = "\\Recent"
_ALWAYS = "IMAP4rev1 SASL-IR LITERAL+ ID IDLE"
_AFTER_LOG_IN = (
    "CHILDREN ENABLE ESEARCH LIST-EXTENDED LIST-STATUS MOVE MULTIAPPEND NAMESPACE SPECIAL-USE UIDPLUS UNSELECT"
)
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"


class CachedMessage:
    """Octets and MIME structure of a message, read on first use; that may raise MessageGoneError and OSError."""

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
        """Read the header or the whole message now, so that MessageGoneError and OSError are raised here."""
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
        """True if the octets read are few enough (CACHE_OCTETS) to stay in memory."""
        return self._octets is None or len(self._octets) <= CACHE_OCTETS


class MessageCache:
    """Cache of one message, the last that was read; messages are immutable, so that the entry never becomes stale."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._last: CachedMessage | None = None

    def get(self, uid: int) -> CachedMessage:
        """Return the message with this UID; errors, also of a removed message, are raised on reading only."""
        if self._last is None or self._last.uid != uid or not self._last.is_small:
            self._last = CachedMessage(self._folder, uid)
        return self._last


@dataclass(slots=True)
class Capabilities:
    """Capabilities to announce before and after authentication (RFC 3501 section 7.2.1).

    `tls` is true while STARTTLS can be offered: a certificate is configured and TLS is not active yet. With `needs_tls`
    LOGINDISABLED is sent until TLS is active (RFC 3501 section 6.2.3).
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


class View:
    """The selected mailbox as announced to the client: sequence numbers and flags (RFC 3501 section 7).

    `read_only` after EXAMINE. The folder may change at any time; sequence numbers change only with an EXPUNGE or EXISTS
    response, at a point where the protocol permits it.
    """

    def __init__(self, folder: Folder, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.cache = MessageCache(folder)
        folder.refresh()
        first = folder.first_recent if read_only else folder.claim_recent()
        self.uids = list(folder.uids)
        self.recent = set(self.uids[bisect_left(self.uids, first) :])
        self._sent_flags = {uid: folder.messages[uid].flags for uid in self.uids}
        self._keywords = list(folder.keywords.names)
        self._sent_recent_count = len(self.recent)
        self._revision = folder.revision

    def number(self, uid: int) -> int | None:
        """Return a message's sequence number, None for a UID that was not announced to the client."""
        position = bisect_left(self.uids, uid)
        return position + 1 if position < len(self.uids) and self.uids[position] == uid else None

    def flags(self, uid: int) -> frozenset[str]:
        r"""Return a message's flags, including \Recent."""
        flags = self._flags(uid)
        return flags | {RECENT} if uid in self.recent else flags

    def _flags(self, uid: int) -> frozenset[str]:
        r"""Return a message's flags without \Recent; for an expunged message, the flags last sent."""
        message = self.folder.messages.get(uid)
        return self._sent_flags.get(uid, frozenset()) if message is None else message.flags

    def sent_flags(self, uid: int) -> frozenset[str]:
        r"""Return the flags of a message last sent to the client, without \Recent."""
        return self._sent_flags.get(uid, frozenset())

    def set_flags_of_expunged(self, uid: int, flags: frozenset[str]) -> None:
        """Set the flags of an expunged message in this session only; keywords that the folder lacks are left out."""
        keywords = set(self.folder.keywords.names)
        self._sent_flags[uid] = frozenset(flag for flag in flags if flag.startswith("\\") or flag in keywords)

    def flags_item(self, uid: int) -> bytes:
        """Encode the FLAGS item of FETCH and record it as sent."""
        self._sent_flags[uid] = self._flags(uid)
        return b"FLAGS " + encoder.flag_list(self.flags(uid))

    def mark_sent(self, uid: int) -> None:
        """Record a message's current flags as known to the client."""
        self._sent_flags[uid] = self.folder.message(uid).flags

    def is_current(self, uid: int) -> bool:
        """Return True if a message's current flags have been sent to the client."""
        return self._sent_flags.get(uid) == self.folder.message(uid).flags

    def flag_lines(self) -> list[bytes]:
        """Return the FLAGS and PERMANENTFLAGS responses (RFC 3501 sections 7.2.6 and 7.1)."""
        every = [*SYSTEM_FLAGS, *self.folder.keywords.names]
        lasting = [] if self.read_only else [*every, *(["\\*"] if self.folder.may_add_keyword() else [])]
        return [
            b"* FLAGS " + encoder.flag_list(every) + b"\r\n",
            b"* OK [PERMANENTFLAGS " + encoder.flag_list(lasting) + b"] Flags permitted.\r\n",
        ]

    def refresh(self) -> None:
        """Rescan the folder for changes by other programs; raise ByeError if the mailbox was deleted."""
        try:
            self.folder.refresh()
        except NoFolderError:
            raise ByeError("The mailbox has been removed.") from None

    def updates(self, may_expunge: bool) -> Iterator[bytes]:
        """Yield untagged responses for all changes not sent yet; EXPUNGE responses only if `may_expunge`."""
        self.refresh()
        if self.folder.revision == self._revision:
            return
        messages = self.folder.messages
        expunged = [uid for uid in self.uids if uid not in messages]
        if may_expunge:
            yield from self._expunges(expunged)
        yield from self._new_messages()
        if len(self.recent) != self._sent_recent_count:
            self._sent_recent_count = len(self.recent)
            yield b"* %d RECENT\r\n" % len(self.recent)
        yield from self.new_keywords()
        yield from self._flag_changes()
        # If EXPUNGE responses are outstanding, forget the folder's revision, so that the next call compares again.
        self._revision = self.folder.revision if may_expunge or not expunged else -1

    def _expunges(self, expunged: list[int]) -> Iterator[bytes]:
        # Expunge in descending order, so that the sequence numbers of the remaining messages stay valid.
        for uid in reversed(expunged):
            position = bisect_left(self.uids, uid)
            del self.uids[position]
            self._sent_flags.pop(uid, None)
            self.recent.discard(uid)
            yield b"* %d EXPUNGE\r\n" % (position + 1)

    def _new_messages(self) -> Iterator[bytes]:
        last = self.uids[-1] if self.uids else 0
        arrived = self.folder.uids[bisect_right(self.folder.uids, last) :]
        if not arrived:
            return
        first = self.folder.first_recent if self.read_only else self.folder.claim_recent()
        self.uids += arrived
        self.recent.update(uid for uid in arrived if uid >= first)
        for uid in arrived:
            self.mark_sent(uid)
        yield b"* %d EXISTS\r\n" % len(self.uids)

    def new_keywords(self) -> Iterator[bytes]:
        """Yield the FLAGS and PERMANENTFLAGS responses if the folder has keywords that the client does not know."""
        if self.folder.keywords.names != self._keywords:
            self._keywords = list(self.folder.keywords.names)
            yield from self.flag_lines()

    def _flag_changes(self) -> Iterator[bytes]:
        messages = self.folder.messages
        for number, uid in enumerate(self.uids, start=1):
            message = messages.get(uid)
            if message is not None and message.flags != self._sent_flags.get(uid):
                yield b"* %d FETCH (%b)\r\n" % (number, self.flags_item(uid))


class State(Enum):
    """States of an IMAP session (RFC 3501 section 3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


class SessionState:
    """Data of one session; `maildir` is set by authentication, `view` by SELECT and EXAMINE."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.state = State.NOT_AUTHENTICATED
        self.user = ""
        # ESEARCH responses include the tag of the running command.
        self.tag = b""
        self.maildir: Maildir | None = None
        self.view: View | None = None
        self.idling = False
        self.tls_requested = False
        self.failed_logins = 0

    @property
    def logged_in(self) -> bool:
        """True once the client is authenticated."""
        return self.state is not State.NOT_AUTHENTICATED

    def capability(self) -> bytes:
        """Return the capability data for the current session state."""
        return self.capabilities.encode(self.logged_in)

    def log_in(self, opened: Opened) -> None:
        """Enter the authenticated state with the user's mailbox."""
        self.user, self.maildir = opened.name, opened.maildir
        self.state = State.AUTHENTICATED

    def select(self, view: View | None) -> None:
        """Enter the selected state with a mailbox, or leave it with None."""
        self.view = view
        self.state = State.AUTHENTICATED if view is None else State.SELECTED

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
        """Return the selected mailbox; raise NoError if it is read-only."""
        view = self.selected()
        if view.read_only:
            raise NoError("The mailbox is read-only.", "READ-ONLY")
        return view


def read_message_set(session: SessionState, reader: Reader, by_uid: bool) -> list[int]:
    """Parse a space and a sequence set; return the UIDs of its messages.

    A sequence number that does not exist raises BadError; a UID that does not exist is ignored.
    """
    reader.expect_space()
    sequence_set = read_sequence_set(reader)
    uids = session.selected().uids
    if by_uid:
        return uids_in(sequence_set, uids)
    return [uids[number - 1] for number in numbers_in(sequence_set, len(uids))]
