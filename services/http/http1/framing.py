"""Message framing and persistence of HTTP/1: body length, keep-alive (RFC 9112 sections 6.3 and 9.3).

    >>> request_framing(Request(b"GET", b"/", Fields(((b"Host", b"a"),))))
    Framing(length=0, persistent=True, expects_continue=False)

Ambiguous framing, which permits request smuggling (section 11.2), is rejected and never repaired: both length fields
at once, a Content-Length that is a list, and a transfer coding that does not end in chunked.
"""

import re
from dataclasses import dataclass

from services.http import limits
from services.http.errors import HTTPError
from services.http.fields import Fields
from services.http.messages import HTTP_1_1, Request, Response, Version
from services.http.syntax import lower_tokens

CHUNKED = -1
UNTIL_CLOSE = -2

_DIGITS = re.compile(rb"\d++")


@dataclass(frozen=True, slots=True)
class Framing:
    """`length` in octets, CHUNKED or UNTIL_CLOSE; `persistent`: another message may follow."""

    length: int
    persistent: bool
    expects_continue: bool = False


def request_framing(request: Request) -> Framing:
    """Determine a request's framing; raises HTTPError 400, 413 or 501."""
    fields = request.fields
    # RFC 9112 section 6.3, rules 5 to 7: without either field a request has no content.
    length = _request_coding(request) if b"transfer-encoding" in fields else content_length(fields) or 0
    return Framing(length, is_persistent(request.version, fields), _expects_continue(request, length))


def _request_coding(request: Request) -> int:
    fields = request.fields
    # RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, so the framing is treated as faulty.
    if request.version < HTTP_1_1:
        raise HTTPError(400, "Transfer-Encoding in an HTTP/1.0 request")
    # RFC 9112 section 6.3, rule 3
    if b"content-length" in fields:
        raise HTTPError(400, "both Transfer-Encoding and Content-Length")
    codings = lower_tokens(fields.get(b"transfer-encoding"))
    # RFC 9112 section 6.3, rule 4: chunked is last; 7.1: applied once, without parameters.
    if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1:
        raise HTTPError(400, "the last transfer coding is not chunked, applied once")
    # RFC 9112 section 6.1
    if len(codings) > 1:
        raise HTTPError(501, "a transfer coding that this server does not know")
    return CHUNKED


def content_length(fields: Fields) -> int | None:
    """Parse Content-Length; return None if absent; raises HTTPError 400, or 413 for a number with too many digits."""
    values = fields.get_all(b"content-length")
    if not values:
        return None
    # RFC 9112 section 6.3, rule 5: a list, even of equal numbers, may be rejected.
    if len(values) > 1 or _DIGITS.fullmatch(values[0]) is None:
        raise HTTPError(400, "Content-Length is not one number")
    digits = values[0].lstrip(b"0")
    if len(digits) > limits.CONTENT_LENGTH_DIGITS:
        raise HTTPError(413, "Content-Length is beyond all bounds")
    return int(digits or b"0")


def is_persistent(version: Version, fields: Fields) -> bool:
    """Return whether the connection persists after this message (RFC 9112 section 9.3)."""
    options = lower_tokens(fields.get(b"connection"))
    if b"close" in options:
        return False
    return version >= HTTP_1_1 or b"keep-alive" in options


def _expects_continue(request: Request, length: int) -> bool:
    """Return whether the client expects 100 (RFC 9110 section 10.1.1); the handler checks other expectations."""
    if request.version < HTTP_1_1 or length == 0:
        return False
    return b"100-continue" in lower_tokens(request.fields.get(b"expect"))


def has_no_content(method: bytes, status: int) -> bool:
    """Return whether such a response has no content (RFC 9112 section 6.3, rules 1 and 2)."""
    if status in (204, 304) or status < 200:
        return True
    return method == b"HEAD" or (method == b"CONNECT" and status < 300)


def response_framing(method: bytes, response: Response) -> Framing:
    """Determine the framing of a response to `method`; raises HTTPError 502 if it is ambiguous."""
    fields = response.fields
    persistent = is_persistent(response.version, fields)
    if has_no_content(method, response.status):
        return Framing(0, persistent)
    if b"transfer-encoding" in fields:
        return _response_coding(response, persistent)
    length = _response_length(fields)
    # RFC 9112 section 6.3, rule 8: otherwise the content is close-delimited.
    return Framing(UNTIL_CLOSE, False) if length is None else Framing(length, persistent)


def _response_coding(response: Response, persistent: bool) -> Framing:
    codings = lower_tokens(response.fields.get(b"transfer-encoding"))
    # RFC 9112 sections 6.1 and 11.1: faulty framing may indicate response splitting.
    if b"content-length" in response.fields or response.version < HTTP_1_1:
        raise HTTPError(502, "the response's framing cannot be relied on")
    if codings != [b"chunked"]:
        raise HTTPError(502, "the response has a transfer coding that was not asked for")
    return Framing(CHUNKED, persistent)


def _response_length(fields: Fields) -> int | None:
    try:
        return content_length(fields)
    except HTTPError as error:
        # RFC 9112 section 6.3, rule 5: for a client an invalid length is an unrecoverable error.
        raise HTTPError(502, error.detail) from error
