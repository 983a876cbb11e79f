"""IMAP session state, as command handlers read and change it (RFC 3501 section 3).

Handlers depend on this module, the session depends on the handlers; commands/table.py explains the states.
"""

from enum import Enum, auto

from services.mail.access.requests import Opened
from services.mail.imap.capabilities import Capabilities
from services.mail.imap.errors import BadError, NoError
from services.mail.imap.view import View
from services.mail.maildir.store import Maildir


class State(Enum):
    """Session states (RFC 3501 section 3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


class SessionState:
    """State of one session; `maildir` is set by authentication, `view` by SELECT and EXAMINE."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.state = State.NOT_AUTHENTICATED
        self.user = ""
        # Tag of the running command; ESEARCH responses include it.
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
        """Return the capability data of the current state."""
        return self.capabilities.encode(self.logged_in)

    def log_in(self, opened: Opened) -> None:
        """Enter the authenticated state."""
        self.user, self.maildir = opened.name, opened.maildir
        self.state = State.AUTHENTICATED

    def select(self, view: View | None) -> None:
        """Select a mailbox, or with None deselect."""
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
            raise NoError("The mailbox is open for reading only.", "READ-ONLY")
        return view
