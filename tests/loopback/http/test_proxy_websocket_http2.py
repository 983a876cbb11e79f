"""WebSocket from HTTP/2 clients through the proxy (RFC 8441), with the h2 library, aiohttp and raw sockets."""

import asyncio
import base64
import hashlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from aiohttp import web

from tests.loopback.http.proxied import (
    FRESH,
    Answering,
    RawOrigin,
    RunningProxy,
    always,
    field_values,
    proxy_process,
    raw_origin,
    response,
    until,
)
from tests.loopback.http.raw_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NO_ERROR,
    PROTOCOL_ERROR,
    RST_STREAM,
    Lines,
    RawPeer,
    frame,
    headers,
    number,
    raw_peer,
)
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process

LARGE = bytes(range(256)) * 12_000
CANCEL, CONNECT_ERROR = 8, 10
ENABLE_CONNECT_PROTOCOL = 8
CHAT: Lines = (
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"http"),
    (b":path", b"/chat"),
    (b":authority", b"a"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-protocol", b"chat"),
)


def changed(**changes: bytes | None) -> Lines:
    """Return CHAT with other pseudo-header fields, without those that are None."""
    lines = [(name, changes.get(name[1:].decode(), value)) for name, value in CHAT]
    return tuple((name, value) for name, value in lines if value is not None)


