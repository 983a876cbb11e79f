"""Verdicts on course claims C2 and C7: CDN replicas serve the origin's content, and fetch each object once.

In each region, packets are captured at the users (responses) and at the replica (its requests to the origin). The
reference for an object is the origin's response, captured at the origin: a replica must serve the same content with the
same validators (RFC 9110 section 8.8). Storage and freshness follow RFC 9111. All objects stay fresh during the run; a
request to the origin is therefore never a validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lab7.experiments.cache.claims.versions import Objects, require
from lab7.experiments.cache.wire.legs import CONDITIONS, Legs, Served, Span, path_of, status_of, text
from lab7.experiments.dns.claims.evidence import words
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    in_frames,
)
from lab7.experiments.http.claims.http1 import response_of
from lab7.experiments.http.wire.http1 import Exchange, Message
from lab7.experiments.http.wire.page_load import PageLoad


@dataclass(frozen=True)
class Region:
    """Region of a CDN: the replicas' addresses, the users' DNS lookups and page loads, and the replicas' connections.

    `legs` has the replicas' connections with users and with the origin separately. `hosts`: address -> name, for the
    hosts of the region that evidence names.
    """

    name: str
    replicas: frozenset[str]
    dns: DnsTraffic
    load: PageLoad
    legs: Legs
    hosts: Mapping[str, str] = field(default_factory=dict)

    def named(self, addresses: Iterable[str]) -> str:
        """Return addresses as text, each with the name of its host if the name is known."""
        return words(f"{one} ({self.hosts[one]})" if one in self.hosts else one for one in addresses)

    @cached_property
    def objects(self) -> frozenset[bytes]:
        """Return the paths that users of the region requested."""
        return frozenset(path_of(exchange) for exchange in self.load.exchanges)


def require_valid(loads: Iterable[PageLoad]) -> None:
    """Raise Contradiction for the first violation of the HTTP grammar in these connections."""
    for load in loads:
        load.require_valid()


@decides("C2")
def decide_identical_copies(claim: str, regions: Sequence[Region], origin: PageLoad, objects: Objects) -> Verdict:
    """Decide claim C2: responses of replicas equal the origin's in content and validators.

    Undecided if the replica of a region served no response from its cache.
    """

    legs = [origin, *(leg for region in regions for leg in (region.legs.clients, region.legs.origin))]
    loads = [*(region.load for region in regions), *_used(legs)]

    def check() -> Finding:
        require_valid(loads)
        originals = {path_of(one): _succeeded(one) for one in origin.exchanges}
        require(origin.exchanges, objects)
        frames: list[int] = []
        hashes: list[str] = []
        for region in regions:
            copies = [replica for replica in _of_replicas(region) if _from_copy(region, replica)]
            for exchange in _of_replicas(region):
                frames += _equals(exchange, originals.get(path_of(exchange)))
            if not copies:
                raise Inconclusive(f"No response to {region.name} is a copy stored at its replica.")
            response = _succeeded(copies[0])
            hashes.append(
                f"{region.name} {text(path_of(copies[0]))} in frame {response.frames[0]} {_hash(response.body)}"
            )
        return (
            f"{len(frames) // 2} responses of replicas have the content and the validators of the origin's "
            f"responses; stored copies are, for example, {'; '.join(hashes)}."
        ), dict.fromkeys(frames)

    return decide(claim, loads, check)


@decides("C7")
def decide_single_fetch(
    claim: str,
    regions: Sequence[Region],
    visits: Sequence[Span],
    crowd: Mapping[str, Span],
    users: int,
    objects: Objects,
) -> Verdict:
    """Decide claim C7: each replica requests each object exactly once from the origin, before first serving it.

    Each response must equal the origin's object. In the time spans `visits`, objects were requested one after the
    other. For each region in `crowd`, `users` users simultaneously requested an object that the replica had not stored;
    one request to the origin must serve all of them.
    """

    loads = _used([leg for one in regions for leg in (one.legs.clients, one.legs.origin)])

    def check() -> Finding:
        require_valid(loads)
        frames: list[int] = []
        count = later = 0
        for region in regions:
            firsts, repeats = _fetched_once(region, visits, objects)
            frames += firsts
            count, later = count + len(firsts), later + repeats
        if not later:
            raise Inconclusive("No object was requested twice.")
        crowds = []
        for region in (one for one in regions if one.name in crowd):
            sentence, frame = _crowd(region, crowd[region.name], users, objects)
            crowds.append(sentence)
            frames.append(frame)
        return (
            f"Each of {count} objects that a replica lacked was requested once from the origin (first in "
            f"frame {frames[0]}), and {later} later requests were served without a request to the "
            f"origin{''.join(crowds)}."
        ), dict.fromkeys(frames)

    return decide(claim, loads, check)


def _used(legs: Iterable[PageLoad]) -> list[PageLoad]:
    """Return the elements of `legs` that contain at least one HTTP connection.

    A replica that serves all requests from its cache opens no connection to the origin.
    """
    return [leg for leg in legs if leg.conversations]


def is_of_user(region: Region, served: Served) -> bool:
    """Return True if a request to a replica comes from a user, False if it is a health check."""
    return served.path in region.objects


def _of_replicas(region: Region) -> list[Exchange]:
    """Return the requests of a region's users to its replicas, each with its response."""
    return [
        exchange
        for conversation in region.load.conversations
        if conversation.connection.server.address in region.replicas
        for exchange in conversation.exchanges
    ]


