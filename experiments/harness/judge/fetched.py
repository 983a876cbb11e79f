"""Did a page arrive whole? Decided from packets, whoever the client and the server were.

The body of every response is compared with the file's octets; the versions and the soundness of both sides'
messages are checked on the way.
"""

from __future__ import annotations

from collections.abc import Mapping

from experiments.harness.judge.http import Contradiction, listed, response_of
from experiments.harness.judge.http2 import Http2Conversation, Kind
from experiments.harness.judge.messages import Conversation
from experiments.harness.judge.page_load import PageLoad, why_not_evidence
from experiments.harness.judge.verdict import Verdict, failed, shown, undecided

NO_ERROR = 0


def fetched(cell_id: str, load: PageLoad, protocol: str, files: Mapping[bytes, bytes]) -> Verdict:
    """Whether every file (path: octets) arrived whole by a protocol: 1.0, 1.1, 2, 2-upgrade or 2-push.

    The verdict's id is `cell_id`; its evidence names the packet that shows a failure.
    """
    unfit = why_not_evidence([load])
    if unfit is not None:
        return undecided(cell_id, f"Nothing can be said: {unfit}.")
    try:
        frames = [frame for conversation in load.conversations for frame in _sound(conversation, protocol)]
        got = _bodies(load)
        for path, octets in files.items():
            if path not in got:
                raise Contradiction(f"{path.decode()} was not fetched.", load.conversations[0].connection.syn.frame)
            body, frame = got[path]
            if body != octets:
                raise Contradiction(f"{path.decode()} in frame {frame} has {len(body)} octets, not its own.", frame)
        if protocol == "2-push" and not any(_promised(conversation) for conversation in load.conversations):
            raise Contradiction("Nothing was pushed.", load.conversations[0].connection.syn.frame)
    except Contradiction as found:
        return failed(cell_id, found.evidence, found.frames)
    return shown(cell_id, f"{len(files)} objects whole (responses in frames {listed(frames)}).", frames)


def _promised(conversation: Conversation) -> bool:
    return isinstance(conversation, Http2Conversation) and bool(conversation.promised)


def _sound(conversation: Conversation, protocol: str) -> list[int]:
    """The frames in which its responses begin; every message must be sound and of the protocol."""
    syn = conversation.connection.syn.frame
    if conversation.problem is not None:
        raise Contradiction(f"On the connection opened in frame {syn}: {conversation.problem}.", syn)
    second = isinstance(conversation, Http2Conversation)
    if second != protocol.startswith("2"):
        raise Contradiction(f"The connection opened in frame {syn} speaks HTTP/{'2' if second else '1'}.", syn)
    if isinstance(conversation, Http2Conversation):
        _no_error(conversation)
        if conversation.upgraded != (protocol == "2-upgrade"):
            how = "by Upgrade" if conversation.upgraded else "by prior knowledge"
            raise Contradiction(f"The connection opened in frame {syn} became HTTP/2 {how}.", syn)
    for exchange in conversation.exchanges:
        version, frame = exchange.request.start_line[2], exchange.request.frames[0]
        if not second and version != b"HTTP/" + protocol.encode():
            raise Contradiction(f"The request in frame {frame} is {version.decode('latin-1')}.", frame)
    responses = [response_of(exchange) for exchange in conversation.exchanges]
    for response in responses:
        # RFC 9110 section 6.2: a server says the highest minor version it speaks, whatever the request says.
        if protocol == "1.1" and response.start_line[0] != b"HTTP/1.1":
            said = response.start_line[0].decode("latin-1")
            raise Contradiction(f"The response in frame {response.frames[0]} is {said}.", response.frames[0])
    return [response.frames[0] for response in responses]


def _no_error(conversation: Http2Conversation) -> None:
    """RFC 9113 section 7: an error code other than NO_ERROR, in GOAWAY or RST_STREAM, is a failure."""
    for frame in (*conversation.client_frames, *conversation.server_frames):
        code = int.from_bytes(frame.payload[4:8] if frame.kind == Kind.GOAWAY else frame.payload[:4], "big")
        if frame.kind in (Kind.GOAWAY, Kind.RST_STREAM) and code != NO_ERROR:
            name = Kind(frame.kind).name
            raise Contradiction(f"{name} with error code {code} in frame {frame.packet}.", frame.packet)


def _bodies(load: PageLoad) -> dict[bytes, tuple[bytes, int]]:
    """What arrived: by path, the body of a 200 response and the frame in which it begins."""
    got = {}
    for exchange in load.exchanges:
        response = response_of(exchange)
        if response.start_line[1] == b"200":
            got[exchange.target] = (response.body, response.frames[0])
    return got
