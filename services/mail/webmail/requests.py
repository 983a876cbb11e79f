"""Interface of webmail's page handlers: the request passed to a handler, and the I/O requests that it yields."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lab7.services.http.forms import Form
from lab7.services.http.messages import Response
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.smtp.client_session import Envelope, Outcome
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.mail.webmail.sessions import Session


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """I/O request to check a password; answered with the Account, or None if user or password is wrong."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Submit:
    """I/O request to send a message by SMTP with the user's credentials; answered with a Submitted object."""

    envelope: Envelope
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """Result of a submission: the outcome with a reply per recipient, or the connection's failure."""

    outcome: Outcome | None
    failure: Reply | None


@dataclass(frozen=True, slots=True)
class YieldControl:
    """I/O request to let other tasks run; answered with None."""


IoRequest = CheckPassword | Submit | YieldControl
Steps = Generator[IoRequest, Any, Response]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """HTTP request without a login session; `form` is the parsed content of a POST."""

    query: Form
    form: Form
    peer: str
    now: float
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserPageRequest:
    """HTTP request in a login session.

    `token` is the session's token; `random_token` is a new random token; `host` is the host name of the site, without
    port.
    """

    query: Form
    form: Form
    now: float
    token: str
    session: Session
    maildir: Maildir
    random_token: str
    host: str

    @property
    def address(self) -> str:
        """The user's mail address, user@domain."""
        return str(self.session.account.mailbox)


Page = Callable[[Any, Any], Response | Steps]


class PageError(Exception):
    """Error that is answered by an error page: status code and one sentence of explanation."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
