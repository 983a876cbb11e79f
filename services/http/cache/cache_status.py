"""Cache-Status response field: hit, forward reason, TTL and key (RFC 9211).

Cache-Status: lab7; hit; ttl=376
Cache-Status: lab7; fwd=stale; fwd-status=304; ttl=60
"""

import re

from services.http.cache.decisions import Forward, Policy
from services.http.fields import FieldLine, Fields
from services.http.messages import Response

NAME = b"Cache-Status"

# RFC 8941 section 3.3.3: octets that a String cannot contain unescaped; they are percent-encoded in a key.
_NOT_IN_STRING = re.compile(rb'[^\x20-\x7e]|["\\]')
# RFC 8941 section 3.3.4. A host name may begin with a digit, a Token may not.
_TOKEN = re.compile(rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+")


def identifier(name: bytes) -> bytes:
    """Encode a cache's name, in visible ASCII, as a Token where possible, else as a String (RFC 9211 section 2)."""
    return name if _TOKEN.fullmatch(name) else b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def hit_line(policy: Policy, uri: bytes, ttl_s: int, detail: bytes | None = None) -> FieldLine:
    """Return the field line of a hit (RFC 9211 section 2.1); `detail` is a token."""
    return NAME, b"%b; hit; ttl=%d%b%b" % (policy.identifier, ttl_s, _key(policy, uri), _detail(detail))


def forward_line(
    policy: Policy,
    uri: bytes,
    forward: Forward,
    *,
    forward_status: int | None = None,
    ttl_s: int | None = None,
    is_stored: bool = False,
    detail: bytes | None = None,
) -> FieldLine:
    """Return the field line of a response to a forwarded request (RFC 9211 sections 2.2 to 2.5).

    `forward_status` is the status received from upstream; None where the client gets the same one.
    """
    value = b"%b; fwd=%b" % (policy.identifier, forward.reason)
    if forward_status is not None:
        value += b"; fwd-status=%d" % forward_status
    if ttl_s is not None:
        value += b"; ttl=%d" % ttl_s
    if is_stored:
        value += b"; stored"
    return NAME, value + _key(policy, uri) + _detail(detail)


def mark_collapsed(response: Response, policy: Policy, forward: Forward, is_reused: bool = True) -> Response:
    """Return a head with `collapsed` in its last Cache-Status line (RFC 9211 section 2.6).

    `forward` is the decision for the collapsed request. `is_reused` is False where the shared response did not satisfy
    it and the request was forwarded separately.
    """
    lines = list(response.fields.lines)
    at = max((number for number, line in enumerate(lines) if line[0] == NAME), default=None)
    if at is None:
        return response
    hit, collapsed = b"%b; hit" % policy.identifier, b"; collapsed" if is_reused else b"; collapsed=?0"
    value = lines[at][1]
    if value.startswith(hit):
        value = b"%b; fwd=%b%b%b" % (policy.identifier, forward.reason, collapsed, value[len(hit) :])
    else:
        value += collapsed
    lines[at] = (NAME, value)
    return Response(response.status, Fields(tuple(lines)), response.body, response.reason, response.version)


def _key(policy: Policy, uri: bytes) -> bytes:
    if not policy.show_key:
        return b""
    return b'; key="%b"' % _NOT_IN_STRING.sub(lambda match: b"%%%02X" % match[0][0], uri)


def _detail(detail: bytes | None) -> bytes:
    return b"" if detail is None else b"; detail=" + detail
