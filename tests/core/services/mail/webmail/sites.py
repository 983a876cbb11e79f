"""Webmail site without sockets: request heads and form fields in, pages out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

from lab7.services.http.fields import Fields
from lab7.services.http.forms import Form, FormFile, url_fields
from lab7.services.http.messages import Request, Response
from lab7.services.mail.accounts import Account, Accounts
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.smtp.client_session import Outcome
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.mail.webmail.requests import CheckPassword, Submit, Submitted
from lab7.services.mail.webmail.site import Admitted, Site

HOST = "mail.example.com"
OK = Reply(250, "Queued", "2.0.0")


@dataclass
class World:
    """A site and fake answers to its I/O requests."""

    root: Path
    now: float = 1_795_442_557.0
    cookie: str = ""
    submitted: list[Submit] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    failure: Reply | None = None

    def __post_init__(self) -> None:
        numbers = count(1)
        self._maildirs: dict[Account, Maildir] = {}
        accounts = Accounts("alice:secret\nbob:hunter2\n", ["example.com"])
        self.site = Site(accounts, self.mailbox_of, lambda octets: next(numbers).to_bytes(octets, "big"))

    def mailbox_of(self, account: Account) -> Maildir:
        """Return the one Maildir object of a user."""
        return self._maildirs.setdefault(account, Maildir(account.directory(self.root)))

    def alice(self) -> Maildir:
        """Return Alice's mailbox."""
        return self.mailbox_of(Account("alice", "example.com"))

    def log_in(self, user: str = "alice", password: str = "secret") -> Response:
        """Log in by the form."""
        self.cookie = "login=" + "0" * 8
        response = self.post("/login", form_token="0" * 8, user=user, password=password)
        if value_of(response, b"location") == "/":
            self.cookie = value_of(response, b"set-cookie").partition(";")[0]
        return response

    @property
    def form_token(self) -> str:
        """Return the session's form token."""
        session = self.site.sessions.find(self.cookie.partition("=")[2], self.now)
        return "" if session is None else session.form_token

    def head(self, method: bytes, target: str, fields: Mapping[str, str]) -> Request:
        """Build a request head."""
        lines = {"Host": HOST, "Cookie": self.cookie, **fields}
        pairs = tuple((name.encode(), value.encode()) for name, value in lines.items() if value)
        return Request(method, target.encode(), Fields(pairs))

    def get(self, path: str, /, **query: object) -> Response:
        """Request a page."""
        target = path + ("?" + urlencode(query) if query else "")
        return self.answer(self.head(b"GET", target, {}), Form())

    def follow(self, response: Response) -> Response:
        """Request the page to which a response redirects."""
        assert response.status == 303, text(response)
        return self.answer(self.head(b"GET", value_of(response, b"location"), {}), Form())

    def compose(self, **query: object) -> Response:
        """Request the compose page, and follow its redirect to a new composition."""
        response = self.get("/compose", **query)
        return self.follow(response) if response.status == 303 else response

    def post(
        self, path: str, files: list[FormFile] | None = None, /, origin: object = "http://" + HOST, **values: object
    ) -> Response:
        """Send a form, with the session's token unless one is given."""
        values.setdefault("form_token", self.form_token)
        form = Form(url_fields(urlencode(values, doseq=True).encode()), files or [])
        return self.answer(self.head(b"POST", path, {"Origin": str(origin)}), form)

    def answer(self, request: Request, form: Form) -> Response:
        """Pass a request to the site and answer its I/O requests."""
        admitted = self.site.admit(request, "192.0.2.1", self.now)
        if not isinstance(admitted, Admitted):
            return admitted
        answer = self.site.answer(admitted, form)
        given: object = None
        while not isinstance(answer, Response):
            try:
                asked = answer.send(given)
            except StopIteration as end:
                response: Response = end.value
                return response
            given = self._do(asked)
        return answer

    def _do(self, asked: object) -> object:
        if isinstance(asked, CheckPassword):
            return self.site.accounts.check(asked.user, asked.password)
        if isinstance(asked, Submit):
            self.submitted.append(asked)
            replies = tuple(self.replies or [OK] * len(asked.envelope.forward_paths))
            return Submitted(Outcome(replies) if self.failure is None else None, self.failure)
        return None


def text(response: Response) -> str:
    """Return a page as text."""
    assert isinstance(response.body, bytes)
    return response.body.decode("utf-8")


def value_of(response: Response, name: bytes) -> str:
    """Return a field of a response."""
    return (response.fields.get(name) or b"").decode()
