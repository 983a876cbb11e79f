"""HTML pages of HTTP errors and redirects, legible on narrow screens and in dark mode, with long URLs wrapped."""

from html import escape

from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import PHRASES, Response

HTML = (b"Content-Type", b"text/html; charset=utf-8")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 1rem; overflow-wrap: anywhere }}</style>
<h1>{title}</h1>
<p>{detail}</p>
"""


def page_response(status: int, detail: str, *lines: FieldLine) -> Response:
    """Return a response with a short HTML page that states `detail` (HTML-escaped); `lines` are further field lines."""
    title = f"{status} {PHRASES.get(status, b'').decode('ascii')}".rstrip()
    page = _PAGE.format(title=title, detail=escape(detail))
    return Response(status, Fields((HTML, *lines)), page.encode("utf-8", "backslashreplace"))
