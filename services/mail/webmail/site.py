"""Sans-IO request handling of webmail: routing, session lookup, CSRF checks, page handlers.

    admitted = site.admit(request, peer, now)        checks the header section before the content is read; returns
                                                     an Admitted, or a Response (error page or redirect)
    site.answer(admitted, form)                      a Response, or a generator that yields I/O requests and
                                                     returns the Response

`peer` is the client's IP address; `form` is the parsed content of a POST.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.http.cookies import cookies
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import FieldLine
from lab7.services.http.forms import Form, url_fields
from lab7.services.http.messages import Request, Response, split_target
from lab7.services.mail.accounts import Account, Accounts
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.webmail.csrf import STRANGE_FORM, check_origin, check_token
from lab7.services.mail.webmail.login import SESSION_COOKIE, LoginPages
from lab7.services.mail.webmail.pages import Pages, link, see_other
from lab7.services.mail.webmail.requests import Page, PageError, PageRequest, Steps, UserPageRequest
from lab7.services.mail.webmail.routes import Route, table
from lab7.services.mail.webmail.sessions import Session, Sessions

FORM_TOKEN = "form_token"
_FAILED = "Internal server error."


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose head has passed all checks, with page handler, session, and maximum size of its content."""

    page: Page
    query: Form
    peer: str
    now: float
    cookies: dict[str, str]
    is_form: bool
    content_octets: int
    session: Session | None = None
    token: str = ""
    host: str = ""


class Site:
    """The webmail site: accounts, login sessions, pages and routes.

    `mailbox_of` opens a user's mailbox. `accounts` is replaced when the server reloads the accounts file.
    """

    def __init__(
        self,
        accounts: Accounts,
        mailbox_of: Callable[[Account], Maildir],
        random_octets: Callable[[int], bytes],
        secure: bool = False,
    ) -> None:
        self.accounts = accounts
        self.sessions = Sessions(random_octets)
        self.pages = Pages()
        self._mailbox_of = mailbox_of
        self._secure = secure
        self._table = table(LoginPages(self.sessions, self.pages, secure))

    def admit(self, request: Request, peer: str, now: float) -> Admitted | Response:
        """Check a request's head, before content is received; return an Admitted, or an error or redirect."""
        try:
            return self._admitted(request, peer, now)
        except HTTPError as error:
            return self.error(error.status, f"Invalid request: {error.detail}.")
        except PageError as error:
            return self.error(error.status, error.detail)

    def _admitted(self, request: Request, peer: str, now: float) -> Admitted | Response:
        target = split_target(request.method, request.request_target)
        route = self._table.get(target.path)
        if route is None:
            raise PageError(404, "Page not found.")
        page, is_form = _page_of(route, request.method)
        if page is None:
            return self.error(405, "The method is not allowed for this page.", (b"Allow", route.allow))
        if is_form:
            check_origin(request.fields, self._secure)
        sent = cookies(request.fields.get(b"cookie"))
        query = Form(url_fields(target.query or b""))
        limit = route.content_octets if is_form else 0
        if route.for_all:
            return Admitted(page, query, peer, now, sent, is_form, limit)
        token = sent.get(SESSION_COOKIE, "")
        session = self._session(token, now)
        if session is None:
            if is_form:
                raise PageError(403, STRANGE_FORM)
            return see_other("/login")
        return Admitted(page, query, peer, now, sent, is_form, limit, session, token, _host(request))

    def _session(self, token: str, now: float) -> Session | None:
        session = self.sessions.find(token, now) if token else None
        if session is None:
            return None
        account = session.account
        if self.accounts.find(account.user, account.domain) != account:
            # End the session if a reload has changed or removed the account.
            self.sessions.end(token)
            return None
        return session

    def answer(self, admitted: Admitted, form: Form) -> Response | Steps:
        """Return the page for an admitted request, or a generator of I/O requests that returns it."""
        if admitted.session is None:
            return self._run_page(
                admitted.page, PageRequest(admitted.query, form, admitted.peer, admitted.now, admitted.cookies)
            )
        try:
            if admitted.is_form:
                check_token(form.get(FORM_TOKEN), admitted.session.form_token)
            maildir = self._mailbox_of(admitted.session.account)
        except PageError as error:
            return self.error(error.status, error.detail)
        token, random_token = admitted.token, self.sessions.new_token()
        request = UserPageRequest(
            admitted.query, form, admitted.now, token, admitted.session, maildir, random_token, admitted.host
        )
        return self._run_page(admitted.page, request, admitted.is_form)

    def _run_page(self, page: Page, request: PageRequest | UserPageRequest, is_form: bool = False) -> Steps:
        """Run a page handler; return its response.

        If it raises PageError, return an error page or, for a form in a session, a redirect to a page with the error.
        """
        try:
            answer = page(request, self.pages)
            return answer if isinstance(answer, Response) else (yield from answer)
        except PageError as error:
            if is_form and isinstance(request, UserPageRequest):
                return _refused(request, error)
            return self.error(error.status, error.detail)

    def error(self, status: int, detail: str, *lines: FieldLine) -> Response:
        """Render an error page with a status code and one sentence of explanation."""
        return self.pages.public_page("error.html", {"code": status, "detail": detail}, *lines, status=status)

    def failed(self) -> Response:
        """Return the 500 error page for an exception in a page handler."""
        return self.error(500, _FAILED)


def _page_of(route: Route, method: bytes) -> tuple[Page | None, bool]:
    if method in (b"GET", b"HEAD"):
        return route.get, False
    return (route.post, True) if method == b"POST" else (None, False)


def _host(request: Request) -> str:
    """Return the host name in the Host field, without the port."""
    return re.sub(r":[0-9]*\Z", "", (request.fields.get(b"host") or b"").decode("latin-1"))


def _refused(request: UserPageRequest, error: PageError) -> Response:
    """Return a redirect to the page of the form's folder, which then shows the error.

    After a redirect, the browser's Back and Reload do not send the form again.
    """
    request.session.warning = error.detail
    name = request.form.get("folder")
    return see_other(link("/folder", name=name if request.maildir.exists(name) else INBOX))
