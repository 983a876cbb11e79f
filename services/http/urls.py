"""http and https URLs: parsing into origin and request target, resolution of references (RFC 9110 section 4.2)."""

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from services.http.messages import is_host

DEFAULT_PORTS = {"http": 80, "https": 443}
# Characters that are not percent-encoded, as in browsers.
_KEPT = "%/:=&?~!$'()*+,;@-._[]|"


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin: host name, or address without brackets, with port and scheme (RFC 9110 section 4.3.1)."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def authority(self) -> bytes:
        """The value of the Host field, without the scheme's default port (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        return authority.encode("ascii" if authority.isascii() else "idna")


@dataclass(frozen=True, slots=True)
class Link:
    """A URL without its fragment, split into origin and request target."""

    url: str
    origin: Origin
    request_target: bytes


def parse_url(url: str) -> Link:
    """Parse an absolute http or https URL; raises ValueError with a reason of one clause."""
    parts = urlsplit(url)
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
    path = quote(parts.path or "/", safe=_KEPT)
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return Link(parts._replace(fragment="").geturl(), origin, (path + query).encode("ascii"))


def resolve(base: str, reference: str) -> Link | None:
    """Resolve a reference in the page `base`; return None unless it is a URL with the page's scheme."""
    try:
        link = parse_url(urljoin(base, reference.strip()))
    except ValueError:
        return None
    return link if link.origin.scheme == urlsplit(base).scheme else None
