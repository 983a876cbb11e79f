"""From a head and content to a Response as this proxy sends it: Via in, and its length left to the connection."""

from collections.abc import Sequence

from services.http.fields import Fields
from services.http.intermediary.cache_fill import FillReader
from services.http.intermediary.forwarding import HOP_BY_HOP, via
from services.http.messages import HTTP_1_1, Body, Response, StreamedBody, Version
from services.http.server.body_stream import BUFFER_OCTETS, BodyStream

# Content put together of what is stored and what arrives (RFC 9111 section 3.4).


class Pieces(StreamedBody):
    """Several contents, one after the other; raises OSError where one of them cannot be had."""

    def __init__(self, bodies: Sequence[Body | StreamedBody]) -> None:
        sizes = [body.size_octets for body in bodies]
        super().__init__(sum(size for size in sizes if size is not None) if None not in sizes else None)
        self._bodies = list(reversed(bodies))
        for body in bodies:
            if isinstance(body, StreamedBody):
                body.on_more = self._more

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while nothing is there."""
        while self._bodies:
            data = self._bodies[-1].read(limit_octets)
            if data is None or data:
                return data
            self._bodies.pop().close()
        return b""

    def close(self) -> None:
        """Let go of all of them."""
        while self._bodies:
            self._bodies.pop().close()

    def _more(self) -> None:
        self.on_more()


_REPLACED = HOP_BY_HOP | {b"content-length"}
# RFC 9112 section 6.3: a length of more digits than this is no content's.
_DIGITS = 19


class Unsent(StreamedBody):
    """The content of a response to HEAD: its length may be known, and nothing of it is sent."""

    def read(self, limit_octets: int) -> bytes | None:
        """Return the end."""
        del limit_octets
        return b""

    def close(self) -> None:
        """Hold nothing."""


def length_of(head: Response) -> int | None:
    """Return a head's Content-Length, None where there is none that can be read."""
    value = head.fields.get(b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) <= _DIGITS else None


def answer(
    method: bytes, head: Response, body: bytes | Body | StreamedBody, name: bytes, version: Version = HTTP_1_1
) -> Response:
    """Return a response to `method`, its content as octets where all of it is here and little.

    `version` is what the head came in. The body of a response to HEAD is looked at for its length alone.
    """
    fields = Fields((*head.fields.without(_REPLACED).lines, (b"Via", via(version, name))))
    if method == b"HEAD":
        length = length_of(head)
        if not isinstance(body, bytes):
            length = body.size_octets if length is None else length
            body.close()
        body = Unsent(length)
    elif isinstance(body, FillReader | BodyStream):
        body = gathered(body)
    return Response(head.status, fields, body, head.reason)


def gathered(body: FillReader | BodyStream) -> bytes | StreamedBody:
    """Return content that is here and little as octets, which cost the least to send; else the body itself."""
    waiting = body.remaining_octets
    if waiting is None or waiting > BUFFER_OCTETS or len(body.trailers):
        return body
    pieces = []
    while piece := body.read(BUFFER_OCTETS):
        pieces.append(piece)
    body.close()
    return b"".join(pieces)
