"""Reading of a request's content by a relay, with a limit that depends on the request.

    size_octets = await read_body(request, inbound, parser.feed, limit_octets)     # calls parser.feed() per piece

A plain handler gets complete content, with one limit for all requests. A relay (inbound.py) is called at the head of a
request. It can therefore choose the limit by the head, for example by the user, and then await the content.
"""

import asyncio
from collections.abc import Callable

from lab7.services.http.errors import HTTPError
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.inbound import Inbound

# Maximum octets of one read of request content.
READ_OCTETS = 65_536


async def read_body(request: Request, inbound: Inbound, consume: Callable[[bytes], None], limit_octets: int) -> int:
    """Pass a request's content to `consume` as it arrives; return its size in octets.

    Raises HTTPError 413 above the limit, before reading if Content-Length exceeds it; OSError if the content is
    truncated; and the exceptions of `consume`.
    """
    content = inbound.content
    if content is None:
        return 0
    try:
        if int(request.fields.get(b"content-length") or b"0") > limit_octets:
            raise HTTPError(413, f"the content is longer than {limit_octets} octets")
        # RFC 9110 section 10.1.1: 100 Continue requests the content of a client that waits for this response.
        if b"expect" in request.fields and not content.is_complete:
            inbound.send_interim(Response(100))
        has_more = asyncio.Event()
        content.on_more = has_more.set
        total = 0
        while (piece := content.read(READ_OCTETS)) != b"":
            if piece is None:
                has_more.clear()
                await has_more.wait()
                continue
            total += len(piece)
            if total > limit_octets:
                raise HTTPError(413, f"the content is longer than {limit_octets} octets")
            consume(piece)
        return total
    finally:
        content.close()
