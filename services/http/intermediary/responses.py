"""Responses of a proxy to its clients: Via, content and its length (RFC 9110 section 7.6.3, RFC 9112 section 6.3).

The connection to the client adds the framing fields.
"""

from collections.abc import Sequence

from services.http.fields import Fields
from services.http.intermediary.cache_fill import FillReader
from services.http.intermediary.forwarding import HOP_BY_HOP, via
from services.http.messages import HTTP_1_1, Body, Response, StreamedBody, Version
from services.http.server.body_stream import BUFFER_OCTETS, BodyStream


class ConcatenatedBody(StreamedBody):
    """Concatenated content of stored and arriving parts (RFC 9111 section 3.4); read() raises OSError as they do."""

    def __init__(self, bodies: Sequence[Body | StreamedBody]) -> None:
        sizes = [body.size_octets for body in bodies]
        super().__init__(sum(size for size in sizes if size is not None) if None not in sizes else None)
        self._bodies = list(reversed(bodies))
        for body in bodies:
            if isinstance(body, StreamedBody):
                body.on_more = self._more

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while none are available."""
        while self._bodies:
            data = self._bodies[-1].read(limit_octets)
            if data is None or data:
                return data
            self._bodies.pop().close()
        return b""

    def close(self) -> None:
        """Close all parts."""
        while self._bodies:
            self._bodies.pop().close()

    def _more(self) -> None:
        self.on_more()


_REPLACED = HOP_BY_HOP | {b"content-length"}
# Content-Length values of more digits than 2^63 has are ignored.
_DIGITS = 19


class EmptyBody(StreamedBody):
    """The empty body of a response to HEAD, with the length of the content that GET would get."""

    def read(self, limit_octets: int) -> bytes | None:
        """Return the end."""
        del limit_octets
        return b""

    def close(self) -> None:
        """Do nothing: there is no content to release."""


def parse_content_length(head: Response) -> int | None:
    """Parse a head's Content-Length; return None where it is absent or invalid."""
    value = head.fields.get(b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) <= _DIGITS else None


def build_response(
    method: bytes, head: Response, body: bytes | Body | StreamedBody, name: bytes, version: Version = HTTP_1_1
) -> Response:
    """Build the response to `method` for the client; small content that has arrived completely becomes bytes.

    `version` is the HTTP version of the received head, for Via. Of the body of a response to HEAD only the length is
    used.
    """
    fields = Fields((*head.fields.without(_REPLACED).lines, (b"Via", via(version, name))))
    if method == b"HEAD":
        length = parse_content_length(head)
        if not isinstance(body, bytes):
            length = body.size_octets if length is None else length
            body.close()
        body = EmptyBody(length)
    elif isinstance(body, FillReader | BodyStream):
        body = buffered_content(body)
    return Response(head.status, fields, body, head.reason)


def buffered_content(body: FillReader | BodyStream) -> bytes | StreamedBody:
    """Return small, completely buffered content as bytes, the cheapest form to send; else the body itself."""
    waiting = body.remaining_octets
    if waiting is None or waiting > BUFFER_OCTETS or len(body.trailers):
        return body
    pieces = []
    while piece := body.read(BUFFER_OCTETS):
        pieces.append(piece)
    body.close()
    return b"".join(pieces)
