"""Verdicts on course claims H1 to H5 on HTTP/1: TCP set-up, message grammar, statelessness, one object per connection.

    H1  a client opens a TCP connection to the server, and uses it for request and response
    H2  the grammar of a request: request line, header lines, empty line, body
    H3  the grammar of a response: status line, header lines, empty line, body
    H4  the server is stateless: earlier requests do not alter a response
    H5  HTTP/1.0 uses a separate connection for each object

A claim is a statement of the course that captured packets confirm or contradict. The functions take page loads (see
`wire.page_load`) and return a Verdict. A claim is undecided if the capture dropped packets, has a gap, or lacks the
traffic in question; a failed claim cites the first connection or message that contradicts it. H1 to H3 are about
messages: error responses are evidence as well. H4 and H5 are about objects: a page load that did not deliver the
origin's files (see `delivery`) cannot confirm them.

Sources: RFC 9112 sections 2 to 7 and 9, RFC 9110 sections 2.5 and 15, RFC 1945 section 1.3 (one request per
connection).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    decide,
    decides,
    failed,
    in_frames,
    insufficiency,
    undecided,
)
from lab7.experiments.http.claims.delivery import content_of, undelivered
from lab7.experiments.http.wire.http1 import Conversation, Exchange, Message
from lab7.experiments.http.wire.page_load import PageLoad

HTTP_PORT = 80
# VERSION_1 matches HTTP/1.x, as a response has no higher major version than its request (RFC 9110 section 2.5).
VERSION_1 = re.compile(rb"HTTP/1\.[0-9]")
# STATUS matches status codes 100 to 599; other codes are invalid (RFC 9110 section 15).
STATUS = re.compile(rb"[1-5][0-9]{2}")


def decide_delivered(
    claim_id: str,
    loads: Sequence[PageLoad],
    check: Callable[[], Finding],
    as_page: bool = True,
) -> Verdict:
    """Decide a claim by the function `check`, provided that every page load delivered the files of its page.

    The claim has failed if a page load did not. If the expected files are not known, the claim is undecided.
    """

    def delivered() -> Finding:
        finding = check()
        for load in loads:
            require_delivered(load, as_page)
        return finding

    if any(load.files is None for load in loads):
        return undecided(claim_id, "Not decidable: the contents of the origin are not known.")
    return decide(claim_id, loads, delivered)


def require_delivered(load: PageLoad, as_page: bool = True) -> None:
    """Raise Contradiction unless a page load delivered all files of its page with status 200."""
    wrong = undelivered(load, load.files or {}, as_page)
    if wrong is not None:
        raise Contradiction(f"The page was not transferred correctly: {wrong.evidence}.", wrong.frame)


@decides("H1")
def decide_connection_setup(claim: str, loads: Sequence[PageLoad], port: int = HTTP_PORT) -> Verdict:
    """Decide claim H1: a TCP handshake to port 80 comes first, then the request, then the response."""

    def check() -> Finding:
        for load in loads:
            for conversation in load.conversations:
                _opens_asks_gets(conversation, port)
        first = loads[0].conversations[0]
        connection, exchange = first.connection, first.exchanges[0]
        assert connection.from_server.syn is not None
        request, response = exchange.request.frames[0], response_of(exchange).frames[0]
        frames = [connection.syn.frame, connection.from_server.syn.frame, request, response]
        count = sum(len(load.conversations) for load in loads)
        return (
            f"{count} connections to port {port}: in the first one {connection.client} sends SYN in frame "
            f"{frames[0]}, gets SYN-ACK in frame {frames[1]}, sends its request in frame {request} and gets "
            f"the response in frame {response}."
        ), frames

    return decide(claim, loads, check)


@decides("H2")
def decide_request_grammar(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H2: every request consists of request line, header lines, an empty line and body."""
    return _grammar(claim, loads, "request", lambda exchange: exchange.request, sound_requests)


