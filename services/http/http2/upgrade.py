"""Upgrade from HTTP/1.1 to cleartext HTTP/2, `Upgrade: h2c` (RFC 7540 section 3.2).

    GET / HTTP/1.1                              HTTP/1.1 101 Switching Protocols
    Host: a                                     Connection: Upgrade
    Connection: Upgrade, HTTP2-Settings         Upgrade: h2c
    Upgrade: h2c
    HTTP2-Settings: AAMAAABkAAQAAP__            (HTTP/2: SETTINGS, then the response on stream 1)

RFC 9113 section 3.1 made this upgrade obsolete; curl and other clients still send it. A request that does not meet the
requirements of RFC 7540 section 3.2 is answered in HTTP/1.1, as RFC 9110 section 7.8 permits. A request with content is
upgraded once the content is complete, so any method may be upgraded.
"""

import binascii
import re

from lab7.services.http.fields import Fields, lower_tokens
from lab7.services.http.http2.errors import Http2ConnectionError
from lab7.services.http.http2.header_lists import CONNECTION_SPECIFIC, HTTP_2
from lab7.services.http.http2.settings import parse_settings
from lab7.services.http.messages import HTTP_1_1, Request

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

# RFC 7540 section 3.2.1: base64url without padding.
_BASE64URL = re.compile(rb"[A-Za-z0-9\-_]*+")
# Maximum length of the base64url text; all six settings of RFC 9113 take 48.
_SETTINGS_OCTETS = 1024


def upgrade_settings(request: Request) -> bytes | None:
    """Return the SETTINGS payload of a valid request with Upgrade: h2c; None for any other request."""
    fields = request.fields
    if b"upgrade" not in fields or request.version != HTTP_1_1:
        return None
    # RFC 9110 section 7.8: the server chooses one of the protocols; their names are case-insensitive.
    options = lower_tokens(fields.get(b"connection"))
    if b"h2c" not in lower_tokens(fields.get(b"upgrade")) or not {b"upgrade", b"http2-settings"} <= set(options):
        return None
    # RFC 7540 section 3.2.1: exactly one HTTP2-Settings field.
    values = fields.get_all(b"http2-settings")
    return _decode(values[0]) if len(values) == 1 else None


def _decode(value: bytes) -> bytes | None:
    value = value.rstrip(b"=")
    if len(value) > _SETTINGS_OCTETS or _BASE64URL.fullmatch(value) is None:
        return None
    try:
        payload = binascii.a2b_base64(value.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(value) % 4))
        parse_settings(payload)
    except (ValueError, Http2ConnectionError):
        return None
    return payload


def upgraded(request: Request) -> Request:
    """Convert a request to HTTP/2: remove the connection-specific fields of HTTP/1.1."""
    named = lower_tokens(request.fields.get(b"connection"))
    fields: Fields = request.fields.without(CONNECTION_SPECIFIC | set(named))
    return Request(request.method, request.request_target, fields, HTTP_2)
