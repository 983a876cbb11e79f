"""Cookies, as far as a server needs them (RFC 6265 sections 4.1 and 5.4).

>>> cookies(b"a=1; session=x")["session"]
'x'
>>> set_cookie("session", "x", secure=False)
(b'Set-Cookie', b'session=x; Path=/; HttpOnly; SameSite=Strict')

A cookie goes to this host alone, on every port of it: RFC 6265 section 8.5 has no isolation by port.
"""

import re

from services.http.fields import FieldLine

# RFC 6265 section 6.1: at least 50 cookies of a domain.
COOKIES_MAX = 100
# RFC 6265 section 4.1.1: cookie-octet, without the quotes that may go around them.
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*\Z")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


def cookies(value: bytes | None) -> dict[str, str]:
    """Return the cookies of a Cookie field; of one name the first, which has the longest path (section 5.4)."""
    found: dict[str, str] = {}
    for pair in (value or b"").decode("latin-1").split(";")[:COOKIES_MAX]:
        name, mark, own = pair.strip(" \t").partition("=")
        if mark:
            found.setdefault(name, own.strip('"'))
    return found


def set_cookie(name: str, value: str, secure: bool) -> FieldLine:
    """Return the field that gives a client a cookie until it ends, which no script and no other site's page uses."""
    if not (_NAME.match(name) and _VALUE.match(value)):
        raise ValueError("a cookie's name or value has octets that none has")
    return b"Set-Cookie", f"{name}={value}{_attributes(secure)}".encode("ascii")


def drop_cookie(name: str, secure: bool) -> FieldLine:
    """Return the field that takes a cookie away."""
    return b"Set-Cookie", f"{name}={_attributes(secure)}; Max-Age=0".encode("ascii")


def _attributes(secure: bool) -> str:
    # RFC 6265bis section 5.5: SameSite.
    return "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
