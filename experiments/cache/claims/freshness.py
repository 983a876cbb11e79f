"""Verdict on course claim W6: a cache serves no stored response that is older than Cache-Control permits.

The experiment knows when the origin replaced each version of an object, and the body of every response identifies its
version. A stored response with max-age=N may be used for N seconds after its last validation by the origin (RFC 9111
sections 4.2 and 4.2.3). Its version may thus have been replaced at most N seconds earlier. A stored response with
no-cache may not be used without validation (section 5.2.2.4): its version must have been current when the request
reached the proxy. Ages are counted in whole seconds (section 1.2.2); therefore a cache may be up to one second late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.cache.wire.legs import Legs, Served, Span, status_of, text
from lab7.experiments.harness.judge.verdict import Contradiction, Inconclusive, Verdict, decide, decides
from lab7.experiments.http.claims.http1 import response_of

# Resolution of ages in a cache: delta-seconds are whole (RFC 9111 section 1.2.2), so a cache may be 1 s late.
WHOLE_SECONDS_S = 1.0


@dataclass(frozen=True)
class Version:
    """Version of an object at the origin; `replaced_ns` is the latest possible time of its replacement, or None."""

    body: bytes
    replaced_ns: int | None


@dataclass(frozen=True)
class LiveObject:
    """Object that the origin replaces during the run: all versions in order, and max-age in s (None: no-cache)."""

    max_age_s: float | None
    versions: Sequence[Version]


@dataclass(frozen=True)
class Delivery:
    """200 response from proxy to client, captured at the proxy, with its age.

    Times are in ns unless the name ends in `_s`.

    - `staleness_s`: time since the origin replaced the version in the response (0: the version is current)
    - `age_s`: time since the proxy's last request for the path that the origin answered with 200 or 304
    - `from_cache`: True if the proxy sent no request to the origin between the client's request and this response
    """

    path: bytes
    frame: int
    asked_ns: int
    answered_ns: int
    staleness_s: float
    age_s: float
    from_cache: bool
    max_age_s: float | None
    replaced_ns: int | None

    @property
    def too_old(self) -> bool:
        """Return True if Cache-Control did not permit the cache to serve this stored response.

        With max-age, the response is older than max-age; with no-cache, its version had been replaced before the
        request was sent.
        """
        if self.max_age_s is None:
            return self.replaced_ns is not None and self.asked_ns > self.replaced_ns
        oldest = self.max_age_s + WHOLE_SECONDS_S
        return self.staleness_s > oldest or (self.from_cache and self.age_s > oldest)


def deliveries(legs: Legs, live: Mapping[bytes, LiveObject], spans: Sequence[Span]) -> list[Delivery]:
    """Return all 200 responses for the changing objects `live` (path -> object) to requests within the time spans.

    Raises Contradiction for a status other than 200, a body that is no version of the object, or a missing response.
    """
    known = {path: {each.body: each for each in one.versions} for path, one in live.items()}
    found = []
    for served in legs.served(spans):
        if served.path not in live:
            continue
        response = response_of(served.exchange)
        frame = response.frames[0]
        if status_of(response) != 200:
            raise Contradiction(f"{text(served.path)} gets {status_of(response)} in frame {frame}, not 200.", frame)
        version = known[served.path].get(response.body)
        if version is None:
            raise Contradiction(f"The body in frame {frame} is not a version of {text(served.path)}.", frame)
        found.append(_delivery(legs, served, version, live[served.path].max_age_s))
    return found


@decides("W6")
def decide_freshness(claim: str, legs: Legs, live: Mapping[bytes, LiveObject], spans: Sequence[Span]) -> Verdict:
    """Decide claim W6: no response for the changing objects `live` (by path) is older than Cache-Control permits.

    Only requests within the time `spans` count. The claim is undecided if no object was replaced, or if no response
    with max-age came from the cache.
    """

    def check() -> tuple[str, list[int]]:
        got = deliveries(legs, live, spans)
        for delivery in got:
            if delivery.too_old:
                raise Contradiction(_why_too_old(delivery), delivery.frame)
        aged = [delivery for delivery in got if delivery.max_age_s is not None]
        checked = [delivery for delivery in got if delivery.max_age_s is None]
        changes = sum(1 for one in live.values() for version in one.versions if version.replaced_ns is not None)
        kept = [delivery for delivery in aged if delivery.from_cache]
        if not changes or not kept:
            raise Inconclusive(f"{changes} changes and {len(kept)} cache hits are too few to judge.")
        stalest, oldest = max(kept, key=lambda one: one.staleness_s), max(kept, key=lambda one: one.age_s)
        never = f"; all {len(checked)} responses to requests with no-cache were current" if checked else ""
        return (
            f"{changes} changes, {len(got)} responses, {len(kept)} of them cache hits: the stalest had been "
            f"replaced {stalest.staleness_s:.2f} s before (frame {stalest.frame}, "
            f"max-age={stalest.max_age_s:g}), the oldest had been validated {oldest.age_s:.2f} s before "
            f"(frame {oldest.frame}, max-age={oldest.max_age_s:g}){never}."
        ), [stalest.frame, oldest.frame]

    return decide(claim, [legs], check)


def _delivery(legs: Legs, served: Served, version: Version, max_age_s: float | None) -> Delivery:
    response, asked_ns = served.exchange.response, served.exchange.request.first_ns
    assert response is not None
    replaced_ns, answered_ns = version.replaced_ns, response.first_ns
    late_ns = 0 if replaced_ns is None else max(0, answered_ns - replaced_ns)
    answers = legs.answers_before(served.path, answered_ns)
    vouched = [answer for answer in answers if answer.response and status_of(answer.response) in (200, 304)]
    age_ns = max(0, answered_ns - vouched[-1].request.last_ns) if vouched else 0
    return Delivery(
        path=served.path,
        frame=response.frames[0],
        asked_ns=asked_ns,
        answered_ns=answered_ns,
        staleness_s=late_ns / 1e9,
        age_s=age_ns / 1e9,
        from_cache=served.upstream is None,
        max_age_s=max_age_s,
        replaced_ns=replaced_ns,
    )


def _why_too_old(one: Delivery) -> str:
    what = f"Frame {one.frame} has a copy of {text(one.path)}"
    if one.max_age_s is None:
        assert one.replaced_ns is not None
        before_s = (one.asked_ns - one.replaced_ns) / 1e9
        return f"{what} that was replaced {before_s:.3f} s before the request, although the response has no-cache."
    return (
        f"{what} that was replaced {one.staleness_s:.2f} s before and validated at the origin {one.age_s:.2f} "
        f"s before: max-age={one.max_age_s:g} does not allow that."
    )
