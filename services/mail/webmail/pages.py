"""Pages made of templates, and the fields that go with everything this site sends.

What a template is given is text and is escaped, whoever wrote it; only what safe_html.py made is put in as HTML.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.http.fields import FieldLine, Fields
from services.http.messages import Response
from services.http.server.error_pages import HTML
from services.mail.webmail.requests import UserVisit
from services.mail.webmail.views import folders

_TEMPLATES = Path(__file__).parent / "templates"
STYLE = "style.css"

# CSP Level 3: nothing but what is named; no script at all, and no page of another site around this one.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# A message's own HTML: styles of elements, pictures of the message. It is of this origin, so that the browser sends the
# cookie for the pictures (a frame of no origin gets none), and without allow-scripts that gives nothing more.
MESSAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
# What is downloaded, should a browser show it all the same.
_FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_ALWAYS: tuple[FieldLine, ...] = (
    (b"X-Content-Type-Options", b"nosniff"),
    # Not no-referrer: then a browser says `Origin: null` of this site's own forms.
    (b"Referrer-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
)
Values = Mapping[str, object]
# RFC 9110 section 15: 4xx and 5xx are errors.
_FIRST_ERROR = 400
_PRIVATE: FieldLine = (b"Cache-Control", b"no-store")


def link(path: str, **parameters: object) -> str:
    """Return an address on this site; parameters that are None are left out."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{path}?{query}" if query else path


def size(octets: int) -> str:
    """Return a size as people read it."""
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
    environment.globals.update(link=link)
    environment.filters["size"] = size
    return environment


class Pages:
    """Everything that can be shown."""

    def __init__(self) -> None:
        self._environment = _environment()
        self._style = (_TEMPLATES / STYLE).read_bytes()

    def open_page(self, template: str, values: Values, *lines: FieldLine, status: int = 200) -> Response:
        """Return a page for anybody."""
        return self._page(template, values, lines, status)

    def page(self, visit: UserVisit, template: str, values: Values, status: int = 200) -> Response:
        """Return a page for somebody who is logged in, with the folders at its side."""
        notice, visit.session.notice = visit.session.notice, ""
        known: dict[str, object] = {
            "address": visit.address,
            "form_token": visit.session.form_token,
            "folders": folders.listed(visit.maildir),
            # Good news of an earlier form reads as this one's.
            "notice": notice if status < _FIRST_ERROR else "",
            "here": "",
        }
        return self._page(template, known | dict(values), (), status)

    def message_document(self, values: Values) -> Response:
        """Return the document of a message's own HTML, for a frame."""
        return self._page("message_document.html", values, (), 200, MESSAGE_POLICY)

    def style(self) -> Response:
        """Return the style sheet."""
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
        # What is half a character in a message is none on a page.
        return Response(status, Fields(fields), text.encode("utf-8", "replace"))


def see_other(path: str, *lines: FieldLine) -> Response:
    """Return the answer to a form that was acted on (RFC 9110 section 15.4.4)."""
    return Response(303, Fields(((b"Location", path.encode("ascii")), _PRIVATE, *_ALWAYS, *lines)))


def download(content: bytes, media_type: str, disposition: str) -> Response:
    """Return a file to be saved, never opened as a page."""
    fields = (
        (b"Content-Type", media_type.encode("ascii")),
        (b"Content-Disposition", disposition.encode("ascii")),
        (b"Content-Security-Policy", _FILE_POLICY.encode("ascii")),
        (b"Cache-Control", b"private, no-store"),
        *_ALWAYS,
    )
    return Response(200, Fields(fields), content)
