"""Verdicts on course claims K1 to K3 on HTTP keep-alive: idle persistent connections and their time-outs.

    K1  the server's time-out exceeds the client's pause    one connection, idle in between, both responses on it
    K2  the server's time-out is shorter                    its FIN arrives in the pause; a new connection follows
    K3  a proxy between them                                each of its two connections is kept or closed independently

RFC 9112 sections 9.3 and 9.5. Packets are captured at the client, and for K3 at the proxy as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    counted,
    decides,
    in_frames,
    insufficiency,
    undecided,
)
from lab7.experiments.http.claims.http1 import decide_delivered, response_of
from lab7.experiments.http.wire.http1 import Conversation, Exchange
from lab7.experiments.http.wire.page_load import PageLoad

# Permitted lateness in s of a server's close by time-out: lab7's server looks for idle connections every 0.5 s.
LATE_S = 1.0
EARLY_S = 0.01


@decides("K1")
def decide_idle_connection_kept(claim: str, loads: Sequence[PageLoad], pause_s: float) -> Verdict:
    """Decide claim K1: a persistent connection carries two requests, between which it is idle for `pause_s` s."""

    def check() -> Finding:
        frames = [frame for load in loads for frame in _kept(load, pause_s)]
        return (
            f"{counted(len(loads), 'connection')} {'carries' if len(loads) == 1 else 'carry'} two requests each, "
            f"{pause_s:g} s apart; in between neither side "
            f"sends octets or closes (SYNs and second requests in {in_frames(frames)})."
        ), frames

    return decide_delivered(claim, loads, check, as_page=False)


@decides("K2")
def decide_idle_timeout(claim: str, loads: Sequence[PageLoad], pause_s: float, timeout_s: float) -> Verdict:
    """Decide claim K2: the server closes a connection idle for `timeout_s` s; the next request needs a new one."""

    def check() -> Finding:
        found = [_closed(load, pause_s, timeout_s) for load in loads]
        waited = ", ".join(f"{waited_s:.1f}" for waited_s, _ in found)
        frames = [frame for _, some in found for frame in some]
        return (
            f"The server sends FIN {waited} s after its response (time-out {timeout_s:g} s); the next request "
            f"is the first one on another connection (FINs and SYNs in {in_frames(frames)})."
        ), frames

    return decide_delivered(claim, loads, check, as_page=False)


@decides("K3")
def decide_independent_hops(
    claim: str, at_client: Sequence[PageLoad], at_proxy: Sequence[PageLoad], pause_s: float
) -> Verdict:
    """Decide claim K3: a proxy keeps an idle client connection open although its connection to the origin is closed.

    Each element of `at_client` has a pair of requests with a pause in between; the corresponding element of `at_proxy`
    has the proxy's connections to the origin during that time.
    """
    unfit = insufficiency(at_proxy)
    if unfit is not None:
        return undecided(claim, f"Not decidable: {unfit}.")

    def check() -> Finding:
        frames: list[int] = []
        for load, behind in zip(at_client, at_proxy, strict=True):
            _kept(load, pause_s)
            second = load.exchanges[1].request
            before, after = _two_connections(behind)
            ends = [fin for fin in (before.connection.from_server.fin, before.connection.from_client.fin) if fin]
            if not ends or min(end.time_ns for end in ends) >= second.first_ns:
                raise Contradiction(
                    f"The proxy's connection opened in frame {before.connection.syn.frame} is not closed before the "
                    f"second request in frame {second.frames[0]}.",
                    before.connection.syn.frame,
                )
            if after.connection.syn.time_ns < second.first_ns:
                syn = after.connection.syn.frame
                raise Contradiction(f"The proxy's SYN in frame {syn} precedes the second request.", syn)
            frames += [load.conversations[0].connection.syn.frame, second.frames[0], after.connection.syn.frame]
        return (
            f"The client's connection to the proxy carries both requests, {pause_s:g} s apart; the proxy's "
            "connection to the origin is closed in between, and the proxy opens another one for the second "
            f"request ({in_frames(frames)})."
        ), frames

    return decide_delivered(claim, at_client, check, as_page=False)


def _kept(load: PageLoad, pause_s: float) -> list[int]:
    if len(load.conversations) != 1:
        syns = [one.connection.syn.frame for one in load.conversations]
        raise Contradiction(f"{len(syns)} connections were opened (SYNs in {in_frames(syns)}), not one.", *syns)
    conversation = load.conversations[0]
    if len(conversation.exchanges) != 2:
        frame = conversation.connection.syn.frame
        raise Contradiction(
            f"The connection of frame {frame} carries {len(conversation.exchanges)} requests, not two.", frame
        )
    first, second = conversation.exchanges
    _silent(conversation, first, second, pause_s)
    response_of(second)
    return [conversation.connection.syn.frame, second.request.frames[0]]


def _silent(conversation: Conversation, first: Exchange, second: Exchange, pause_s: float) -> None:
    answered_ns, asked_ns = response_of(first).last_ns, second.request.first_ns
    _after_a_pause(answered_ns, asked_ns, pause_s, second.request.frames[0])
    for way in (conversation.connection.from_client, conversation.connection.from_server):
        between = [segment.frame for segment in way.segments if answered_ns < segment.time_ns < asked_ns]
        between += [mark.frame for mark in (way.fin, way.reset) if mark and mark.frame < response_of(second).frames[-1]]
        if between:
            raise Contradiction(f"The connection is not idle: frame {between[0]}.", *between)


def _closed(load: PageLoad, pause_s: float, timeout_s: float) -> tuple[float, list[int]]:
    before, after = _two_connections(load)
    answered_ns, fin = response_of(before.exchanges[0]).last_ns, before.connection.from_server.fin
    syn, ours = after.connection.syn, before.connection.from_client.fin
    if fin is None or fin.time_ns >= syn.time_ns or (ours is not None and ours.time_ns <= fin.time_ns):
        raise Contradiction(f"The server does not close the connection before the SYN in frame {syn.frame}.", syn.frame)
    waited_s = (fin.time_ns - answered_ns) / 1e9
    if not timeout_s - EARLY_S <= waited_s <= timeout_s + LATE_S:
        raise Contradiction(
            f"The server's FIN in frame {fin.frame} follows {waited_s:.2f} s after the response, not after "
            f"the time-out of {timeout_s:g} s.",
            fin.frame,
        )
    _after_a_pause(answered_ns, syn.time_ns, pause_s, syn.frame)
    return waited_s, [fin.frame, syn.frame]


def _two_connections(load: PageLoad) -> tuple[Conversation, Conversation]:
    if [len(conversation.exchanges) for conversation in load.conversations] != [1, 1]:
        syns = [conversation.connection.syn.frame for conversation in load.conversations]
        counts = ", ".join(str(len(conversation.exchanges)) for conversation in load.conversations)
        raise Contradiction(
            f"{len(syns)} connections carry {counts} requests, not one on each of two connections.", *syns
        )
    before, after = load.conversations
    response_of(after.exchanges[0])
    return before, after


def _after_a_pause(answered_ns: int, asked_ns: int, pause_s: float, frame: int) -> None:
    if (asked_ns - answered_ns) / 1e9 < pause_s - EARLY_S:
        waited_s = (asked_ns - answered_ns) / 1e9
        raise Contradiction(f"Frame {frame} follows {waited_s:.2f} s after the response, not {pause_s:g} s.", frame)
