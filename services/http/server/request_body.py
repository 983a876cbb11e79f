"""The content of a request, waited for, for a handler that is asked at the head and decides there how much it takes.

    content = await taken(request, inbound, reader.feed, limit_octets)

A server's handler gets content that is complete, within one bound for everybody; a relay (inbound.py) gets it while it
comes. This is what lies between: the handler looks at the head, says who may send how much, and then waits.
"""

import asyncio
from collections.abc import Callable

from services.http.errors import HTTPError
from services.http.messages import Request, Response
from services.http.server.inbound import Inbound

# Read at a time.
PIECE_OCTETS = 65_536


async def taken(request: Request, inbound: Inbound, take: Callable[[bytes], None], limit_octets: int) -> int:
    """Hand a request's content to `take` as it comes and return how much it was.

    Raises HTTPError 413 above the limit, before the content where the head says how long it is, and what `take` raises;
    OSError where it breaks off.
    """
    content = inbound.content
    if content is None:
        return 0
    try:
        if int(request.fields.get(b"content-length") or b"0") > limit_octets:
            raise HTTPError(413, f"the content is longer than {limit_octets} octets")
        # RFC 9110 section 10.1.1
        if b"expect" in request.fields and not content.is_complete:
            inbound.send_interim(Response(100))
        came = asyncio.Event()
        content.on_more = came.set
        total = 0
        while (piece := content.read(PIECE_OCTETS)) != b"":
            if piece is None:
                came.clear()
                await came.wait()
                continue
            total += len(piece)
            if total > limit_octets:
                raise HTTPError(413, f"the content is longer than {limit_octets} octets")
            take(piece)
        return total
    finally:
        content.close()
