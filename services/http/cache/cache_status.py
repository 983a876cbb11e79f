"""Cache-Status: how this cache has handled a request (RFC 9211).

Cache-Status: lab7; hit; ttl=376
Cache-Status: lab7; fwd=stale; fwd-status=304; ttl=60
"""

import re

from services.http.cache.decisions import Forward, Policy
from services.http.fields import FieldLine, Fields
from services.http.messages import Response

NAME = b"Cache-Status"

# RFC 8941 section 3.3.3: what a String may hold as it is; the rest of a key is percent-encoded already.
_NOT_IN_STRING = re.compile(rb'[^\x20-\x7e]|["\\]')
# RFC 8941 section 3.3.4. A host's name may begin with a digit, which no Token does.
_TOKEN = re.compile(rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+")


def identifier(name: bytes) -> bytes:
    """Return a cache's name of visible ASCII as a Token or else a String (RFC 9211 section 2)."""
    return name if _TOKEN.fullmatch(name) else b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def hit_line(policy: Policy, uri: bytes, ttl_s: int, detail: bytes | None = None) -> FieldLine:
    """Return the field line of an answer from storage (RFC 9211 section 2.1); `detail` is a token."""
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
    """Return the field line of an answer that was asked for upstream (RFC 9211 sections 2.2 to 2.5).

    `forward_status` is what upstream answered, to be given where the client gets another status.
    """
    value = b"%b; fwd=%b" % (policy.identifier, forward.reason)
    if forward_status is not None:
        value += b"; fwd-status=%d" % forward_status
    if ttl_s is not None:
        value += b"; ttl=%d" % ttl_s
    if is_stored:
        value += b"; stored"
    return NAME, value + _key(policy, uri) + _detail(detail)


def as_collapsed(response: Response, policy: Policy, forward: Forward, is_reused: bool = True) -> Response:
    """Return a head whose last Cache-Status line says that the request waited for another's response.

    `forward` is what was decided for the request that waited, `is_reused` whether that response could answer it; if
    not, it has been sent upstream by itself (RFC 9211 section 2.6).
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
