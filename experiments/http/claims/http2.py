"""Verdicts on course claims H10 to H14 on HTTP/2: binary framing, multiplexing, header compression, server push.

    H10  HTTP/1 uses lines of text, HTTP/2 binary frames
    H11  HTTP/2 interleaves several responses on a connection; HTTP/1 has head-of-line blocking
    H12  HTTP/2 compresses header fields
    H13  with server push, objects arrive without requests, and a page takes 2 RTT + X
    H14  without server push, a page takes 3 RTT + X on one connection, for any number of objects

X is the transmission time of the page. The functions take page loads captured at the client and return a Verdict. A
claim is undecided if the capture dropped packets, has a gap, or lacks the traffic in question. H13 and H14 are decided
here from packets alone; `verdict.timed` adds the comparison of the measured time with theory. For H11, H13 and H14,
page loads must have delivered their files.

Sources: RFC 9113 sections 4.1, 5 and 8.4, RFC 7541 sections 2 and 6.2.2, RFC 9112 sections 2.1 and 9.3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    counted,
    decide,
    decides,
    figures,
    in_frames,
    undecided,
)
from lab7.experiments.http.claims.http1 import decide_delivered, of_version, response_of, sound, sound_requests
from lab7.experiments.http.wire.http1 import Exchange, Message
from lab7.experiments.http.wire.http2 import END_STREAM, Http2Conversation, Http2Frame, Kind
from lab7.experiments.http.wire.page_load import PageLoad

TEXT = re.compile(rb"[\t\r\n\x20-\x7e]*")


@decides("H10")
def decide_binary_framing(claim: str, text_loads: Sequence[PageLoad], binary_loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H10: header sections are lines of ASCII text in HTTP/1.x, and binary frames in HTTP/2."""
    missing = [name for name, loads in (("1.x", text_loads), ("2", binary_loads)) if not loads]
    if missing:
        return undecided(claim, f"The capture has no page load by HTTP/{missing[0]}.")

    def check() -> Finding:
        heads = _text_heads(text_loads)
        frames, blocks = _binary_frames(binary_loads)
        return (
            f"The header sections of {len(heads)} HTTP/1 messages are lines of ASCII (the first in frame "
            f"{heads[0]}); after the preface all octets of HTTP/2 are in {len(frames)} frames with a binary "
            f"header of 9 octets, and none of {len(blocks)} header blocks is text (the first in frame "
            f"{blocks[0].packet})."
        ), [heads[0], frames[0].packet, blocks[0].packet]

    return decide(claim, [*text_loads, *binary_loads], check)


def _text_heads(loads: Sequence[PageLoad]) -> list[int]:
    heads = []
    for load in loads:
        for conversation in load.conversations:
            if isinstance(conversation, Http2Conversation):
                syn = conversation.connection.syn.frame
                raise Contradiction(f"The connection opened in frame {syn} uses HTTP/2, not HTTP/1.", syn)
            sound(conversation)
            for message in _messages(conversation.exchanges):
                head = message.octets.partition(b"\r\n\r\n")[0]
                if not TEXT.fullmatch(head):
                    frame = message.frames[0]
                    raise Contradiction(f"The header section of the message in frame {frame} is not ASCII text.", frame)
                heads.append(message.frames[0])
    if not heads:
        raise Contradiction("The capture has no HTTP/1 message.")
    return heads


def _messages(exchanges: Sequence[Exchange]) -> Iterator[Message]:
    for exchange in exchanges:
        yield exchange.request
        if exchange.response is not None:
            yield exchange.response


def _binary_frames(loads: Sequence[PageLoad]) -> tuple[list[Http2Frame], list[Http2Frame]]:
    frames: list[Http2Frame] = []
    for load in loads:
        for conversation in http2_conversations(load):
            if conversation.leftover:
                syn = conversation.connection.syn.frame
                raise Contradiction(f"The connection opened in frame {syn} has octets outside of frames.", syn)
            if not any(frame.kind == Kind.HEADERS for frame in conversation.server_frames):
                syn = conversation.connection.syn.frame
                raise Contradiction(f"On the connection opened in frame {syn} the server sends no HEADERS frame.", syn)
            frames += [*conversation.client_frames, *conversation.server_frames]
    blocks = [frame for frame in frames if frame.kind == Kind.HEADERS]
    for block in blocks:
        # Skip an empty HEADERS frame, whose header block follows in CONTINUATION frames.
        if block.payload and TEXT.fullmatch(block.payload):
            raise Contradiction(f"The header block in frame {block.packet} is text.", block.packet)
    if not blocks:
        raise Contradiction("The capture has no HEADERS frame.")
    return frames, blocks


