"""Deliberate faults of HTTP/1 servers and of the caching proxy, enabled by `--fault NAME` (services/faults.py).

FaultyServerConnection sends responses that violate RFC 9112. WrongDateProxy sends the current date in If-Modified-Since
instead of the stored Last-Modified (RFC 9111 section 4.3.1). Left out: HTTP/2, whose binary framing allows none of
these faults.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from lab7.services.http.fields import Fields, format_date
from lab7.services.http.http1.codec import CHUNKED
from lab7.services.http.http1.connection import ServerConnection
from lab7.services.http.intermediary.caching_proxy import CachingProxy
from lab7.services.http.intermediary.pool import OnInterim
from lab7.services.http.intermediary.proxy import RoutedRequest
from lab7.services.http.messages import HTTP_1_1, Request, Response
from lab7.services.http.server.body_stream import BodyStream

SERVER_FAULTS: Mapping[str, str] = {
    "body-in-304": "content after the head of a 304 response",
    "wrong-content-length": "a Content-Length that is 10 less than the octets of the content",
    "silent-close": "Connection: keep-alive, and the connection is closed after the response",
    "decimal-chunks": "chunk sizes in decimal",
    "lf-in-head": "lines of a response head that end in LF alone",
}
PROXY_FAULTS: Mapping[str, str] = {
    "wrong-condition": "If-Modified-Since with the current date in place of the Last-Modified of the stored response",
}
CONTENT_OF_304 = b"<p>The resource is not modified.</p>\r\n"
# Octets that the fault wrong-content-length subtracts from Content-Length, as if a line or a BOM were not counted.
UNCOUNTED_OCTETS = 10
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?<=\r\nContent-Length: )[0-9]+")


class FaultyServerConnection(ServerConnection):
    """Server's end of an HTTP/1 connection, sans-IO, that violates RFC 9112 by the faults that --fault enables."""

    def __init__(self, body_limit_octets: int, faults: Collection[str]) -> None:
        super().__init__(body_limit_octets)
        self._faults = faults

    def send_response(self, response: Response, date: bytes, close: bool = False) -> bytes:
        """Encode a final response with the enabled faults in its head and content, and return the octets to send."""
        octets = super().send_response(response, date, close)
        head, end, content = octets.partition(_HEAD_END)
        if "body-in-304" in self._faults and response.status == 304:
            content = CONTENT_OF_304
        if "wrong-content-length" in self._faults:
            head = _LENGTH.sub(lambda found: b"%d" % max(0, int(found[0]) - UNCOUNTED_OCTETS), head)
        if content and b"\r\nTransfer-Encoding: chunked" in head:
            content = b"%d\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        if "lf-in-head" in self._faults:
            return (head + end).replace(b"\r\n", b"\n") + content
        return head + end + content

    def send_data(self, data: bytes) -> bytes:
        """Return the octets of a piece of content to send; the fault decimal-chunks writes chunk sizes in decimal."""
        octets = super().send_data(data)
        if octets and self._encoder.is_chunked and "decimal-chunks" in self._faults:
            return b"%d\r\n%b\r\n" % (len(data), data)
        return octets

    def _sent_length(self, status: int, size: int | None) -> int | None:
        length = super()._sent_length(status, size)
        can_chunk = self._method != b"HEAD" and self._request is not None and self._request.version >= HTTP_1_1
        return CHUNKED if "decimal-chunks" in self._faults and length and can_chunk else length

    def _connection_option(self) -> bytes | None:
        if "silent-close" in self._faults and self.persistent:
            self.persistent = False
            return b"keep-alive"
        return super()._connection_option()


class WrongDateProxy(CachingProxy):
    """Caching proxy with a fault: validates with the current date instead of Last-Modified, without entity tags."""

    async def exchange(
        self, routed: RoutedRequest, request: Request, content: BodyStream | None, on_interim: OnInterim | None
    ) -> Response:
        """Send a request as Proxy does, with the current date in an If-Modified-Since that the cache has added."""
        if routed.request.fields is not request.fields and b"if-modified-since" in request.fields:
            request = replace(request, fields=_with_wrong_date(request.fields, self._wall_clock()))
        return await super().exchange(routed, request, content, on_interim)


def _with_wrong_date(fields: Fields, now: float) -> Fields:
    kept = fields.without((b"if-none-match", b"if-modified-since"))
    return kept.adding((b"If-Modified-Since", format_date(int(now))))
