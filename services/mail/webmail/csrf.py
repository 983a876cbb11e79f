"""Protection against cross-site request forgery (OWASP CSRF Prevention Cheat Sheet): Origin check and form token.

A form must pass both checks. Its Origin field (RFC 6454 section 7), or Referer if there is no Origin, must be this
site's origin; a request with neither field passes this check. The form must contain the session's form token.
"""

import hmac
from urllib.parse import urlsplit

from lab7.services.http.fields import Fields
from lab7.services.mail.webmail.requests import PageError

STRANGE_FORM = "The form is not from a page of this site, or the session has expired: open the page again."


def check_origin(fields: Fields, secure: bool) -> None:
    """Check the Origin field, or Referer if there is no Origin; raise PageError 403 for another origin.

    Requests with neither field pass: programs other than browsers send none. The form token is still required.
    """
    own = f"{'https' if secure else 'http'}://{(fields.get(b'host') or b'').decode('latin-1').lower()}"
    origin = fields.get(b"origin")
    referer = fields.get(b"referer")
    if origin is not None:
        origin_sent = origin.decode("latin-1").lower()
    elif referer is not None:
        origin_sent = _origin_of(referer.decode("latin-1"))
    else:
        return
    if _bare(origin_sent) != _bare(own):
        raise PageError(403, STRANGE_FORM)


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def _bare(origin: str) -> str:
    """Return an origin without its scheme's default port (RFC 6454 section 6.1), for comparison."""
    for scheme, port in (("http://", ":80"), ("https://", ":443")):
        if origin.startswith(scheme):
            return origin.removesuffix(port)
    return origin


def check_token(given: str, expected: str) -> None:
    """Compare the form token with the session's in constant time; raise PageError 403 if they differ."""
    if not expected or not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace")):
        raise PageError(403, STRANGE_FORM)
