"""Verdicts on course claims W3, W4, W5 and W7 on cache validation, from packets between clients, cache and origin.

The claims: a cache validates by conditional requests (W3); the origin responds with 304 if the object is unchanged
(W4); a changed object replaces the stored one (W5); a cache is both a server and a client (W7).

Sources: RFC 9111 section 4.3 (validation), RFC 9110 sections 13.1 (preconditions), 15.4.5 (304), 8.8 (validators) and
3.7 (intermediaries). The contents of the origin's objects are known as well: a stored response and its replacement must
equal a version of the object. W3 is about If-Modified-Since. A cache may send If-None-Match alone, which leaves W3
undecided. Storing is optional: a cache that does not store a response contradicts no claim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime

from lab7.experiments.cache.claims.versions import Objects
from lab7.experiments.cache.wire.legs import (
    CONDITIONS,
    Copy,
    Legs,
    Served,
    Span,
    path_of,
    status_of,
    text,
    validators_of,
)
from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction, Inconclusive, Verdict, decide, decides, in_frames
from lab7.experiments.http.claims.http1 import response_of
from lab7.experiments.http.wire.http1 import Conversation, Exchange, Message


@decides("W3")
def decide_conditional_requests(claim: str, legs: Legs, spans: Sequence[Span]) -> Verdict:
    """Decide claim W3: the cache validates stale stored responses by conditional requests.

    During the time `spans` all stored responses are stale. The claim has failed if the cache sends no request, an
    unconditional request, or a validator other than the origin's.
    """

    def check() -> tuple[str, list[int]]:
        known = [(each, copy) for each in legs.forwarded(spans) if (copy := _copy_for(legs, each)) is not None]
        if not known:
            raise _nothing_asked(legs, spans)
        for served in legs.served(spans):
            _asked_for(legs, served)
        frames: list[int] = []
        named: dict[bytes, int] = dict.fromkeys(CONDITIONS, 0)
        for exchange, copy in known:
            for name in _conditions(exchange, copy):
                named[name] += 1
            frames += [copy.frame, exchange.request.frames[0]]
        if named[b"if-modified-since"] < len(known):
            raise Inconclusive(
                f"Of {len(known)} requests that validate stale copies {named[b'if-none-match']} have "
                f"If-None-Match, but only {named[b'if-modified-since']} have If-Modified-Since."
            )
        exchange, copy = known[0]
        tags = (
            (f", and {named[b'if-none-match']} also have If-None-Match with the ETag")
            if named[b"if-none-match"]
            else ""
        )
        return (
            f"{len(known)} requests validate stale copies, each with If-Modified-Since: the first has "
            f"“{text(exchange.request.values(b'if-modified-since')[0])}” in frame {frames[1]}, the "
            f"Last-Modified of frame {frames[0]}{tags}."
        ), frames

    return decide(claim, [legs], check)


@decides("W4")
def decide_not_modified(claim: str, legs: Legs, spans: Sequence[Span], objects: Objects) -> Verdict:
    """Decide claim W4: for an unchanged object the origin sends 304 without content, and the client gets a 200."""

    def check() -> tuple[str, list[int]]:
        frames: list[int] = []
        validated = [one for one in legs.served(spans) if _validates(legs, one.upstream)]
        for served in validated:
            frames += _not_modified(legs, served, objects)
        _nothing_behind(legs, [one.upstream for one in validated])
        if not frames:
            raise Inconclusive("No conditional request reaches the origin for a copy that has not changed.")
        first = response_of(validated[0].exchange)
        stored, answer, client = frames[:3]
        return (
            f"{len(validated)} unchanged objects: the origin sends 304 without a body (first in frame "
            f"{answer}), and the client gets 200 with the stored copy (first in frame {client}: "
            f"{len(first.body)} octets, stored in frame {stored}, both with SHA-256 {_hash(first.body)})."
        ), frames

    return decide(claim, [legs], check)


@decides("W5")
def decide_replaced_copy(
    claim: str, legs: Legs, changed: Sequence[Span], again: Sequence[Span], objects: Objects
) -> Verdict:
    """Decide claim W5: the new 200 response for a changed object replaces the stored response, also for later clients.

    In the time spans `changed`, clients request changed objects whose stored responses are stale; in `again`, they
    request the same objects once more. The claim is undecided if the cache does not store the new response. It has
    failed if a client gets the old response, or if the new response is not the object's newest version.
    """

    def check() -> tuple[str, list[int]]:
        found = [(served.path, *_changed(legs, served, objects)) for served in legs.served(changed)]
        fresh = {path: response for path, response, _ in found}
        later = [_in_its_place(served, fresh[served.path]) for served in legs.served(again) if served.path in fresh]
        if not found or not later:
            raise Inconclusive("No client requested a changed object twice.")
        _, response, (stored, answer, client) = found[0]
        modified = response.values(b"last-modified")
        said = f" and Last-Modified “{text(modified[0])}”" if modified else ""
        return (
            f"{len(fresh)} changed objects: in frame {answer} the origin sends 200 with another body than in "
            f"frame {stored}{said}, the client gets it in frame {client}, and the next client gets it from "
            f"the cache without a request to the origin ({in_frames(later)})."
        ), [*(frame for _, _, frames in found for frame in frames), *later]

    return decide(claim, [legs], check)


@decides("W7")
def decide_both_roles(claim: str, legs: Legs, on_link: Sequence[Connection], proxy: str, origin: str) -> Verdict:
    """Decide claim W7: a proxy is a server to its clients and a client to the origin.

    `on_link` are the TCP connections on the access link: all must be from `proxy` to `origin`.
    """

    def check() -> tuple[str, list[int]]:
        for connection in on_link:
            ends = connection.client.address, connection.server.address
            if ends != (proxy, origin):
                syn = connection.syn.frame
                raise Contradiction(
                    f"The SYN in frame {syn} crosses the access link from {ends[0]} to {ends[1]}, past the proxy.", syn
                )
        inward, outward = (
            [conversation.connection for conversation in leg.conversations] for leg in (legs.clients, legs.origin)
        )
        asked, forwarded = legs.clients.exchanges, legs.origin.exchanges
        if legs.alone:
            frame = asked[0].request.frames[0]
            raise Contradiction(
                f"The request in frame {frame} is answered, but no request crosses the access link.", frame
            )
        if not asked or not forwarded:
            raise Inconclusive("One of the two legs has no request.")
        for exchange in forwarded:
            _in_origin_form(exchange)
        for conversation in legs.origin.conversations:
            _no_tunnel(conversation, legs.clients.conversations)
        frames = [one.syn.frame for one in (*inward, *outward)]
        return (
            f"As a server {inward[0].server} accepts {len(inward)} connections (first SYN from "
            f"{inward[0].client.address} in frame {inward[0].syn.frame}) and {len(asked)} requests "
            f"(“{_first_line(asked[0])}”); as a client {proxy} opens {len(outward)} to {outward[0].server} "
            f"(first SYN in frame {outward[0].syn.frame}) and sends {len(forwarded)} "
            f"(“{_first_line(forwarded[0])}”); no other SYN crosses the access link."
        ), frames

    return decide(claim, [legs], check)


def _in_origin_form(forwarded: Exchange) -> None:
    # RFC 9112 section 3.2.1: a request to an origin server has origin-form; absolute-form is for requests to a proxy.
    if not forwarded.target.startswith(b"/"):
        frame = forwarded.request.frames[0]
        raise Contradiction(
            f"The request to the origin in frame {frame} has the target "
            f"{text(forwarded.target)}, which is the form for a proxy.",
            frame,
        )


def _no_tunnel(outward: Conversation, inward: Sequence[Conversation]) -> None:
    # RFC 9110 section 3.7: a tunnel only relays octets, so a proxy that is a tunnel contradicts the claim.
    streams = _streams(outward)
    for one in inward:
        if all(streams) and _streams(one) == streams:
            frames = one.connection.syn.frame, outward.connection.syn.frame
            raise Contradiction(
                f"The connections opened in frames {frames[0]} and {frames[1]} carry the same octets in both "
                "directions, as a tunnel does.",
                *frames,
            )


def _streams(one: Conversation) -> tuple[bytes, bytes]:
    return one.connection.from_client.stream.data, one.connection.from_server.stream.data


def _copy_for(legs: Legs, exchange: Exchange) -> Copy | None:
    return legs.copy(path_of(exchange), exchange.request.first_ns)


def _nothing_asked(legs: Legs, spans: Iterable[Span]) -> Exception:
    served = legs.served(spans)
    old = [one for one in served if one.upstream is None and one.exchange.response is not None]
    if not old:
        return Inconclusive("No client requests a stale copy.")
    frame = response_of(old[0].exchange).frames[0]
    return Contradiction(
        f"The request for the stale {text(old[0].path)} gets a response in frame {frame} "
        f"without a request to the origin.",
        frame,
    )


def _asked_for(legs: Legs, served: Served) -> None:
    """Raise Contradiction if the proxy served a stale stored response without a request to the origin."""
    if served.upstream is None and served.exchange.response is not None and _copy_for(legs, served.exchange):
        frame = served.exchange.response.frames[0]
        raise Contradiction(
            f"The request for {text(served.path)} gets a response in frame {frame} without a request to the origin.",
            frame,
        )


def _conditions(exchange: Exchange, copy: Copy) -> list[bytes]:
    """Return the names of a request's precondition fields (such as If-None-Match).

    Raises Contradiction if there are none, or if they do not repeat the validators of the stored response.
    """
    frame = exchange.request.frames[0]
    found = [name for name in CONDITIONS if exchange.request.values(name)]
    if not found:
        raise Contradiction(
            f"The request for {text(path_of(exchange))} in frame {frame} is unconditional, although the proxy "
            f"had stored a copy in frame {copy.frame}.",
            copy.frame,
            frame,
        )
    for name in found:
        said, given = exchange.request.values(name), copy.validators.get(CONDITIONS[name])
        if said != [given]:
            raise Contradiction(
                f"{text(name)} in frame {frame} is “{text(b', '.join(said))}”, but the origin had sent "
                f"“{text(given or b'nothing')}”.",
                copy.frame,
                frame,
            )
    return found


def _validates(legs: Legs, upstream: Exchange | None) -> bool:
    conditional = upstream is not None and any(upstream.request.values(name) for name in CONDITIONS)
    return upstream is not None and conditional and _copy_for(legs, upstream) is not None


def _not_modified(legs: Legs, served: Served, objects: Objects) -> list[int]:
    """Check that a client got the stored response after the origin's 304; raise Contradiction otherwise.

    Return the frame numbers of the stored response, of the 304 and of the client's response.
    """
    assert served.upstream is not None
    copy = _copy_for(legs, served.upstream)
    assert copy is not None
    answer, given = response_of(served.upstream), response_of(served.exchange)
    if status_of(answer) != 304:
        raise Contradiction(
            f"{text(served.path)} has not changed, but the origin sends {status_of(answer)} in frame "
            f"{answer.frames[0]}, not 304.",
            answer.frames[0],
        )
    if copy.body not in objects.get(served.path, ()):
        raise Contradiction(f"The body in frame {copy.frame} is not a version of {text(served.path)}.", copy.frame)
    _gets(given, copy.body, {**copy.validators, **validators_of(answer)}, f"the copy of frame {copy.frame}")
    return [copy.frame, answer.frames[0], given.frames[0]]


def _nothing_behind(legs: Legs, upstream: Sequence[Exchange | None]) -> None:
    """Raise Contradiction if octets that are not the next response follow a 304 response, which has no content."""
    # Check the octets after a last response only, since content before another response breaks the HTTP grammar.
    for conversation in legs.origin.conversations:
        if conversation.leftover and conversation.exchanges and conversation.exchanges[-1] in upstream:
            frame = response_of(conversation.exchanges[-1]).frames[-1]
            raise Contradiction(f"The 304 in frame {frame} is followed by further octets.", frame)


def _changed(legs: Legs, served: Served, objects: Objects) -> tuple[Message, list[int]]:
    """Check that a client gets the new version of a changed object; raise Contradiction otherwise.

    Return the origin's 200 and three frame numbers: of the stored response, the origin's 200, and the client's
    response.
    """
    given = response_of(served.exchange)
    if served.upstream is None:
        frame = given.frames[0]
        raise Contradiction(
            f"{text(served.path)} has changed, but the response in frame {frame} comes from the cache.", frame
        )
    copy, answer = _copy_for(legs, served.upstream), response_of(served.upstream)
    if copy is None:
        raise Inconclusive(f"The proxy had not stored {text(served.path)} before it changed.")
    frame = answer.frames[0]
    if status_of(answer) != 200 or answer.body == copy.body:
        raise Contradiction(
            f"{text(served.path)} has changed, but frame {frame} has {status_of(answer)} without the new body.", frame
        )
    if answer.body != objects[served.path][-1]:
        raise Contradiction(
            f"The 200 in frame {frame} does not have the current version of {text(served.path)}.", frame
        )
    before, after = copy.validators.get(b"last-modified"), answer.values(b"last-modified")
    if before is not None and (not after or _date(after[0]) <= _date(before)):
        raise Contradiction(
            f"The 200 in frame {frame} does not have a later Last-Modified than frame {copy.frame}.", frame
        )
    _gets(given, answer.body, validators_of(answer), f"the body of frame {frame}")
    return answer, [copy.frame, frame, given.frames[0]]


def _in_its_place(served: Served, fresh: Message) -> int:
    """Check that a later client gets the new response from the cache; return the frame number of that response.

    Raises Contradiction for another response, Inconclusive if the cache did not store the new one.
    """
    given = response_of(served.exchange)
    _gets(given, fresh.body, validators_of(fresh), f"the new copy of frame {fresh.frames[0]}")
    if served.upstream is not None:
        frame = served.upstream.request.frames[0]
        raise Inconclusive(
            f"The new version of {text(served.path)} was not stored: frame {frame} requests it from the origin again."
        )
    return given.frames[0]


def _gets(given: Message, body: bytes, validators: Mapping[bytes, bytes], what: str) -> None:
    """Raise Contradiction unless the client's response is a 200 with this body and with equal validators."""
    if status_of(given) != 200 or given.body != body:
        raise Contradiction(
            f"In frame {given.frames[0]} the client gets {status_of(given)} with SHA-256 {_hash(given.body)}, not "
            f"{what} ({_hash(body)}).",
            given.frames[0],
        )
    for name, value in validators_of(given).items():
        # RFC 9110 section 8.8.3.2: compare tags weakly, since a transformation may have weakened a strong tag.
        if name in validators and value.removeprefix(b"W/") != validators[name].removeprefix(b"W/"):
            raise Contradiction(
                f"In frame {given.frames[0]} the client gets {text(name)} “{text(value)}” with {what}, which has "
                f"“{text(validators[name])}”.",
                given.frames[0],
            )


def _date(value: bytes) -> float:
    try:
        return parsedate_to_datetime(value.decode("ascii", "replace")).timestamp()
    except ValueError:
        raise Contradiction(f"“{text(value)}” is not a valid date.") from None


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:8]


def _first_line(exchange: Exchange) -> str:
    return text(b" ".join(exchange.request.start_line))
