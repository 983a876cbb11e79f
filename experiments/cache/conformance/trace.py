"""Captured HTTP messages of a cache conformance check, assigned to its steps, at the client and at the origin.

The first segment of a request's path is the name of its check. At the client every request has its own connection, and
connections are in the order of the steps. At the origin a request belongs to the step during which it was sent: after
that step's client request and before the next one. Since some checks are about malformed messages, these are parsed as
far as possible. HTTP/2 is not supported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.harness.judge.reassembly import Stream
from lab7.experiments.http.wire.http1 import Conversation, Message, converse

STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
AUTHORITY = re.compile(rb"^https?://[^/]*", re.IGNORECASE)

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Answer:
    """Captured final response; `content` is decoded from the chunked coding.

    `whole` is True if the message framing shows that the response is complete.
    """

    status: int
    fields: Fields
    content: bytes
    whole: bool
    frame: int
    first_ns: int
    last_ns: int

    def values(self, name: str) -> list[bytes]:
        """Return the values of all field lines with this name (in lower case)."""
        return _values(self.fields, name)


@dataclass(frozen=True)
class RequestSeen:
    """Captured request with its response, if any; `closed` is True if the server closed the connection."""

    method: bytes
    path: bytes
    fields: Fields
    frame: int
    first_ns: int
    answer: Answer | None
    closed: bool

    def values(self, name: str) -> list[bytes]:
        """Return the values of all field lines with this name (in lower case)."""
        return _values(self.fields, name)


@dataclass(frozen=True)
class StepSeen:
    """Captured messages of one step, by time: client requests (one per copy) and the cache's requests to the origin."""

    client: tuple[RequestSeen, ...]
    origin: tuple[RequestSeen, ...]


@dataclass(frozen=True)
class CheckSeen:
    """Captured messages of one check: all steps, and for each step the content of the origin's scripted reply."""

    steps: tuple[StepSeen, ...]
    contents: tuple[bytes, ...]


# Function called with the captured check and a step's number (from 1), which raises Contradiction or NotUsed.
Expectation = Callable[[CheckSeen, int], None]


def _values(fields: Fields, name: str) -> list[bytes]:
    return [value for known, value in fields if known == name.lower().encode()]


def requests_at(captured: CaptureFile, interface: str, port: int) -> list[RequestSeen]:
    """Return all requests to a server port that were captured at an interface, by time.

    Raises KeyError if the interface was not captured.
    """
    every = [one for one in connections(captured.at(interface)) if one.server.port == port]
    found = [asked for connection in every for asked in _of(connection)]
    return sorted(found, key=lambda one: one.first_ns)


def check_seen(
    name: str,
    copies: Sequence[int],
    contents: Sequence[bytes],
    client: Iterable[RequestSeen],
    origin: Iterable[RequestSeen],
) -> CheckSeen:
    """Assign captured requests to the steps of one check; `copies` is the number of client requests in each step."""
    ours, theirs = [one for one in client if _is_of(name, one)], [one for one in origin if _is_of(name, one)]
    groups, start = [], 0
    for count in copies:
        groups.append(tuple(ours[start : start + count]))
        start += count
    begins = [group[0].first_ns if group else None for group in groups]
    steps = []
    for place, group in enumerate(groups):
        later = [begin for begin in begins[place + 1 :] if begin is not None]
        began, ended = begins[place], min(later, default=None)
        steps.append(StepSeen(group, tuple(one for one in theirs if _within(one.first_ns, began, ended))))
    return CheckSeen(tuple(steps), tuple(contents))


def _within(time_ns: int, began: int | None, ended: int | None) -> bool:
    return began is not None and began <= time_ns and (ended is None or time_ns < ended)


def _is_of(name: str, asked: RequestSeen) -> bool:
    return re.split(rb"[/?]", asked.path.removeprefix(b"/"))[0] == name.encode()


def _of(connection: Connection) -> list[RequestSeen]:
    """Return all requests on one connection with their responses, malformed messages included."""
    conversation = converse(connection)
    closed = connection.from_server.fin is not None or connection.from_server.reset is not None
    found = [_asked(exchange.request, exchange.response, closed) for exchange in conversation.exchanges]
    sent = sum(len(exchange.request.octets) for exchange in conversation.exchanges)
    rest = connection.from_client.stream.data[sent:]
    if rest.strip():
        found.append(_broken_request(connection.from_client.stream, sent, closed))
    return [*found[:-1], _with_rest(found[-1], conversation)] if found else []


def _asked(request: Message, response: Message | None, closed: bool) -> RequestSeen:
    method, target, _ = request.start_line
    answer = None
    if response is not None:
        answer = Answer(
            int(response.start_line[1]),
            response.fields,
            response.body,
            True,
            response.frames[0],
            response.first_ns,
            response.last_ns,
        )
    path = AUTHORITY.sub(b"", target)
    return RequestSeen(method, path, request.fields, request.frames[0], request.first_ns, answer, closed)


def _head(data: bytes) -> tuple[bytes, Fields, bytes]:
    """Parse a message head, malformed or not; return (start line, fields by lower-case name, octets after the head)."""
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = (one.partition(b":") for one in lines)
    return line, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs), rest


def _broken_request(stream: Stream, start: int, closed: bool) -> RequestSeen:
    line, fields, _ = _head(stream.data[start:])
    words = [*line.split(), b"", b""]
    piece = stream.span(start, len(stream.data))[0]
    return RequestSeen(words[0], AUTHORITY.sub(b"", words[1]), fields, piece.frame, piece.time_ns, None, closed)


def _with_rest(asked: RequestSeen, conversation: Conversation) -> RequestSeen:
    """Return the last request of a connection; if its response is incomplete, add the captured part of the response."""
    stream = conversation.connection.from_server.stream
    used = sum(len(one.response.octets) for one in conversation.exchanges if one.response is not None)
    start = _final(stream.data, used)
    if asked.answer is not None or start is None:
        return asked
    _, fields, content = _head(stream.data[start:])
    pieces = stream.span(start, len(stream.data))
    found = STATUS.match(stream.data, start)
    status = int(found[1]) if found else 0
    answer = Answer(status, fields, content, False, pieces[0].frame, pieces[0].time_ns, pieces[-1].time_ns)
    return RequestSeen(asked.method, asked.path, asked.fields, asked.frame, asked.first_ns, answer, asked.closed)


def _final(data: bytes, start: int) -> int | None:
    """Return the offset of the final response in `data`, after any interim (1xx) responses; None if there is none."""
    while (found := STATUS.match(data, start)) and found[1].startswith(b"1"):
        end = data.find(b"\r\n\r\n", start)
        if end < 0:
            return None
        start = end + 4
    return start if found else None
