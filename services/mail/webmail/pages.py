"""Renderer of webmail's pages from Jinja2 templates, with the security header fields of every response.

Template values are escaped, whatever their origin; only the output of safe_html.py is inserted as HTML.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import Response
from lab7.services.http.server.error_pages import HTML
from lab7.services.mail.webmail.limits import FIELD_SHOWN_CHARACTERS, MESSAGE_FORM_OCTETS, SEARCH_CHARACTERS
from lab7.services.mail.webmail.requests import UserPageRequest
from lab7.services.mail.webmail.views import folders

_TEMPLATES = Path(__file__).parent / "templates"
STYLE = "style.css"

# Content-Security-Policy of pages: no scripts, only this site's own resources, no framing by other sites.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Content-Security-Policy of a page with a message's HTML: style attributes and the message's pictures are permitted.
# The sandbox without allow-scripts switches scripts off, whatever the sanitiser let pass. allow-same-origin lets the
# browser send the session cookie, allow-forms submit the site's own forms.
MESSAGE_POLICY = (
    "default-src 'none'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src {pictures}; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; sandbox allow-same-origin allow-forms allow-downloads allow-popups "
    "allow-popups-to-escape-sandbox"
)
_OWN_PICTURES, _ALL_PICTURES = "'self'", "'self' http: https:"
# Content-Security-Policy of downloads, for browsers that display a download instead of saving it.
_FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_ALWAYS: tuple[FieldLine, ...] = (
    (b"X-Content-Type-Options", b"nosniff"),
    # Do not use no-referrer, with which browsers send `Origin: null` for this site's own forms.
    (b"Referrer-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
)
Values = Mapping[str, object]
_PRIVATE: FieldLine = (b"Cache-Control", b"no-store")


def link(path: str, **parameters: object) -> str:
    """Return a relative URL with query parameters; parameters that are None are omitted."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{path}?{query}" if query else path


def size(octets: int) -> str:
    """Format a size in octets for display, such as `1.2 kB`."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1_000)):
        if octets >= factor:
            return f"{octets / factor:.1f} {unit}"
    return f"{octets} B"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        link=link, field_shown_characters=FIELD_SHOWN_CHARACTERS, form_octets=MESSAGE_FORM_OCTETS
    )
    environment.filters["size"] = size
    return environment


class Pages:
    """Renderer of pages from Jinja2 templates, with the header fields of the response."""

    def __init__(self) -> None:
        self._environment = _environment()
        self._style = (_TEMPLATES / STYLE).read_bytes()

    def public_page(self, template: str, values: Values, *lines: FieldLine, status: int = 200) -> Response:
        """Render a page outside a session, such as the login form."""
        return self._page(template, values, lines, status)

    def page(
        self,
        request: UserPageRequest,
        template: str,
        values: Values,
        status: int = 200,
        policy: str = _PAGE_POLICY,
    ) -> Response:
        """Render a page of a session, with the folder list, and the notice and warning of the last action."""
        session = request.session
        notice, warning = session.notice, session.warning
        session.notice = session.warning = ""
        known: dict[str, object] = {
            "address": request.address,
            "form_token": session.form_token,
            "folders": folders.folder_entries(request.maildir),
            "notice": notice,
            "warning": warning,
            "new_title": request.query.get("title")[:SEARCH_CHARACTERS],
            "here": "",
            "words": "",
        }
        return self._page(template, known | dict(values), (), status, policy)

    def message_page(self, request: UserPageRequest, values: Values, has_html: bool, has_remote: bool) -> Response:
        """Render the page of a message, under the Content-Security-Policy MESSAGE_POLICY if it shows message HTML."""
        pictures = _ALL_PICTURES if has_remote else _OWN_PICTURES
        policy = MESSAGE_POLICY.format(pictures=pictures) if has_html else _PAGE_POLICY
        return self.page(request, "message.html", values, policy=policy)

    def style(self) -> Response:
        """Return the style sheet of all pages."""
        kind: FieldLine = (b"Content-Type", b"text/css; charset=utf-8")
        return Response(200, Fields((kind, (b"Cache-Control", b"max-age=3600"), *_ALWAYS)), self._style)

    def _page(
        self,
        template: str,
        values: Values,
        lines: tuple[FieldLine, ...],
        status: int,
        policy: str = _PAGE_POLICY,
    ) -> Response:
        text = self._environment.get_template(template).render(values)
        fields = (HTML, _PRIVATE, (b"Content-Security-Policy", policy.encode("ascii")), *_ALWAYS, *lines)
        # Lone surrogates from a message cannot be encoded, so replace them.
        return Response(status, Fields(fields), text.encode("utf-8", "replace"))


def see_other(path: str, *lines: FieldLine) -> Response:
    """Return a 303 redirect to a page, the response to a form (RFC 9110 section 15.4.4)."""
    return Response(303, Fields(((b"Location", path.encode("ascii")), _PRIVATE, *_ALWAYS, *lines)))


def download(content: bytes, media_type: str, disposition: str) -> Response:
    """Return a response with an attachment or message source, protected by Content-Security-Policy."""
    fields = (
        (b"Content-Type", media_type.encode("ascii")),
        (b"Content-Disposition", disposition.encode("ascii")),
        (b"Content-Security-Policy", _FILE_POLICY.encode("ascii")),
        (b"Cache-Control", b"private, no-store"),
        *_ALWAYS,
    )
    return Response(200, Fields(fields), content)
