"""Request targets and hosts: the four forms of RFC 9112 section 3.2, and from a target to a path.

>>> split_target(b"GET", b"http://www.example/a%20b?q=1")
Target(authority=b'www.example', path=b'/a%20b', query=b'q=1')
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from services.http.errors import HTTPError

# RFC 3986 section 3.2.2: an IP literal or a registered name, then an optional port.
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[0-9A-Za-z\-._~!$&'()*+,;=:]+\]"
    rb"|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::(?P<port>\d{0,5}))?"
)
# Visible ASCII without the fragment's mark, which no request carries (RFC 9112 section 3.2.1).
_VISIBLE = re.compile(rb"[\x21\x22\x24-\x7e]++")
_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][0-9A-Za-z+\-.]*)://(?P<authority>[^/?]*)(?P<rest>.*)")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

LARGEST_PORT = 65535
ASTERISK = b"*"


@dataclass(frozen=True, slots=True)
class Target:
    """A request target's parts as octets, percent-encoding kept; authority is None where the target has none."""

    authority: bytes | None
    path: bytes
    query: bytes | None


def is_host(value: bytes) -> bool:
    """Tell whether `value` is uri-host [":" port] (RFC 9110 section 7.2)."""
    match = _HOST.fullmatch(value)
    return match is not None and int(match["port"] or 0) <= LARGEST_PORT


@lru_cache(maxsize=1024)
def split_target(method: bytes, request_target: bytes) -> Target:
    """Return the parts of a request target; raises HTTPError 400 (421 for a scheme not served) on a bad one."""
    if _VISIBLE.fullmatch(request_target) is None:
        raise HTTPError(400, "the request target has characters that no target may have")
    # RFC 9112 section 3.2.3: authority-form is for CONNECT, and CONNECT has no other.
    if method == b"CONNECT":
        return _authority_form(request_target)
    if request_target.startswith(b"/"):
        path, mark, query = request_target.partition(b"?")
        return Target(None, path, query if mark else None)
    # RFC 9112 section 3.2.4: asterisk-form is for OPTIONS alone.
    if request_target == ASTERISK and method == b"OPTIONS":
        return Target(None, ASTERISK, None)
    return _absolute_form(method, request_target)


def _authority_form(request_target: bytes) -> Target:
    host, _, port = request_target.rpartition(b":")
    if not (host and port and is_host(request_target)):
        raise HTTPError(400, "CONNECT needs a host and a port")
    return Target(request_target, b"", None)


def _absolute_form(method: bytes, request_target: bytes) -> Target:
    """RFC 9112 section 3.2.2: a server accepts absolute-form from any client."""
    match = _ABSOLUTE.fullmatch(request_target)
    if match is None:
        raise HTTPError(400, "the request target has none of the four forms")
    scheme, authority = match["scheme"].lower(), match["authority"]
    # RFC 9110 section 7.4: a request for a resource that this connection cannot have the authority for.
    if scheme != b"http":
        raise HTTPError(421, "this server speaks for http resources only")
    # RFC 9110 sections 4.2.1 (an empty host is invalid) and 4.2.4 (user information is an error).
    if not authority or authority.startswith(b":") or not is_host(authority):
        raise HTTPError(400, "the request target's authority is not valid")
    path, mark, query = match["rest"].partition(b"?")
    # RFC 9112 section 3.2.4: OPTIONS for a URI without path and query asks about the server.
    empty = ASTERISK if method == b"OPTIONS" and not mark else b"/"
    return Target(authority, path or empty, query if mark else None)


def percent_decode(path: bytes) -> bytes:
    """Return `path` with each %XX as its octet; raises HTTPError 400 on a % without two digits."""
    if b"%" not in path:
        return path
    if _BAD_PERCENT.search(path):
        raise HTTPError(400, "a percent sign in the path is not followed by two hexadecimal digits")
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), path)
