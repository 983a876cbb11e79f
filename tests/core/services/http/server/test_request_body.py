"""Reading of request content by a relay, after it has seen the head."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.server.request_body import read_body


@dataclass
class Client:
    """The Inbound of a request."""

    content: BodyStream | None = field(default_factory=BodyStream)
    peer: str = "192.0.2.1:1"
    interim: list[Response] = field(default_factory=list)

    def send_interim(self, response: Response) -> None:
        self.interim.append(response)


def request(**fields: str) -> Request:
    lines = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
    return Request(b"POST", b"/", Fields(lines))


async def gathered(client: Client, asked: Request, limit: int, *pieces: bytes, end: bool = True) -> bytes:
    pieces_read: list[bytes] = []
    task = asyncio.ensure_future(read_body(asked, client, pieces_read.append, limit))
    content = client.content
    for piece in pieces:
        await asyncio.sleep(0)
        assert content is not None
        content.feed(piece)
    await asyncio.sleep(0)
    if content is not None and end:
        content.finish()
    assert await task == len(b"".join(pieces_read))
    return b"".join(pieces_read)


def test_it_is_taken_as_it_comes() -> None:
    assert asyncio.run(gathered(Client(), request(), 10, b"one", b"", b"two")) == b"onetwo"
    assert asyncio.run(gathered(Client(content=None), request(), 10)) == b""


def test_a_client_that_expects_100_gets_it() -> None:
    client = Client()
    asyncio.run(gathered(client, request(expect="100-continue"), 10, b"x"))
    assert [response.status for response in client.interim] == [100]


def test_too_much_is_refused_by_the_head_alone() -> None:
    client = Client()
    with pytest.raises(HTTPError) as caught:
        asyncio.run(gathered(client, request(content_length="11", expect="100-continue"), 10, end=False))
    assert caught.value.status == 413
    assert client.interim == []


def test_too_large_content_without_content_length_is_rejected() -> None:
    client = Client()
    with pytest.raises(HTTPError) as caught:
        asyncio.run(gathered(client, request(), 5, b"four", b"more", end=False))
    assert caught.value.status == 413
    assert client.content is not None
    assert client.content.is_over


def test_content_that_breaks_off_says_so() -> None:
    async def broken() -> None:
        client = Client()
        assert client.content is not None
        client.content.feed(b"x")
        client.content.fail("the client closed the connection")
        await read_body(request(), client, lambda _: None, 10)

    with pytest.raises(OSError, match="closed the connection"):
        asyncio.run(broken())
