"""Verdicts on course claims H6 to H9 on use of connections in page loads: serial, parallel, persistent, pipelined.

The claims compare page load times with a formula for each strategy (HTTP version and use of connections). Each formula
assumes an order of events. The checks here look for this order in the packets; `verdict.timed` adds the comparison of
the measured time with the formula. Packets must be captured at the client: "after" refers to the order in which the
client receives and sends.

    H6  1.0, one connection at a time   each SYN follows the complete previous response
    H7  1.0, parallel connections       after the base page: all SYNs precede the first FIN of the server, and all
                                        requests precede the end of the first response
    H8  1.1 persistent                  one SYN; each request follows the complete previous response
    H9  1.1 persistent, pipelined       one SYN; after the base page, all requests precede the first of their responses

Every load must have delivered the files of its page, since a load that delivers less takes less time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decides, in_frames, undecided
from lab7.experiments.http.claims.http1 import decide_delivered, of_version, only_exchange, response_of, sound
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad

# Minimum number of objects of a page: with one referenced object, parallel or pipelined requests look serial.
FEWEST_OBJECTS = 3

_Check = Callable[[PageLoad], tuple[str, list[int]]]


@decides("H6")
def decide_serial_connections(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H6: with HTTP/1.0, each object is loaded over a new connection, one connection after the other."""
    return _every_load(claim, loads, _serial, fewest=2)


