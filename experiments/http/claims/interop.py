"""Verdict on one cell of the HTTP interoperability matrix: whether a page is delivered completely by a protocol.

The matrix has a row per server, and a column per client and protocol. Captured packets decide. Every response must have
status 200 and the content of its file. The messages of both sides must be valid and of the protocol's HTTP version. A
client may request an object more than once, as load generators do, but may request nothing else.
"""

from __future__ import annotations

from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, in_frames
from lab7.experiments.http.claims.delivery import difference, path_of
from lab7.experiments.http.claims.http1 import response_of
from lab7.experiments.http.wire.http1 import Conversation
from lab7.experiments.http.wire.http2 import Http2Conversation, Kind
from lab7.experiments.http.wire.page_load import Files, PageLoad

NO_ERROR = 0


def fetched(cell_id: str, load: PageLoad, protocol: str, files: Files) -> Verdict:
    """Return the verdict (with the id `cell_id`) on whether a protocol delivered all files of a page.

    `protocol` is one of 1.0, 1.1, 2, 2-upgrade, 2-push. `files` are the contents by URL path, the page first.
    """

    def check() -> Finding:
        frames = [frame for conversation in load.conversations for frame in _sound(conversation, protocol)]
        _every_file(load, files)
        if protocol == "2-push":
            _all_pushed(load, files)
        return f"{len(files)} objects were transferred completely (responses in {in_frames(frames)}).", frames

    return decide(cell_id, [load], check)


def _every_file(load: PageLoad, files: Files) -> None:
    """Raise Contradiction unless exactly the given files are requested, and each response delivers its file."""
    got = set()
    for exchange in load.exchanges:
        path, frame = path_of(exchange), exchange.request.frames[0]
        if path not in files:
            raise Contradiction(
                f"The request in frame {frame} for {path.decode('latin-1')} is not for an object of the page.", frame
            )
        wrong = difference(exchange, files[path])
        if wrong is not None:
            raise Contradiction(f"{wrong.evidence[0].upper()}{wrong.evidence[1:]}.", wrong.frame)
        got.add(path)
    for path in files:
        if path not in got:
            syn = load.conversations[0].connection.syn.frame
            raise Contradiction(f"{path.decode()} was not requested.", syn)


def _all_pushed(load: PageLoad, files: Files) -> None:
    """Raise Contradiction unless the server announced every object other than the page by PUSH_PROMISE."""
    conversations = [conversation for conversation in load.conversations if isinstance(conversation, Http2Conversation)]
    promised = {
        path_of(exchange)
        for conversation in conversations
        for stream_id, exchange in conversation.streams
        if stream_id in conversation.promised
    }
    syn = load.conversations[0].connection.syn.frame
    if not promised:
        raise Contradiction("The server pushed no object.", syn)
    for path in list(files)[1:]:
        if path not in promised:
            raise Contradiction(f"{path.decode()} was requested, not pushed.", syn)


def _sound(conversation: Conversation, protocol: str) -> list[int]:
    """Return the numbers of the frames in which the responses of a connection begin.

    Raises Contradiction unless all its messages are valid and of this protocol.
    """
    syn = conversation.connection.syn.frame
    if conversation.problem is not None:
        raise Contradiction(f"On the connection opened in frame {syn}: {conversation.problem}.", syn)
    if conversation.leftover and all(exchange.response is not None for exchange in conversation.exchanges):
        raise Contradiction(f"The connection opened in frame {syn} ends inside a message.", syn)
    second = isinstance(conversation, Http2Conversation)
    if second != protocol.startswith("2"):
        raise Contradiction(f"The connection opened in frame {syn} uses HTTP/{'2' if second else '1'}.", syn)
    if isinstance(conversation, Http2Conversation):
        _no_error(conversation)
        if conversation.upgraded != (protocol == "2-upgrade"):
            how = "by Upgrade" if conversation.upgraded else "by prior knowledge"
            raise Contradiction(f"The connection opened in frame {syn} switched to HTTP/2 {how}.", syn)
    for exchange in conversation.exchanges:
        version, frame = exchange.request.start_line[2], exchange.request.frames[0]
        if not second and version != b"HTTP/" + protocol.encode():
            raise Contradiction(f"The request in frame {frame} is {version.decode('latin-1')}.", frame)
    responses = [response_of(exchange) for exchange in conversation.exchanges]
    for response in responses:
        # RFC 9110 section 6.2: a server sends its own highest minor version, whatever the request's minor version.
        if protocol == "1.1" and response.start_line[0] != b"HTTP/1.1":
            said = response.start_line[0].decode("latin-1")
            raise Contradiction(f"The response in frame {response.frames[0]} is {said}.", response.frames[0])
    return [response.frames[0] for response in responses]


def _no_error(conversation: Http2Conversation) -> None:
    """Raise Contradiction if a GOAWAY or RST_STREAM frame reports an error, not NO_ERROR (RFC 9113 section 7)."""
    for frame in (*conversation.client_frames, *conversation.server_frames):
        code = int.from_bytes(frame.payload[4:8] if frame.kind == Kind.GOAWAY else frame.payload[:4], "big")
        if frame.kind in (Kind.GOAWAY, Kind.RST_STREAM) and code != NO_ERROR:
            name = Kind(frame.kind).name
            raise Contradiction(f"{name} with error code {code} in frame {frame.packet}.", frame.packet)
