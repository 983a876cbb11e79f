"""What a visitor asks of a page, and what a page asks of the world."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from services.http.forms import Form
from services.http.messages import Response
from services.mail.maildir.store import Maildir
from services.mail.smtp.client_session import Envelope, Outcome
from services.mail.smtp.reply import Reply
from services.mail.webmail.sessions import Session


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Whose password is this? Answered with the Account, or None."""

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
    """What became of a message: a reply for each recipient, or why there was no transaction at all."""

    outcome: Outcome | None
    failure: Reply | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Let other visitors have a turn; answered with None."""


Request = CheckPassword | Submit | Turn
Steps = Generator[Request, Any, Response]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: what is asked, by whom, when; the form is that of a POST."""

    query: Form
    form: Form
    peer: str
    now: float
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserVisit:
    """A request of somebody who is logged in; `token` is the session's, `fresh` one that nobody ever had."""

    query: Form
    form: Form
    now: float
    token: str
    session: Session
    maildir: Maildir
    fresh: str

    @property
    def address(self) -> str:
        """The user's own address."""
        return str(self.session.account.mailbox)


Page = Callable[[Any, Any], Response | Steps]


class PageError(Exception):
    """The visitor cannot have the page: a status, and one sentence that says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