def switched(request: bytes) -> bytes:
    """Return the 101 to a request, with the answer to its key (RFC 6455 section 4.2.2)."""
    key = field_values(request, b"sec-websocket-key")[0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    lines = "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "Sec-WebSocket-Protocol: chat", "", ""]).encode()


# The requests of tunnels that have ended at the origin.
ENDED: list[bytes] = []


def echoes(peer: socket.socket, request: bytes) -> bool:
    """Switch, send a greeting in the same segment, and return the input, then a farewell."""
    try:
        peer.sendall(switched(request) + b"greeting")
        while piece := peer.recv(65_536):
            peer.sendall(piece)
        peer.sendall(b"farewell")
    finally:
        ENDED.append(request)
    return False


@pytest.fixture
def origin(request: pytest.FixtureRequest) -> Iterator[RawOrigin]:
    with raw_origin(getattr(request, "param", echoes)) as running:
        yield running


@pytest.fixture
def proxy(origin: RawOrigin) -> Iterator[RunningProxy]:
    with proxy_process("--name", "lab7", "--origin", origin.base) as running:
        yield running


def answered_by(*answers: Answering) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("origin", answers, indirect=True)


def open_chat(peer: RawPeer, lines: Lines = CHAT, stream_id: int = 1) -> int:
    """Send an extended CONNECT and return the status of the response."""
    peer.send(headers(stream_id, lines, END_HEADERS))
    peer.until(lambda: stream_id in peer.replies or stream_id in peer.resets)
    return peer.replies[stream_id].status if stream_id in peer.replies else 0


# Messages, with libraries at both ends.


def masked(payload: bytes, opcode: int = 2) -> bytes:
    """Return a message of a client, in one frame with a mask of zeros (RFC 6455 section 5.2)."""
    length = bytes((0x80 | 127,)) + len(payload).to_bytes(8, "big")
    return (
        bytes((0x80 | opcode,)) + (bytes((0x80 | len(payload),)) if len(payload) < 126 else length) + bytes(4) + payload
    )


class Client:
    """Client of the h2 library on a blocking socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), PATIENCE_S)
        self.core = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.status = ""
        self.received = b""
        self.has_ended = False
        self.core.initiate_connection()
        self.flush()
        while self.core.remote_settings.enable_connect_protocol != 1:
            self.read()

    def flush(self) -> None:
        self.socket.sendall(self.core.data_to_send())

    def read(self) -> None:
        octets = self.socket.recv(65_536)
        assert octets
        for event in self.core.receive_data(octets):
            if isinstance(event, h2.events.ResponseReceived):
                self.status = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                self.received += event.data
                self.core.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.StreamEnded):
                self.has_ended = True
        self.flush()

    def send(self, octets: bytes) -> None:
        while octets:
            room = min(self.core.local_flow_control_window(1), self.core.max_outbound_frame_size)
            if not room:
                self.read()
                continue
            self.core.send_data(1, octets[:room])
            octets = octets[room:]
            self.flush()


async def echo(request: web.Request) -> web.WebSocketResponse:
    messages = web.WebSocketResponse(protocols=("chat",))
    await messages.prepare(request)
    async for message in messages:
        if message.type == aiohttp.WSMsgType.BINARY:
            await messages.send_bytes(message.data)
    return messages


def talk(port: int) -> Client:
    client = Client(port)
    with client.socket:
        client.core.send_headers(1, [(name.decode(), value.decode()) for name, value in CHAT])
        client.flush()
        while not client.status:
            client.read()
        client.send(masked(LARGE))
        while len(client.received) < len(LARGE):
            client.read()
        # Close (opcode 8) with status 1000.
        client.send(masked((1000).to_bytes(2, "big"), 8))
        while not client.has_ended:
            client.read()
    return client


@pytest.mark.parametrize("flags", [(), ("--no-cache",)])
def test_messages_pass_both_ways(flags: tuple[str, ...]) -> None:
    async def serve() -> Client:
        site = web.Application()
        site.router.add_get("/chat", echo)
        runner = web.AppRunner(site)
        await runner.setup()
        listener = socket.create_server((HOST, 0))
        await web.SockSite(runner, listener).start()
        with proxy_process("--origin", f"http://{HOST}:{listener.getsockname()[1]}", *flags) as proxy:
            client = await asyncio.to_thread(talk, proxy.port)
        await runner.cleanup()
        return client

    client = asyncio.run(serve())
    assert client.status == "200"
    message = bytes((0x82, 127)) + len(LARGE).to_bytes(8, "big") + LARGE
    assert client.received == message + b"\x88\x02\x03\xe8"


# Heads and octets.


def test_the_heads_and_the_octets_behind_them(origin: RawOrigin, proxy: RunningProxy) -> None:
    with raw_peer(proxy.port) as peer:
        peer.send(headers(1, CHAT, END_HEADERS), frame(DATA, 0, 1, b"early"))
        peer.until(lambda: peer.octets_of(1) >= len(b"greetingearly"))
        assert peer.replies[1].body == b"greetingearly"
        assert not peer.replies[1].ended
        found = dict(peer.replies[1].fields)
        assert (found[":status"], found["via"], found["sec-websocket-protocol"]) == ("200", "1.1 lab7", "chat")
        assert not {"upgrade", "connection", "sec-websocket-accept", "content-length"} & found.keys()
        # Each direction ends by itself.
        peer.send(frame(DATA, END_STREAM, 1, b"last"))
        peer.until_answered(1)
        assert peer.replies[1].body == b"greetingearlylastfarewell"
        assert not peer.resets
        peer.send(headers(3, CHAT, END_HEADERS))
        peer.until(lambda: peer.octets_of(3) > 0)
    sent = origin.requests[0]
    assert sent.startswith(b"GET /chat HTTP/1.1\r\n")
    assert field_values(sent, b"connection") == [b"Upgrade"]
    assert field_values(sent, b"upgrade") == [b"websocket"]
    assert field_values(sent, b"host") == [b"a"]
    assert field_values(sent, b"via") == [b"2 lab7"]
    assert field_values(sent, b"sec-websocket-version") == [b"13"]
    keys = [field_values(request, b"sec-websocket-key") for request in origin.requests]
    assert [len(base64.b64decode(key[0])) for key in keys] == [16, 16]
    assert keys[0] != keys[1]


def ends(peer: socket.socket, request: bytes) -> bool:
    peer.sendall(switched(request) + b"bye")
    return False


@answered_by(ends)
def test_an_end_at_the_origin_is_one_at_the_client(proxy: RunningProxy) -> None:
    with raw_peer(proxy.port) as peer:
        assert open_chat(peer) == 200
        peer.until_answered(1)
        assert peer.replies[1].body == b"bye"
        peer.send(frame(DATA, END_STREAM, 1))
        peer.ping()
        assert not peer.resets
        assert peer.goaway is None


def resets(peer: socket.socket, request: bytes) -> bool:
    peer.sendall(switched(request))
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return False


@answered_by(resets)
def test_a_reset_at_the_origin_is_one_of_the_stream(proxy: RunningProxy) -> None:
    with raw_peer(proxy.port) as peer:
        assert open_chat(peer) == 200
        peer.send(frame(DATA, 0, 1, b"x"))
        peer.until(lambda: bool(peer.resets))
        assert peer.resets == {1: CONNECT_ERROR}


@pytest.mark.parametrize("is_whole_connection", [False, True])
def test_a_client_that_leaves_leaves_nothing(origin: RawOrigin, proxy: RunningProxy, is_whole_connection: bool) -> None:
    ENDED.clear()
    with raw_peer(proxy.port) as peer:
        assert open_chat(peer) == 200
        if is_whole_connection:
            peer.socket.close()
        else:
            peer.send(frame(RST_STREAM, 0, 1, number(CANCEL)))
        until(lambda: origin.requests == ENDED)


def test_a_proxy_that_stops_ends_its_tunnels(origin: RawOrigin) -> None:
    with ExitStack() as stack:
        with proxy_process("--origin", origin.base) as proxy:
            peer = stack.enter_context(raw_peer(proxy.port))
            assert open_chat(peer) == 200
        peer.until(lambda: peer.is_closed)
        assert peer.replies[1].ended
        assert peer.goaway is not None


# Requests and responses that open no tunnel.


@answered_by(always(response(b"refused", FRESH, status="403 Forbidden")))
def test_a_refusal_is_passed_on(proxy: RunningProxy) -> None:
    with raw_peer(proxy.port) as peer:
        for stream_id in (1, 3):
            assert open_chat(peer, stream_id=stream_id) == 403
            peer.until_answered(stream_id)
            assert peer.replies[stream_id].body == b"refused"
        peer.ping()
        assert peer.resets == {1: NO_ERROR, 3: NO_ERROR}


def mistakes(peer: socket.socket, request: bytes) -> bool:
    peer.sendall(switched(request.replace(b"-Key: ", b"-Key: x")))
    return False


@answered_by(always(response(b"a page", FRESH)), mistakes)
def test_an_origin_that_does_not_switch_is_a_bad_gateway(proxy: RunningProxy) -> None:
    with raw_peer(proxy.port) as peer:
        assert open_chat(peer) == 502


def test_requests_that_are_malformed_or_cannot_be_served(origin: RawOrigin, proxy: RunningProxy) -> None:
    cases: list[tuple[Lines, int, int]] = [
        (CHAT, END_STREAM | END_HEADERS, 0),
        ((*CHAT, (b"content-length", b"3")), END_HEADERS, 0),
        (changed(method=b"GET"), END_HEADERS, 0),
        (changed(scheme=None), END_HEADERS, 0),
        (changed(path=None), END_HEADERS, 0),
        (changed(authority=None), END_HEADERS, 400),
        (changed(scheme=b"https"), END_HEADERS, 421),
        (changed(protocol=b"connect-udp"), END_HEADERS, 501),
    ]
    for lines, flags, status in cases:
        with raw_peer(proxy.port) as peer:
            peer.send(headers(1, lines, flags))
            peer.until(lambda: bool(peer.resets) or 1 in peer.replies)
            assert (peer.replies[1].status if status else peer.resets[1]) == (status or PROTOCOL_ERROR), lines
    assert not origin.requests


def test_headers_on_a_tunnel_are_a_stream_error(origin: RawOrigin, proxy: RunningProxy) -> None:
    ENDED.clear()
    with raw_peer(proxy.port) as peer:
        assert open_chat(peer) == 200
        peer.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, b""))
        peer.until(lambda: bool(peer.resets))
        assert peer.resets == {1: PROTOCOL_ERROR}
        until(lambda: origin.requests == ENDED)


def test_only_the_proxy_announces_the_protocol(proxy: RunningProxy, tmp_path: Path) -> None:
    with origin_process(tmp_path) as port:
        for server, announced in ((proxy.port, 1), (port, None)):
            with raw_peer(server) as peer:
                peer.ping()
                settings = peer.frames[0].settings  # type: ignore[attr-defined]
                assert settings.get(ENABLE_CONNECT_PROTOCOL) == announced
        with raw_peer(port) as peer:
            assert open_chat(peer) == 0
            assert peer.resets == {1: PROTOCOL_ERROR}
