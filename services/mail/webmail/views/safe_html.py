"""HTML sanitiser for message bodies: an allow-list of tags, attributes, URL schemes and CSS properties.

nh3 (ammonia, html5ever) parses as browsers do and serialises only allowed elements, so that the result is unambiguous.
Removed: scripts, forms, frames, style sheets, ids; links other than http, https and mailto; remote pictures.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import nh3

from lab7.services.mail.webmail.limits import HTML_CHARACTERS, HTML_TAGS_MAX, STYLE_CHARACTERS

_TAG_NAMES = """
a abbr acronym address b big blockquote br caption center cite code col colgroup dd del details dfn dir div dl dt em
figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q s samp section small
span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr
"""
_OF_TABLES = {"align", "valign", "bgcolor", "width", "height", "colspan", "rowspan", "nowrap"}
_ATTRIBUTES = {
    "*": {"style", "title", "dir", "lang", "align"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border"},
    "font": {"color", "size", "face"},
    "table": {"border", "cellpadding", "cellspacing", "summary", *_OF_TABLES},
    "td": _OF_TABLES,
    "th": _OF_TABLES,
    "tr": _OF_TABLES,
    "col": {"span", "width"},
    "ol": {"start", "type"},
    "li": {"value"},
}
# The scheme `cid` is permitted here, because the attribute filter rewrites `cid` URLs later.
_SCHEMES = {"http", "https", "mailto", "cid"}
_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]*\Z", re.IGNORECASE)
# Pattern of the URL of a remote picture; user information, backslashes and percent-encoded hosts are excluded, because
# browsers could interpret such a URL differently.
_PICTURE_URL = re.compile(r"https?://([a-z0-9-]+(?:\.[a-z0-9-]+)*\.?)(?::[0-9]{1,5})?(?:[/?#][^\s\x00-\x1f]*)?\Z", re.I)
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")
_PANIC = "PanicException"
_TAG = re.compile(r"<[A-Za-z]")
# RFC 2392: a URL `cid:ID` refers to the part with this Content-ID.
_CONTENT_ID = re.compile(r"\s*cid:(.*)", re.IGNORECASE | re.DOTALL)
_REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)

# Permitted CSS properties: appearance only, no positioning, by which a message could cover the page.
_PROPERTY_NAMES = """
background-color border border-bottom border-collapse border-color border-left border-radius border-right
border-spacing border-style border-top border-width color display font font-family font-size font-style font-weight
height letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right margin-top max-width
min-width padding padding-bottom padding-left padding-right padding-top text-align text-decoration text-indent
text-transform vertical-align white-space width word-break word-wrap
"""
_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
# CSS values may have words, numbers, colours and quoted names, but no backslash escapes and other functions.
_VALUE = re.compile(r"(?:[\w\s#%.,'\"+-]|rgba?\([\d\s.,%/]*\)|hsla?\([\d\s.,%/]*\))*\Z", re.ASCII)
_IMPORTANT = re.compile(r"!\s*important\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """Sanitised HTML, and the number of remote pictures in the original, removed or kept."""

    html: str
    remote_pictures: int


class TooMuchHtmlError(Exception):
    """Error for HTML that exceeds the limits, or on which the sanitiser fails."""


def safe_html(html: str, picture_of: Callable[[str], str | None], remote_for: str | None = None) -> SafeHtml:
    """Sanitise HTML; `picture_of` returns the URL for a Content-ID, or None to remove the picture.

    If `remote_for` is given (the host name of this site), remote pictures are kept, see remote_url(). Raises
    TooMuchHtmlError.
    """
    if len(html) > HTML_CHARACTERS or len(_TAG.findall(html)) > HTML_TAGS_MAX:
        raise TooMuchHtmlError
    remote = 0

    def filtered(tag: str, attribute: str, value: str) -> str | None:
        nonlocal remote
        if attribute == "src":
            if _REMOTE.match(value):
                remote += 1
                return None if remote_for is None else remote_url(value.strip(), remote_for)
            content_id = _CONTENT_ID.match(value)
            return None if content_id is None else picture_of(content_id[1].strip())
        if attribute == "href":
            return value if tag == "a" and _LINK.match(value.strip()) else None
        return safe_style(value) if attribute == "style" else value

    return SafeHtml(_clean(html, filtered), remote)


def remote_url(url: str, own_host: str) -> str | None:
    """Return the absolute URL of a remote picture; None for any other URL or if its host may be `own_host`.

    `own_host` is the host name of this site. Cookies are the same for all ports of a host (RFC 6265 section 8.5): a
    picture from another port of this host would be requested with the session's cookie.
    """
    absolute = f"https:{url}" if url.startswith("//") else url
    match = _PICTURE_URL.match(absolute)
    if match is None:
        return None
    host, own = match[1].lower().rstrip("."), own_host.lower().rstrip(".")
    # Browsers read a host that ends in a number as an IPv4 address, in any notation (URL Standard, section 3.5).
    is_same = host == own or (_ENDS_IN_NUMBER.search(own) and _ENDS_IN_NUMBER.search(host))
    return None if is_same else absolute


def _clean(html: str, filtered: Callable[[str, str, str], str | None]) -> str:
    try:
        return nh3.clean(
            html,
            tags=set(_TAG_NAMES.split()),
            attributes=_ATTRIBUTES,
            attribute_filter=filtered,
            url_schemes=_SCHEMES,
            link_rel="noopener noreferrer",
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )
    except BaseException as error:
        # A panic in the Rust library, caused by the input, is a BaseException without an importable class.
        if type(error).__name__ != _PANIC:
            raise
        raise TooMuchHtmlError from error


def safe_style(style: str) -> str | None:
    """Return the permitted declarations of a style attribute, None if there are none."""
    kept = []
    for declaration in style[:STYLE_CHARACTERS].split(";"):
        name, colon, value = declaration.partition(":")
        # `!important` would outweigh the site's style sheet, which keeps the message inside its element.
        value = _IMPORTANT.sub("", value)
        if colon and name.strip().lower() in _PROPERTIES and _VALUE.match(value) and "expression" not in value.lower():
            kept.append(f"{name.strip().lower()}: {value.strip()}")
    return "; ".join(kept) or None


def plain_text(html: str) -> str:
    """Convert HTML to plain text for quotation; raise TooMuchHtmlError."""
    if len(html) > HTML_CHARACTERS or len(_TAG.findall(html)) > HTML_TAGS_MAX:
        raise TooMuchHtmlError
    html = re.sub(r"[ \t\r\n]+", " ", html)
    html = re.sub(r"<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^<>]*>", "\n", html, flags=re.IGNORECASE)
    escaped = nh3.clean(html, tags=set(), clean_content_tags={"script", "style", "title"})
    for name, character in (("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        escaped = escaped.replace(name, character)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in escaped.split("\n"))).strip()