@decides("H7")
def decide_parallel_connections(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H7: with HTTP/1.0, the referenced objects are loaded over parallel connections."""
    return _every_load(claim, loads, _parallel)


@decides("H8")
def decide_persistent_connection(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H8: on one HTTP/1.1 connection, each request follows the response to the previous one."""
    return _every_load(claim, loads, _persistent, fewest=2)


@decides("H9")
def decide_pipelining(claim: str, loads: Sequence[PageLoad]) -> Verdict:
    """Decide claim H9: on one HTTP/1.1 connection, the requests for the referenced objects are pipelined."""
    return _every_load(claim, loads, _pipelined)


def _every_load(claim_id: str, loads: Sequence[PageLoad], check: _Check, fewest: int = FEWEST_OBJECTS) -> Verdict:
    def checks() -> Finding:
        evidence, frames = check(loads[0])
        for load in loads[1:]:
            frames = frames + check(load)[1]
        return (f"{evidence} The same holds for all {len(loads)} page loads." if len(loads) > 1 else evidence), frames

    objects = min((len(load.exchanges) for load in loads), default=0)
    verdict = decide_delivered(claim_id, loads, checks)
    if verdict.verdict == "shown" and objects < fewest:
        return undecided(claim_id, f"A page of {objects} objects is too small to distinguish the strategies.")
    return verdict


def _serial(load: PageLoad) -> tuple[str, list[int]]:
    for conversation in load.conversations:
        only_exchange(conversation, b"HTTP/1.0")
    for before, after in pairwise(load.conversations):
        last = response_of(before.exchanges[0]).last_ns
        syn = after.connection.syn
        if syn.time_ns < last:
            raise Contradiction(f"The SYN in frame {syn.frame} precedes the end of the previous response.", syn.frame)
    frames = [conversation.connection.syn.frame for conversation in load.conversations]
    return (
        f"{len(frames)} objects on {len(frames)} connections, one at a time: each SYN ("
        f"{in_frames(frames)}) follows the complete previous response."
    ), frames


def _parallel(load: PageLoad) -> tuple[str, list[int]]:
    for conversation in load.conversations:
        only_exchange(conversation, b"HTTP/1.0")
    base, *named = load.conversations
    if not named:
        return "There is only one connection.", [base.connection.syn.frame]
    syns = [one.connection.syn for one in named]
    base_ns = response_of(base.exchanges[0]).first_ns
    for syn in syns:
        if syn.time_ns < base_ns:
            raise Contradiction(f"The SYN in frame {syn.frame} precedes the base page.", syn.frame)
    fins = [fin for one in named if (fin := one.connection.from_server.fin) is not None]
    if fins and (first_fin := min(fins, key=lambda fin: fin.frame)).frame < syns[-1].frame:
        raise Contradiction(
            f"The connections are not parallel: FIN in frame {first_fin.frame} precedes SYN in frame {syns[-1].frame}.",
            first_fin.frame,
            syns[-1].frame,
        )
    first = min((response_of(one.exchanges[0]) for one in named), key=lambda response: response.last_ns)
    late = next((one.exchanges[0].request for one in named if one.exchanges[0].request.first_ns > first.last_ns), None)
    if late is not None:
        raise Contradiction(
            f"The requests are not parallel: the request in frame {late.frames[0]} follows the response that "
            f"ends in frame {first.frames[-1]}.",
            first.frames[-1],
            late.frames[0],
        )
    frames = [load.conversations[0].connection.syn.frame, *(syn.frame for syn in syns)]
    return (
        f"{len(named)} connections for the named objects: their SYNs ({in_frames(frames[1:])}) follow "
        f"the base page and precede the first of their FINs ({f'frame {first_fin.frame}' if fins else 'none'})."
    ), frames


def _persistent(load: PageLoad) -> tuple[str, list[int]]:
    exchanges = _one_connection(load)
    for before, after in pairwise(exchanges):
        if after.request.first_ns < response_of(before).last_ns:
            frame = after.request.frames[0]
            raise Contradiction(f"The request in frame {frame} precedes the end of the previous response.", frame)
    frames = [load.conversations[0].connection.syn.frame, *(exchange.request.frames[0] for exchange in exchanges)]
    return (
        f"{len(exchanges)} objects on one connection (SYN in frame {frames[0]}): each request ("
        f"{in_frames(frames[1:])}) follows the complete previous response."
    ), frames


def _pipelined(load: PageLoad) -> tuple[str, list[int]]:
    base, *named = _one_connection(load)
    if not named:
        frame = base.request.frames[0]
        return f"There is only one object (frame {frame}).", [frame]
    first = response_of(named[0])
    last = named[-1].request
    if named[0].request.first_ns < response_of(base).first_ns:
        frame = named[0].request.frames[0]
        raise Contradiction(f"The request in frame {frame} precedes the base page that names it.", frame)
    if last.last_ns > first.first_ns:
        raise Contradiction(
            f"The requests are not pipelined: the request in frame {last.frames[-1]} follows the response "
            f"that begins in frame {first.frames[0]}.",
            first.frames[0],
            last.frames[-1],
        )
    requests = [one.request.frames[0] for one in named]
    return (
        f"{len(named) + 1} objects on one connection: the {len(named)} requests for the named objects "
        f"({in_frames(requests)}) all precede the first of their responses (frame {first.frames[0]})."
    ), [load.conversations[0].connection.syn.frame, *requests, first.frames[0]]


def _one_connection(load: PageLoad) -> tuple[Exchange, ...]:
    syns = [one.connection.syn.frame for one in load.conversations]
    if len(syns) != 1:
        raise Contradiction(f"{len(syns)} connections were opened ({in_frames(syns)}), not one.", *syns)
    conversation = load.conversations[0]
    sound(conversation)
    if not conversation.exchanges:
        raise Contradiction(f"The connection opened in frame {syns[0]} carries no request.", *syns)
    for exchange in conversation.exchanges:
        of_version(exchange, b"HTTP/1.1")
        response = response_of(exchange)
        # RFC 9110 section 2.5: a server's response has the server's highest version, here HTTP/1.1.
        if response.start_line[0] != b"HTTP/1.1":
            frame, said = response.frames[0], response.start_line[0].decode("latin-1")
            raise Contradiction(f"The response in frame {frame} is {said}, not HTTP/1.1.", frame)
        if response.frames[0] < max(exchange.request.frames):
            frame = response.frames[0]
            raise Contradiction(f"The response in frame {frame} precedes its request.", frame)
    return conversation.exchanges
