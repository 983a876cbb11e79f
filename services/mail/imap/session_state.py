"""State of an IMAP session that command handlers read and change: protocol state, capabilities, selected mailbox.

RFC 3501 specifies the states in section 3, message sets in sections 6.4.8 and 9, responses and capabilities in section
7. The state is separate from session.py, which imports the handlers, so that the handlers can import it without a
cycle. commands/table.py lists the states in which each command is permitted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lab7.services.mail.access.requests import Opened
from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.syntax.fetch_items import numbers_in, read_sequence_set, uids_in
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.view import REV2, View
from lab7.services.mail.maildir.store import Maildir

_ALWAYS = f"IMAP4rev1 {REV2} SASL-IR LITERAL+ ID ENABLE IDLE"
# Capabilities after authentication, sorted.
_AFTER_LOG_IN = (
    "BINARY CATENATE CHILDREN COMPRESS=DEFLATE CONDSTORE CONTEXT=SEARCH ESEARCH ESORT I18NLEVEL=1 "
    "LIST-EXTENDED LIST-STATUS MOVE MULTIAPPEND NAMESPACE NOTIFY OBJECTID PREVIEW QRESYNC REPLACE SAVEDATE "
    "SEARCHRES SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDPLUS "
    "UNSELECT URL-PARTIAL WITHIN"
)
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"


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