def http2_conversations(load: PageLoad) -> list[Http2Conversation]:
    """Return the connections of a page load; raise Contradiction unless all of them are valid HTTP/2."""
    found = []
    for conversation in load.conversations:
        syn = conversation.connection.syn.frame
        if not isinstance(conversation, Http2Conversation):
            raise Contradiction(f"The connection opened in frame {syn} does not use HTTP/2.", syn)
        if conversation.problem is not None:
            raise Contradiction(f"On the connection opened in frame {syn}: {conversation.problem}.", syn)
        found.append(conversation)
    return found


@decides("H11")
def decide_multiplexing(
    claim: str, pipelined: Sequence[PageLoad], multiplexed: Sequence[PageLoad], large: bytes, small: bytes
) -> Verdict:
    """Decide claim H11: HTTP/2 multiplexes two responses and avoids head-of-line blocking, unlike HTTP/1.1 pipelining.

    `large` and `small` are request-targets, requested in this order on one connection. With HTTP/1.1 the response for
    `large` must end first. With HTTP/2 the response for `small` must end between DATA frames of `large`, and all other
    responses must end before `large` as well.
    """
    loads = [*pipelined, *multiplexed]
    if not pipelined or not multiplexed:
        return undecided(claim, "A page load by HTTP/1.1 and one by HTTP/2 are needed.")

    def check() -> Finding:
        waited = [_behind(load, large, small) for load in pipelined]
        found = [_interleaved(load, large, small) for load in multiplexed]
        frames = [*waited[0][1], *found[0][1]]
        blocked_ms, free_ms = (sorted(ms for ms, _ in each)[len(each) // 2] for each in (waited, found))
        if free_ms >= blocked_ms:
            raise Contradiction(
                f"The small object took {free_ms:.1f} ms by HTTP/2, not less than the {blocked_ms:.1f} ms by HTTP/1.1.",
                *frames,
            )
        return (
            f"By HTTP/1.1 the response with the small object (frame {frames[1]}) begins after the end of the "
            f"large one (frame {frames[0]}), {blocked_ms:.1f} ms after its request; by HTTP/2 its DATA (frame "
            f"{frames[3]}) are between DATA of the large one (frames {frames[2]} and {frames[4]}), and it is "
            f"complete after {free_ms:.1f} ms."
        ), frames

    return decide_delivered(claim, loads, check)


def _exchange(load: PageLoad, target: bytes) -> Exchange:
    for exchange in load.exchanges:
        if exchange.target == target:
            return exchange
    raise Contradiction(
        f"The capture has no request for {target.decode('latin-1')}.", load.conversations[0].connection.syn.frame
    )


def _behind(load: PageLoad, large: bytes, small: bytes) -> tuple[float, list[int]]:
    """Return the response time in ms of `small`, requested after `large`, and frame numbers of both responses.

    Raises Contradiction unless `large` and `small` are requested in this order on one HTTP/1.1 connection.
    """
    _one_text(load)
    second, ended, began = _asked_in_order(load, large, small)
    return (began.last_ns - second.last_ns) / 1e6, [ended.frames[-1], began.frames[0]]


def _one_text(load: PageLoad) -> None:
    """Raise Contradiction unless a page load uses a single connection, with valid HTTP/1.1 on it."""
    syns = [conversation.connection.syn.frame for conversation in load.conversations]
    if len(syns) != 1:
        raise Contradiction(f"{len(syns)} connections were opened ({in_frames(syns)}), not one.", *syns)
    sound(load.conversations[0])
    for exchange in load.conversations[0].exchanges:
        of_version(exchange, b"HTTP/1.1")


def _asked_in_order(load: PageLoad, large: bytes, small: bytes) -> tuple[Message, Message, Message]:
    """Return the request for `small`, the response to `large` and the response to `small`.

    Raises Contradiction unless `large` is requested first and is the larger object.
    """
    first, second = _exchange(load, large), _exchange(load, small)
    if first.request.first_ns > second.request.first_ns:
        frame = second.request.frames[0]
        raise Contradiction(f"The small object was requested first, in frame {frame}.", frame)
    big, little = response_of(first), response_of(second)
    if len(big.body) <= len(little.body):
        raise Contradiction(
            f"The large object has {len(big.body)} octets (frame {big.frames[0]}), the small one {len(little.body)} "
            f"(frame {little.frames[0]}).",
            big.frames[0],
            little.frames[0],
        )
    return second.request, big, little


def _interleaved(load: PageLoad, large: bytes, small: bytes) -> tuple[float, list[int]]:
    """Return the response time in ms of `small`, and frame numbers of three DATA frames.

    Raises Contradiction unless `small` ends between DATA frames of `large`, and all other responses end before `large`.
    """
    (conversation,) = _one(load)
    ids = {exchange.target: stream_id for stream_id, exchange in conversation.streams}
    second, _, delivered = _asked_in_order(load, large, small)
    order = [frame for frame in conversation.server_frames if frame.kind == Kind.DATA and frame.payload]
    places = [at for at, frame in enumerate(order) if frame.stream_id == ids[small]]
    others = [at for at, frame in enumerate(order) if frame.stream_id == ids[large]]
    if not places or not others:
        raise Contradiction("One of the two objects has no DATA.", conversation.connection.syn.frame)
    if not others[0] < places[-1] < others[-1]:
        raise Contradiction(
            f"DATA of the small object (frame {order[places[-1]].packet}) is not between DATA of the large one.",
            order[places[-1]].packet,
        )
    for stream_id in ids.values():
        last = max((at for at, frame in enumerate(order) if frame.stream_id == stream_id), default=0)
        if stream_id != ids[large] and last > others[-1]:
            path = next(target for target, each in ids.items() if each == stream_id)
            raise Contradiction(
                f"DATA of {path.decode('latin-1')} (frame {order[last].packet}) follows the end of the large object.",
                order[last].packet,
            )
    after = next(at for at in others if at > places[-1])
    frames = [order[others[0]].packet, order[places[-1]].packet, order[after].packet]
    return (delivered.last_ns - second.last_ns) / 1e6, frames


@decides("H12")
def decide_header_compression(claim: str, text_loads: Sequence[PageLoad], binary_loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H12: later HTTP/2 requests have fewer header octets than the first, and than HTTP/1.1 requests."""
    if not text_loads or not binary_loads:
        return undecided(claim, "A page load by HTTP/1.1 and one by HTTP/2 are needed.")

    def check() -> Finding:
        for conversation in (one for load in text_loads for one in load.conversations):
            sound_requests(conversation)
        for load in binary_loads:
            _one(load)
        if min(len(load.exchanges) for load in (*text_loads, *binary_loads)) < 2:
            return "", []
        text, binary = header_sizes(text_loads[0]), header_sizes(binary_loads[0])
        frames = [exchange.request.frames[0] for exchange in binary_loads[0].exchanges]
        for load in binary_loads:
            sizes = header_sizes(load)
            for number, size in enumerate(sizes[1:], start=2):
                if size >= min(text[1:]) or size >= sizes[0]:
                    raise Contradiction(
                        f"Request {number} by HTTP/2 has {size} octets of header fields, the first one "
                        f"{sizes[0]}, and the smallest by HTTP/1.1 {min(text[1:])}: there is no saving.",
                        load.exchanges[number - 1].request.frames[0],
                    )
        blocks, plain = _response_blocks(binary_loads)
        return (
            f"Header octets of the requests by HTTP/1.1: {figures(text)}; by HTTP/2 on one connection: "
            f"{figures(binary)} ({in_frames(frames)}); header blocks of all responses: {blocks} octets, "
            f"{plain} without compression."
        ), frames

    return _with_objects(2, decide(claim, [*text_loads, *binary_loads], check), [*text_loads, *binary_loads])


def _response_blocks(loads: Sequence[PageLoad]) -> tuple[int, int]:
    """Return two total sizes in octets of all responses' header blocks: as captured, and without HPACK compression.

    Raises Contradiction for a header block that compression has not made smaller, or without header blocks.
    """
    blocks = plain = 0
    for response in (
        exchange.response for load in loads for exchange in load.exchanges if exchange.response is not None
    ):
        # An uncompressed field takes one octet, and one length octet each for name and value (RFC 7541 section 6.2.2).
        fields = sum(3 + len(name) + len(value) for name, value in response.fields)
        # Count :status as one octet (static table, RFC 7541 appendix A), since indexing it is no compression.
        if fields and len(response.header_block) >= 1 + fields:
            raise Contradiction(
                f"The header block of the response in frame {response.frames[0]} has "
                f"{len(response.header_block)} octets, not fewer than its fields without compression "
                f"({fields}).",
                response.frames[0],
            )
        blocks, plain = blocks + len(response.header_block), plain + 1 + fields
    if not blocks:
        syn = loads[0].conversations[0].connection.syn.frame
        raise Contradiction(f"On the connection opened in frame {syn} no HTTP/2 response has header fields.", syn)
    return blocks, plain


def _with_objects(fewest: int, verdict: Verdict, loads: Sequence[PageLoad]) -> Verdict:
    """Return a verdict, changed from `shown` to undecided if a page has fewer than `fewest` objects."""
    objects = min((len(load.exchanges) for load in loads), default=0)
    if verdict.verdict == "shown" and objects < fewest:
        return undecided(
            verdict.id,
            f"A page of {counted(objects, 'object')} is too small to show the difference.",
        )
    return verdict


def _in_all(loads: Sequence[PageLoad]) -> str:
    return f" The same holds for all {len(loads)} page loads." if len(loads) > 1 else ""


def header_sizes(load: PageLoad) -> list[int]:
    """Return the header size in octets of each request in a page load, in order.

    In HTTP/1.x it includes the request line, in HTTP/2 it is that of all frames with header fields.
    """
    sizes = []
    for exchange in load.exchanges:
        octets, body = exchange.request.octets, exchange.request.body
        sizes.append(len(octets) - len(body))
    return sizes


@decides("H13")
def decide_server_push(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H13: on one connection the client requests the page, and the server pushes all other objects."""

    def check() -> Finding:
        evidence, frames = _pushed(loads[0])
        for load in loads[1:]:
            frames = frames + _pushed(load)[1]
        return f"{evidence}{_in_all(loads)}", frames

    return decide_delivered(claim, loads, check)


def _pushed(load: PageLoad) -> tuple[str, list[int]]:
    (conversation,) = _one(load)
    asked = [each for stream_id, each in conversation.streams if stream_id not in conversation.promised]
    pushed = [each for stream_id, each in conversation.streams if stream_id in conversation.promised]
    if len(asked) != 1:
        syn, requests = conversation.connection.syn.frame, [each.request.frames[0] for each in asked]
        where = f"{in_frames(requests)}" if requests else f"connection opened in frame {syn}"
        raise Contradiction(f"The client sent {len(asked)} requests ({where}), not one.", *(requests or [syn]))
    if not pushed:
        raise Contradiction("The server pushed no object.", asked[0].request.frames[0])
    response_of(asked[0])
    _promised_in_time(conversation)
    for each in pushed:
        if each.response is None:
            frame = each.request.frames[0]
            raise Contradiction(f"The response promised in frame {frame} is incomplete.", frame)
    promises = [each.request.frames[0] for each in pushed]
    return (
        f"After one request (frame {asked[0].request.frames[0]}), {len(pushed)} objects were promised "
        f"(PUSH_PROMISE in {in_frames(promises)}) and delivered on the same connection without requests "
        "for them."
    ), [asked[0].request.frames[0], *promises]


def _promised_in_time(conversation: Http2Conversation) -> None:
    """Raise Contradiction if a PUSH_PROMISE follows the end of the response on its stream (RFC 9113 6.6, 8.4.1)."""
    ended: set[int] = set()
    for frame in conversation.server_frames:
        if frame.kind == Kind.PUSH_PROMISE and frame.stream_id in ended:
            raise Contradiction(f"The PUSH_PROMISE in frame {frame.packet} follows the page.", frame.packet)
        if frame.kind in (Kind.DATA, Kind.HEADERS) and frame.flags & END_STREAM:
            ended.add(frame.stream_id)


@decides("H14")
def decide_concurrent_streams(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H14: on one connection all referenced objects are requested before the first of their responses."""

    def check() -> Finding:
        found = [_multiplexed(load) for load in loads]
        counts = sorted({len(load.exchanges) for load in loads})
        return (
            f"{' and '.join(str(count) for count in counts)} objects on one connection each, without server "
            f"push: {found[0][0]}{_in_all(loads)}"
        ), [frame for _, frames in found for frame in frames]

    # Leave claim H14 undecided for fewer than two referenced objects, since serial requests would look the same.
    return _with_objects(3, decide_delivered(claim, loads, check), loads)


def _multiplexed(load: PageLoad) -> tuple[str, list[int]]:
    (conversation,) = _one(load)
    for frame in conversation.server_frames:
        if frame.kind == Kind.PUSH_PROMISE:
            raise Contradiction(f"The server pushed an object (PUSH_PROMISE in frame {frame.packet}).", frame.packet)
    if not load.exchanges:
        syn = conversation.connection.syn.frame
        raise Contradiction(f"The connection opened in frame {syn} carries no request.", syn)
    page, *named = load.exchanges
    if not named:
        return f"the page in frame {response_of(page).frames[0]} has no other objects.", [page.request.frames[0]]
    requests = [each.request.frames[0] for each in named]
    first = min(response_of(each).first_ns for each in named)
    late = next((each.request for each in named if each.request.last_ns > first), None)
    if late is not None:
        raise Contradiction(f"The request in frame {late.frames[0]} follows a response.", late.frames[0])
    early = next((each.request for each in named if each.request.first_ns < response_of(page).first_ns), None)
    if early is not None:
        raise Contradiction(f"The request in frame {early.frames[0]} precedes the page.", early.frames[0])
    return (
        f"the page is requested in frame {page.request.frames[0]}, and all its objects in "
        f"{in_frames(requests)}, before the first of their responses."
    ), [page.request.frames[0], *requests]


def _one(load: PageLoad) -> list[Http2Conversation]:
    found = http2_conversations(load)
    if len(found) != 1:
        syns = [conversation.connection.syn.frame for conversation in found]
        raise Contradiction(f"{len(syns)} connections were opened ({in_frames(syns)}), not one.", *syns)
    return found
