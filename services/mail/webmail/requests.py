"""Page handler interface: the HTTP request passed to a handler, and the I/O requests that it yields."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from services.http.forms import Form
from services.http.messages import Response
from services.mail.maildir.store import Maildir
from services.mail.smtp.client_session import Envelope, Outcome
from services.mail.smtp.syntax import Reply
from services.mail.webmail.sessions import Session


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Check a password; answered with the Account, or None."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Send a message as a user; answered with a Submitted."""

    envelope: Envelope
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """Result of a submission: a reply per recipient, or the failure of the connection."""

    outcome: Outcome | None
    failure: Reply | None


@dataclass(frozen=True, slots=True)
class YieldControl:
    """Schedule other tasks; answered with None."""


IoRequest = CheckPassword | Submit | YieldControl
Steps = Generator[IoRequest, Any, Response]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request without a session; `form` is the content of a POST."""

    query: Form
    form: Form
    peer: str
    now: float
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserPageRequest:
    """A request in a session; `token` is the session's token, `random_token` a new random one."""

    query: Form
    form: Form
    now: float
    token: str
    session: Session
    maildir: Maildir
    random_token: str

    @property
    def address(self) -> str:
        """The user's address."""
        return str(self.session.account.mailbox)


Page = Callable[[Any, Any], Response | Steps]


class PageError(Exception):
    """An error page: status code and one sentence of explanation."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