@decides("H3")
def decide_response_grammar(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H3: every response consists of status line, header lines, an empty line and body."""
    return _grammar(claim, loads, "response", _proper_response, sound)


@decides("H4")
def decide_statelessness(claim: str, first: PageLoad, second: PageLoad, others: Sequence[PageLoad] = ()) -> Verdict:
    """Decide claim H4 (the server is stateless): the same requests in another order get the same responses.

    Only the Date field may differ. `others` are further page loads, in which equal requests must get responses of equal
    status and content. The claim is undecided if the two page loads did not send the same requests, or sent them in the
    same order. It has failed, too, if the responses are equal but differ from the origin's files, since the origin may
    have changed its state before the first load.
    """
    compared = [first, second, *(load for load in others if load.conversations)]
    unfit = _not_reordered(first, second)
    if insufficiency([first, second]) is None and unfit is not None:
        return undecided(claim, unfit)

    def check() -> Finding:
        before, after = ({exchange.request.octets: exchange for exchange in load.exchanges} for load in compared[:2])
        for request, exchange in before.items():
            one, other = response_of(exchange), response_of(after[request])
            if _without_date(one) != _without_date(other):
                raise Contradiction(
                    f"{_text(exchange.target)} gets different responses in frame {one.frames[0]} and, with "
                    f"the requests in another order, in frame {other.frames[0]}.",
                    one.frames[0],
                    other.frames[0],
                )
        _always_the_same(compared)
        frames = [response_of(exchange).frames[0] for each in (before, after) for exchange in each.values()]
        return (
            f"{len(before)} objects requested in two orders: the responses are identical except for Date "
            f"({in_frames(frames)})."
        ), frames

    verdict = decide(claim, compared, check)
    if verdict.verdict == "shown":
        for load in (first, second):
            wrong = undelivered(load, load.files or {}, as_page=False)
            if wrong is not None:
                evidence = f"{verdict.evidence} But {wrong.evidence}: an earlier request may have changed the response."
                return failed(claim, evidence, [wrong.frame])
    return verdict


def _always_the_same(loads: Sequence[PageLoad]) -> None:
    """Raise Contradiction unless equal HTTP/1 requests in all page loads get responses of equal status and content."""
    known: dict[bytes, tuple[tuple[bytes, bytes], int]] = {}
    for exchange in (exchange for load in loads for exchange in load.exchanges):
        response = exchange.response
        if response is None or not VERSION_1.fullmatch(exchange.request.start_line[2]):
            continue
        said, frame = (response.start_line[1], _content(response)), response.frames[0]
        before, earlier = known.setdefault(exchange.request.octets, (said, frame))
        if said != before:
            raise Contradiction(
                f"{_text(exchange.target)} gets different responses to the same request in frames {earlier} "
                f"and {frame}: status {_text(before[0])} with {len(before[1])} octets, and status "
                f"{_text(said[0])} with {len(said[1])}.",
                earlier,
                frame,
            )


def _content(response: Message) -> bytes:
    try:
        return content_of(response)
    except ValueError:
        # Compare undecodable content in its encoded form.
        return response.body


@decides("H5")
def decide_connection_per_object(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H5: with HTTP/1.0 each connection carries one object, and then the server closes it."""

    def check() -> Finding:
        every = [conversation for load in loads for conversation in load.conversations]
        for conversation in every:
            only_exchange(conversation, b"HTTP/1.0")
            _closed_by_server(conversation)
        fins = [fin.frame for one in every if (fin := one.connection.from_server.fin) is not None]
        syns = [one.connection.syn.frame for one in every]
        return (
            f"{len(every)} objects on {len(syns)} connections: each has a SYN ({in_frames(syns)}) and, "
            f"after the response, a FIN that the server sends first ({in_frames(fins)})."
        ), sorted(syns + fins)

    return decide_delivered(claim, loads, check)


def response_of(exchange: Exchange) -> Message:
    """Return the response to a request; raise Contradiction if it was not captured completely."""
    if exchange.response is None:
        frame = exchange.request.frames[0]
        raise Contradiction(f"The request in frame {frame} gets no complete response.", frame)
    return exchange.response


def only_exchange(conversation: Conversation, version: bytes) -> Exchange:
    """Return the only request of a connection, with its response.

    Raises Contradiction if the connection has several requests, or a request of another HTTP version.
    """
    syn = conversation.connection.syn.frame
    sound(conversation)
    if len(conversation.exchanges) != 1:
        raise Contradiction(
            f"The connection opened in frame {syn} carries {len(conversation.exchanges)} requests, not one.", syn
        )
    exchange = conversation.exchanges[0]
    of_version(exchange, version)
    response_of(exchange)
    return exchange


def of_version(exchange: Exchange, version: bytes) -> None:
    """Raise Contradiction unless a request has the HTTP version `version`."""
    found, frame = exchange.request.start_line[2], exchange.request.frames[0]
    if found != version:
        raise Contradiction(f"The request in frame {frame} is {_text(found)}, not {_text(version)}.", frame)


def sound(conversation: Conversation) -> None:
    """Raise Contradiction unless both directions of a connection consist of complete, valid messages."""
    syn = conversation.connection.syn.frame
    if conversation.problem is not None:
        raise Contradiction(f"On the connection opened in frame {syn}: {conversation.problem}.", syn)
    if conversation.leftover:
        raise Contradiction(f"The connection opened in frame {syn} ends inside a message.", syn)


def _opens_asks_gets(conversation: Conversation, port: int) -> None:
    connection = conversation.connection
    syn = connection.syn.frame
    if connection.server.port != port:
        raise Contradiction(f"The SYN in frame {syn} goes to port {connection.server.port}, not {port}.", syn)
    if not connection.established:
        raise Contradiction(f"The SYN in frame {syn} is not followed by SYN-ACK and ACK.", syn)
    sound_requests(conversation)
    if not conversation.exchanges:
        raise Contradiction(f"The connection opened in frame {syn} carries no request.", syn)
    if conversation.exchanges[0].response is None:
        # Report malformed octets in place of a response, rather than a missing response.
        sound(conversation)
        response_of(conversation.exchanges[0])
    for exchange in conversation.exchanges:
        ack, response = connection.from_client.first_ack, exchange.response
        assert ack is not None
        if response is None:
            # RFC 9112 section 9.3.2: a server may close a connection before responding to every pipelined request.
            continue
        # A response may begin while the client still sends content, but not before a request without content ends.
        asked = exchange.request.frames[0] if exchange.request.body else max(exchange.request.frames)
        if not ack.frame <= exchange.request.frames[0] <= asked < response.frames[0]:
            raise Contradiction(
                f"On the connection opened in frame {syn}, handshake, request and response are not in this order.",
                ack.frame,
                exchange.request.frames[0],
                response.frames[0],
            )


def sound_requests(conversation: Conversation) -> None:
    """Raise Contradiction unless the client sent only complete, valid requests on a connection."""
    if conversation.request_problem is not None:
        syn = conversation.connection.syn.frame
        raise Contradiction(f"On the connection opened in frame {syn}: {conversation.request_problem}.", syn)


def _proper_response(exchange: Exchange) -> Message | None:
    """Return the response to a request; None if no response was captured.

    Raises Contradiction unless its version is HTTP/1.x, its status code is valid, and its transfer coding is permitted.
    """
    response = exchange.response
    if response is None:
        return None
    version, status, _ = response.start_line
    frame = response.frames[0]
    if not VERSION_1.fullmatch(version):
        raise Contradiction(f"The response in frame {frame} is {_text(version)}.", frame)
    if not STATUS.fullmatch(status):
        raise Contradiction(f"The response in frame {frame} has the invalid status code {_text(status)}.", frame)
    # RFC 9112 section 6.1: the response to an HTTP/1.0 request must not have a transfer coding.
    if exchange.request.start_line[2] == b"HTTP/1.0" and response.values(b"transfer-encoding"):
        raise Contradiction(
            f"The response in frame {frame} has a transfer coding, which HTTP/1.0 does not have.", frame
        )
    return response


def _grammar(
    claim_id: str,
    loads: Sequence[PageLoad],
    noun: str,
    pick: Callable[[Exchange], Message | None],
    require: Callable[[Conversation], None],
) -> Verdict:
    def check() -> Finding:
        messages: list[Message] = []
        for load in loads:
            for conversation in load.conversations:
                require(conversation)
                messages += [found for exchange in conversation.exchanges if (found := pick(exchange)) is not None]
        if not messages:
            frame = loads[0].conversations[0].connection.syn.frame
            raise Contradiction(f"The connection opened in frame {frame} carries no {noun}.", frame)
        frames = [message.frames[0] for message in messages]
        first_line = b" ".join(messages[0].start_line)
        lines = sum(len(message.fields) for message in messages)
        octets = sum(len(message.body) for message in messages)
        return (
            f"{len(messages)} {noun}s follow the grammar, with {lines} header lines and {octets} octets of "
            f"body; the first begins with “{_text(first_line)}” (frame {frames[0]})."
        ), frames

    return decide(claim_id, loads, check)


def _not_reordered(first: PageLoad, second: PageLoad) -> str | None:
    orders = [[exchange.request.octets for exchange in load.exchanges] for load in (first, second)]
    if sorted(orders[0]) != sorted(orders[1]) or len(set(orders[0])) != len(orders[0]):
        return "The requests of the two runs differ, or are repeated, so that the responses cannot be compared."
    if orders[0] == orders[1]:
        return "The requests of the two runs are in the same order, so that the responses prove nothing."
    return None


def _without_date(message: Message) -> tuple[object, ...]:
    # RFC 9110 section 6.6.1: Date is the time of generation, which differs between otherwise equal responses.
    fields = tuple(field for field in message.fields if field[0] != b"date")
    return message.start_line, fields, message.body


def _closed_by_server(conversation: Conversation) -> None:
    connection = conversation.connection
    fin, other = connection.from_server.fin, connection.from_client.fin
    last = response_of(conversation.exchanges[0]).frames[-1]
    if fin is None:
        syn = connection.syn.frame
        raise Contradiction(f"The server does not close the connection opened in frame {syn}.", syn, last)
    if other is not None and other.frame < fin.frame:
        raise Contradiction(f"The client closes the connection first, in frame {other.frame}.", other.frame, fin.frame)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "backslashreplace")
