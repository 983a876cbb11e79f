"""Routing table of webmail: for each URL path the handlers of GET and POST, need for login, and content size limit."""

from dataclasses import dataclass
from urllib.parse import urlencode

from lab7.services.http.messages import Response
from lab7.services.mail.webmail import actions
from lab7.services.mail.webmail.compose import page as compose_page
from lab7.services.mail.webmail.compose.staging import Staging
from lab7.services.mail.webmail.limits import FORM_OCTETS, LOGIN_FORM_OCTETS, MESSAGE_FORM_OCTETS
from lab7.services.mail.webmail.login import LoginPages
from lab7.services.mail.webmail.pages import Pages, see_other
from lab7.services.mail.webmail.requests import Page, PageRequest, UserPageRequest
from lab7.services.mail.webmail.views import attachments, message_list, message_page


@dataclass(frozen=True, slots=True)
class Route:
    """Route of a URL path: its handlers of GET and POST; `for_all` is True if no login session is required."""

    get: Page | None = None
    post: Page | None = None
    for_all: bool = False
    content_octets: int = FORM_OCTETS

    @property
    def allow(self) -> bytes:
        """Value of the Allow field: the methods that have a handler (RFC 9110 section 10.2.1)."""
        return b", ".join([*((b"GET", b"HEAD") if self.get else ()), *((b"POST",) if self.post else ())])


def _home(request: UserPageRequest, _: Pages) -> Response:
    Staging(request.maildir).sweep(request.now)
    return see_other("/folder?" + urlencode({"name": "INBOX"}))


def _style(_: PageRequest, pages: Pages) -> Response:
    return pages.style()


def table(login_pages: LoginPages) -> dict[bytes, Route]:
    """Return the routing table, keyed by URL path."""
    return {
        b"/": Route(_home),
        b"/style.css": Route(_style, for_all=True),
        b"/login": Route(login_pages.get_form, login_pages.post_form, for_all=True, content_octets=LOGIN_FORM_OCTETS),
        b"/logout": Route(post=login_pages.post_out),
        b"/folder": Route(message_list.get_folder),
        b"/message": Route(message_page.get_message),
        b"/part": Route(attachments.get_part),
        b"/source": Route(attachments.get_source),
        b"/compose": Route(compose_page.get_form, compose_page.post_form, content_octets=MESSAGE_FORM_OCTETS),
        b"/action": Route(post=actions.post_action),
        b"/pictures": Route(post=actions.post_pictures),
        b"/new-folder": Route(post=actions.post_new_folder),
    }
