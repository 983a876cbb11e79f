"""Whether a form comes from a page of this site (OWASP's Cross-Site Request Forgery Prevention Cheat Sheet).

Two proofs, and both are needed: the browser says that the page was of this origin (RFC 6454 section 7, and where it
says nothing, Referer), and the form holds a token that only a page of this session has.
"""

import hmac
from urllib.parse import urlsplit

from services.http.fields import Fields
from services.mail.webmail.requests import PageError

STRANGE_FORM = "The form does not come from a page of this site, or your session is over: open the page again."


def check_origin(fields: Fields, secure: bool) -> None:
    """Refuse what the browser says comes from elsewhere; raises PageError 403.

    Programs that say neither Origin nor Referer pass: what is asked of them is the token.
    """
    own = f"{'https' if secure else 'http'}://{(fields.get(b'host') or b'').decode('latin-1').lower()}"
    origin = fields.get(b"origin")
    referer = fields.get(b"referer")
    if origin is not None:
        said = origin.decode("latin-1").lower()
    elif referer is not None:
        said = _origin_of(referer.decode("latin-1"))
    else:
        return
    if _bare(said) != _bare(own):
        raise PageError(403, STRANGE_FORM)


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def _bare(origin: str) -> str:
    """RFC 6454 section 6.1: without the port where it is the scheme's own."""
    for scheme, port in (("http://", ":80"), ("https://", ":443")):
        if origin.startswith(scheme):
            return origin.removesuffix(port)
    return origin


def check_token(given: str, expected: str) -> None:
    """Refuse a form without the token; raises PageError 403."""
    if not expected or not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace")):
        raise PageError(403, STRANGE_FORM)
