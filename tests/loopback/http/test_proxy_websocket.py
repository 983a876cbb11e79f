"""WebSocket through the proxy (RFC 6455, RFC 9110 section 7.8), with aiohttp at both ends and raw sockets."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from tests.loopback.http.proxied import (
    FRESH,
    Answering,
    RawOrigin,
    RunningProxy,
    always,
    curl,
    exchange,
    field_values,
    proxy_process,
    raw_origin,
    response,
    until,
)
from tests.loopback.http.support import HOST, PATIENCE_S, read_to_end, read_until

LARGE = bytes(range(256)) * 12_000
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
OFFER = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)
# RFC 6455 section 1.3: the answer to this key.
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCHED = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n\r\n".encode()


@pytest.fixture(scope="module", params=["cache", "no cache"])
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--name", "lab7", "--status", "/numbers", *(("--no-cache",) if request.param == "no cache" else ()))


@pytest.fixture(scope="module")
def proxy(flags: tuple[str, ...]) -> Iterator[RunningProxy]:
    with proxy_process(*flags) as running:
        yield running


def numbers(proxy: RunningProxy) -> dict[str, int]:
    found: dict[str, int] = json.loads(curl(f"{proxy.url}/numbers").stdout)
    return found


def ask(origin: RawOrigin, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {origin.base}/chat HTTP/{version}", "Host: x", *lines, "", ""]).encode()


def echoes(greeting: bytes) -> Answering:
    """Return an origin that switches, sends a greeting in the same segment, and returns its input."""

    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.sendall(SWITCHED + greeting)
        while piece := peer.recv(65_536):
            peer.sendall(piece)
        return False

    return answer


async def echo(request: web.Request) -> web.WebSocketResponse:
    messages = web.WebSocketResponse(protocols=("chat",))
    await messages.prepare(request)
    async for message in messages:
        if message.type == aiohttp.WSMsgType.TEXT:
            await messages.send_str(message.data)
        else:
            await messages.send_bytes(message.data)
    return messages


@pytest.mark.parametrize("is_reverse", [True, False], ids=["reverse", "forward"])
def test_messages_pass_both_ways(flags: tuple[str, ...], is_reverse: bool) -> None:
    async def talk() -> list[object]:
        site = web.Application()
        site.router.add_get("/chat", echo)
        runner = web.AppRunner(site)
        await runner.setup()
        listener = socket.create_server((HOST, 0))
        await web.SockSite(runner, listener).start()
        base = f"http://{HOST}:{listener.getsockname()[1]}"
        with proxy_process(*flags, *(("--origin", base) if is_reverse else ())) as proxy:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
                url, through = (proxy.url, None) if is_reverse else (base, proxy.url)
                async with session.ws_connect(f"{url}/chat", proxy=through, protocols=("chat",)) as messages:
                    await messages.send_str("hello")
                    text = await messages.receive_str()
                    await messages.send_bytes(LARGE)
                    octets = await messages.receive_bytes()
                    await messages.close()
                    found = [text, octets == LARGE, messages.protocol, messages.close_code]
        await runner.cleanup()
        return found

    assert asyncio.run(talk()) == ["hello", True, "chat", 1000]


def test_the_heads_and_the_octets_behind_them(proxy: RunningProxy) -> None:
    opened = numbers(proxy)["tunnels"]
    with raw_origin(echoes(b"greeting")) as origin, socket.create_connection((HOST, proxy.port), PATIENCE_S) as client:
        client.sendall(ask(origin, *OFFER) + b"early")
        received = read_until(client, b"greetingearly")
        client.sendall(LARGE)
        client.shutdown(socket.SHUT_WR)
        received += read_to_end(client)
        head, _, octets = received.partition(b"\r\n\r\n")
    assert octets == b"greetingearly" + LARGE
    assert head.startswith(b"HTTP/1.1 101 ")
    assert field_values(received, b"connection") == [b"Upgrade"]
    assert field_values(received, b"upgrade") == [b"websocket"]
    assert field_values(received, b"via") == [b"1.1 lab7"]
    assert not field_values(received, b"content-length") + field_values(received, b"transfer-encoding")
    sent = origin.requests[0]
    assert sent.startswith(b"GET /chat HTTP/1.1\r\n")
    assert field_values(sent, b"connection") == [b"Upgrade"]
    assert field_values(sent, b"upgrade") == [b"websocket"]
    assert field_values(sent, b"sec-websocket-key") == [KEY.encode()]
    assert numbers(proxy)["tunnels"] == opened + 1


def test_an_end_at_the_origin_is_one_at_the_client(proxy: RunningProxy) -> None:
    switched = always(SWITCHED + b"bye", stays=False)
    with raw_origin(switched) as origin, socket.create_connection((HOST, proxy.port), PATIENCE_S) as client:
        client.sendall(ask(origin, *OFFER))
        assert read_until(client, b"bye").endswith(b"\r\n\r\nbye")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b""
    assert numbers(proxy)["upstream_connections"] == 0


def test_a_refused_upgrade_leaves_the_connection_to_http(proxy: RunningProxy) -> None:
    opened = numbers(proxy)["tunnels"]
    refused = always(response(b"refused", FRESH, status="403 Forbidden"))
    with raw_origin(refused) as origin, socket.create_connection((HOST, proxy.port), PATIENCE_S) as client:
        for _ in range(2):
            client.sendall(ask(origin, *OFFER))
            assert read_until(client, b"refused").startswith(b"HTTP/1.1 403 ")
    # An answer to an offer is not reused, since another client may be answered with 101.
    assert len(origin.requests) == 2
    assert numbers(proxy)["tunnels"] == opened


@pytest.mark.parametrize(
    ("lines", "method", "version"),
    [
        (("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "GET", "1.1"),
        (("Upgrade: websocket",), "GET", "1.1"),
        (OFFER, "GET", "1.0"),
        (OFFER, "HEAD", "1.1"),
        ((*OFFER, "Content-Length: 0"), "GET", "1.1"),
    ],
    ids=["h2c", "not in Connection", "HTTP/1.0", "HEAD", "content"],
)
def test_other_offers_are_not_forwarded(proxy: RunningProxy, lines: tuple[str, ...], method: str, version: str) -> None:
    with raw_origin(always(response(b""))) as origin:
        exchange(proxy.port, ask(origin, *lines, method=method, version=version), b"\r\n\r\n")
    assert field_values(origin.requests[0], b"upgrade") == []
    assert field_values(origin.requests[0], b"connection") == []


@pytest.mark.parametrize("protocol", ["h2c", "websocket, h2c"])
def test_a_switch_to_another_protocol_is_a_bad_gateway(proxy: RunningProxy, protocol: str) -> None:
    with raw_origin(always(SWITCHED.replace(b"websocket", protocol.encode()), stays=False)) as origin:
        assert exchange(proxy.port, ask(origin, *OFFER), b"\r\n\r\n").startswith(b"HTTP/1.1 502 ")


def test_a_client_that_leaves_before_the_switch_leaves_nothing(proxy: RunningProxy) -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        # A reset, since an orderly close may be a half-close.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with suppress(OSError):
            assert peer.recv(1) == b""
        return False

    with raw_origin(answer) as origin:
        client = socket.create_connection((HOST, proxy.port), PATIENCE_S)
        client.sendall(ask(origin, *OFFER))
        until(lambda: bool(origin.requests) and not numbers(proxy)["upstream_connections"])
