"""Cookies on the server's side: parser of Cookie, encoder of Set-Cookie (RFC 6265 sections 4.1 and 5.4).

>>> cookies(b"a=1; session=x")["session"]
'x'
>>> set_cookie("session", "x", secure=False)
(b'Set-Cookie', b'session=x; Path=/; HttpOnly; SameSite=Strict')

Cookies have no Domain attribute, so they are sent to this host only, but to all its ports (RFC 6265 section 8.5).
"""

import re

from lab7.services.http.fields import FieldLine

# Maximum number of cookies parsed, more are ignored; RFC 6265 section 6.1: clients store at least 50.
COOKIES_MAX = 100
# Pattern of a cookie value: cookie-octets, without the optional quotes (RFC 6265 section 4.1.1).
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*\Z")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


def cookies(value: bytes | None) -> dict[str, str]:
    """Parse a Cookie field into values keyed by name.

    Of several cookies with one name, the first, with the longest path, is used.
    """
    values: dict[str, str] = {}
    for pair in (value or b"").decode("latin-1").split(";")[:COOKIES_MAX]:
        name, equals, cookie_value = pair.strip(" \t").partition("=")
        if equals:
            values.setdefault(name, cookie_value.strip('"'))
    return values


def set_cookie(name: str, value: str, secure: bool) -> FieldLine:
    """Return the Set-Cookie field of a session cookie, with HttpOnly and SameSite=Strict, and Secure if `secure`."""
    if not (_NAME.match(name) and _VALUE.match(value)):
        raise ValueError("invalid character in the name or value of a cookie")
    return b"Set-Cookie", f"{name}={value}{_attributes(secure)}".encode("ascii")


def drop_cookie(name: str, secure: bool) -> FieldLine:
    """Return a Set-Cookie field that makes the client delete a cookie."""
    return b"Set-Cookie", f"{name}={_attributes(secure)}; Max-Age=0".encode("ascii")


def _attributes(secure: bool) -> str:
    # RFC 6265bis section 5.5: the attribute SameSite.
    return "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
