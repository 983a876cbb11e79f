"""HTTP and HTTPS URLs: parsing into origin and request target, resolution of references (RFC 9110 section 4.2).

    >>> parse_url("http://h/a|b?x[]=ü", "iso-8859-1").request_target
    b'/a%7Cb?x%5B%5D=%FC'

As in browsers (WHATWG URL section 4.4), the path is encoded in UTF-8, and the query in the character encoding of the
page that contains the URL; a backslash before the query is converted to a slash. Unlike browsers, this module
percent-encodes every character that RFC 3986 excludes, so that strict servers accept the request.
"""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from lab7.services.http.messages import is_host, percent_encode

DEFAULT_PORTS = {"http": 80, "https": 443}
UTF_8 = "utf-8"
_BEFORE_QUERY = re.compile(r"[^?#]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of a URL: host name, or IP address without brackets, with port and scheme (RFC 9110 section 4.3.1)."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def authority(self) -> bytes:
        """Value of the Host field: host and port, without the scheme's default port (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        return authority.encode("ascii" if authority.isascii() else "idna")


@dataclass(frozen=True, slots=True)
class Link:
    """A URL without its fragment, split into origin and request target."""

    url: str
    origin: Origin
    request_target: bytes


def parse_url(url: str, charset: str = UTF_8) -> Link:
    """Parse an absolute http or https URL; raises ValueError with a reason of one clause.

    `charset` is the name of a Python codec, for the query.
    """
    parts = urlsplit(_with_slashes(url))
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url} is not an http or https URL with a host")
    try:
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        origin = Origin(parts.hostname, port, parts.scheme)
        authority = origin.authority
    except ValueError as error:
        raise ValueError(f"{url} has no valid host and port") from error
    if not is_host(authority):
        raise ValueError(f"{url} has no valid host and port")
    target = percent_encode((parts.path or "/").encode(UTF_8, "surrogateescape"))
    if parts.query:
        target += b"?" + percent_encode(_encode_query(parts.query, charset))
    return Link(parts._replace(fragment="").geturl(), origin, target)


def _with_slashes(url: str) -> str:
    return _BEFORE_QUERY.sub(lambda match: match[0].replace("\\", "/"), url, count=1)


def _encode_query(query: str, charset: str) -> bytes:
    """Percent-encode a query; characters that `charset` lacks become character references (WHATWG URL 1.3)."""
    try:
        return query.encode(charset, "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(_encode_character(character, charset) for character in query)


def _encode_character(character: str, charset: str) -> bytes:
    try:
        return character.encode(charset, "surrogateescape")
    except UnicodeEncodeError:
        return b"%%26%%23%d%%3B" % ord(character)


def resolve(base: str, reference: str, charset: str = UTF_8) -> Link | None:
    """Resolve a reference found in the page at `base`; return None unless the resulting URL has the page's scheme.

    `charset` is the character encoding of the page, used for the query.
    """
    try:
        link = parse_url(urljoin(base, _with_slashes(reference.strip())), charset)
    except ValueError:
        return None
    return link if link.origin.scheme == urlsplit(base).scheme else None
