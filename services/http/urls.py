"""The URLs that the client fetches: http and https, split into origin and request target (RFC 9110 section 4.2)."""

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from services.http.targets import is_host

DEFAULT_PORTS = {"http": 80, "https": 443}
# What a URL may hold as it is; everything else is percent-encoded, as a browser does.
_KEPT = "%/:=&?~!$'()*+,;@-._[]|"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a connection is to: a host name or address without brackets, a port, and whether it is secured."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def authority(self) -> bytes:
        """The Host field's value, without the port where it is the scheme's own (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        shown = host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        return shown.encode("ascii" if shown.isascii() else "idna")


@dataclass(frozen=True, slots=True)
class Link:
    """A URL's two parts for HTTP, and the URL itself as text without its fragment."""

    url: str
    origin: Origin
    request_target: bytes


def parse_url(url: str) -> Link:
    """Return the parts of an absolute http or https URL; raises ValueError, in one clause, for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url} is no http or https URL with a host")
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
    """Return what a reference in a page means there, None where it is nothing to fetch by the page's own scheme."""
    try:
        link = parse_url(urljoin(base, reference.strip()))
    except ValueError:
        return None
    return link if link.origin.scheme == urlsplit(base).scheme else None