def _succeeded(exchange: Exchange) -> Message:
    response = response_of(exchange)
    if status_of(response) != 200:
        frame = response.frames[0]
        raise Contradiction(f"{text(path_of(exchange))} gets {status_of(response)} in frame {frame}, not 200.", frame)
    return response


def _equals(exchange: Exchange, original: Message | None) -> list[int]:
    response = _succeeded(exchange)
    frame, path = response.frames[0], text(path_of(exchange))
    if original is None:
        raise Contradiction(f"{path} in frame {frame} is not a response of the origin.", frame)
    if response.body != original.body:
        raise Contradiction(
            f"{path} in frame {frame} has SHA-256 {_hash(response.body)}, but the origin's response in frame "
            f"{original.frames[0]} has {_hash(original.body)}.",
            original.frames[0],
            frame,
        )
    for name in CONDITIONS.values():
        # RFC 9111 sections 3.1 and 4: a cache stores all fields of a response, and reuses the response unchanged.
        if response.values(name) != original.values(name):
            what = f"another {text(name)} than" if response.values(name) else f"no {text(name)}, unlike"
            raise Contradiction(f"{path} in frame {frame} has {what} the origin's.", original.frames[0], frame)
    return [original.frames[0], frame]


def _from_copy(region: Region, exchange: Exchange) -> bool:
    """Return True if the replica served a response from its cache.

    It did so if it sent no request for the path to the origin between the user's request and its response.
    """
    asked_ns, ended_ns = exchange.request.first_ns, response_of(exchange).last_ns
    fetched = region.legs.forwarded([(asked_ns, ended_ns)])
    return path_of(exchange) not in {path_of(one) for one in fetched}


def _fetched_once(region: Region, visits: Sequence[Span], objects: Objects) -> tuple[list[int], int]:
    """Raise Contradiction if a replica requested an object from the origin more than once.

    Return the frame numbers of its requests to the origin, and the number of user requests for an object that was
    already stored.
    """
    frames, repeats, seen = [], 0, set()
    for served in (one for one in region.legs.served(visits) if is_of_user(region, one)):
        require([served.exchange], objects)
        frame = served.exchange.request.frames[0]
        if served.path not in seen:
            seen.add(served.path)
            if served.upstream is None:
                raise Inconclusive(f"The replica of {region.name} had stored {text(served.path)} before frame {frame}.")
            continue
        repeats += 1
    for path in sorted(seen):
        asked_for = [exchange for exchange in region.legs.origin.exchanges if path_of(exchange) == path]
        if len(asked_for) > 1:
            again = asked_for[1].request.frames[0]
            raise Contradiction(
                f"The replica of {region.name} requests {text(path)} from the origin again in frame {again}.",
                asked_for[0].request.frames[0],
                again,
            )
        frames.append(asked_for[0].request.frames[0])
    return frames, repeats


def _crowd(region: Region, span: Span, users: int, objects: Objects) -> tuple[str, int]:
    """Check that simultaneous user requests caused one request to the origin; raise Contradiction otherwise.

    Return a text for the evidence, and the frame number of the request to the origin.
    """
    requests = [one for one in region.legs.asked([span]) if path_of(one) in region.objects]
    if len(requests) < users:
        raise Inconclusive(f"Only {len(requests)} of {users} users sent concurrent requests.")
    require(requests, objects)
    bodies = {_succeeded(request).body for request in requests}
    paths = {path_of(request) for request in requests}
    if len(paths) > 1:
        raise Inconclusive("The concurrent requests are for different objects.")
    # Count requests to the origin for the object at any time, also before and after the simultaneous requests.
    fetched = [exchange for exchange in region.legs.origin.exchanges if path_of(exchange) in paths]
    frames = [exchange.request.frames[0] for exchange in fetched]
    if len(fetched) != 1:
        raise Contradiction(
            f"For {len(requests)} concurrent requests, the replica of {region.name} sent {len(fetched)} "
            f"requests to the origin{f' ({in_frames(frames)})' if frames else ''}.",
            *frames,
        )
    if bodies != {_succeeded(fetched[0]).body}:
        raise Contradiction(
            f"The responses to concurrent requests differ from the origin's response in frame {frames[0]}.", frames[0]
        )
    waited = sum(exchange.request.last_ns < response_of(fetched[0]).first_ns for exchange in requests)
    if waited < 2:
        raise Inconclusive("No concurrent request arrived before the origin's response was complete.")
    return (
        f"; {len(requests)} concurrent requests of users of {region.name}, {waited} of them before the "
        f"origin's response was complete, were collapsed into one (frame {frames[0]})"
    ), frames[0]


def _hash(body: bytes) -> str:
    return f"SHA-256 {hashlib.sha256(body).hexdigest()[:16]}"
