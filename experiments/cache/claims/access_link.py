"""Verdicts on course claims W1, W2 and W8: response time and utilisation of an access link, with and without a cache.

    W1  a cache close to the clients shortens response times
    W2  a cache relieves the access link
    W8  the textbook's access-link calculation is correct: a slow link with and without a cache, and a faster link

Each case (for example the slow link with a cache) is measured from HTTP requests and responses captured at three
interfaces: the client's, the origin's, and the campus end of the link. If there is a cache, the campus end is captured
at the proxy, otherwise at the client. A response crosses the link from the time of its first segment at the origin to
the time of its last segment at the campus end.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab7.experiments.cache.claims.versions import Objects, bulk_difference
from lab7.experiments.harness.judge.decomposition import CLOCK_READINGS, RESIDUAL, uncovered
from lab7.experiments.harness.judge.verdict import Verdict, decides, failed, shown, undecided
from lab7.experiments.harness.theory.queueing import Queue
from lab7.experiments.harness.theory.tcp import transmission_time_s
from lab7.experiments.http.wire.bulk import BulkExchange, Traffic

# Permitted relative deviation of utilisation, octets and real-time delays: the textbook's numbers are as coarse.
WITHIN = 0.10
FEW_REPEATED = 10


@dataclass(frozen=True)
class Setting:
    """Parameters of a case (a link, with or without a cache): request rate, rate and RTT of the link, hit rate.

    Units: requests per second, bit/s, s; the hit rate is 0 if there is no cache.
    """

    arrival_rate: float
    rate_bps: float
    rtt_s: float
    hit_rate: float


@dataclass(frozen=True)
class CaseFigures:
    """Measurements of one case (a link rate, with or without a cache).

    Times are means over all requests in s, except `own_ns`.

    - `problem`: reason why the measurements are no evidence, or None
    - `wrong`: description of a response that differs from the origin's object, or None
    - `joined_s`: wait of collapsed requests, which share a response that the cache is already fetching
    - `request_s`: transmission time of a request's frame on the link
    - `omitted`: terms that theory adds to the textbook's formula, by name
    - `tolerance`: permitted relative deviation of a mean from theory
    - `forwarded`: for each request in order, whether it crossed the link
    - `own_ns`: for each answered request that is not collapsed, its response time in ns minus its time on the link
    """

    setting: Setting
    requests: int
    crossed: int
    delay_s: float
    queueing_s: float
    transmission_s: float
    propagation_s: float
    response_wire_bytes: float
    link_bytes: int
    length_s: float
    frames: tuple[int, ...]
    problem: str | None = None
    wrong: str | None = None
    joined_s: float = 0.0
    request_s: float = 0.0
    omitted: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = WITHIN
    forwarded: tuple[bool, ...] = ()
    own_ns: tuple[int, ...] = ()

    @property
    def hit_rate(self) -> float:
        """Return the measured hit rate: the share of requests that did not cross the access link."""
        return 1 - self.crossed / self.requests

    @property
    def utilisation(self) -> float:
        """Return the utilisation: the share of the link's capacity that responses used during the measurement."""
        return self.link_bytes * 8 / (self.setting.rate_bps * self.length_s)

    @property
    def queue(self) -> Queue:
        """Return the M/D/1 model of the link: Poisson arrivals of cache misses, constant service time."""
        crossing_rate = self.setting.arrival_rate * (1 - self.setting.hit_rate)
        return Queue(crossing_rate, self.response_wire_bytes * 8 / self.setting.rate_bps)

    @property
    def theory_s(self) -> float:
        """Return the theoretical mean response time in s: the textbook's formula, plus the terms that it omits."""
        return sum(self.theory_terms().values()) + sum(self.omitted.values())

    def theory_terms(self) -> dict[str, float]:
        """Return the summands of the textbook's formula: name -> mean over all requests in s."""
        share, queue = 1 - self.setting.hit_rate, self.queue
        return {
            "internet": share * self.setting.rtt_s,
            "queueing": share * queue.wait_s,
            "transmission": share * queue.service_s,
        }

    def terms(self) -> dict[str, float]:
        """Return the summands of the measured mean response time: name -> mean over all requests in s.

        `residual` is the remainder: processing time and the campus network.
        """
        known = {"internet": self.propagation_s, "queueing": self.queueing_s, "transmission": self.transmission_s}
        known |= {"request": self.request_s, "collapsed": self.joined_s}
        if CLOCK_READINGS in (own := uncovered(self.own_ns)):
            known[CLOCK_READINGS] = own[CLOCK_READINGS] / 1e9 / self.requests
        return known | {RESIDUAL: self.delay_s - sum(known.values())}


def case_figures(
    setting: Setting, client: Traffic, near: Traffic, origin: Traffic, began_ns: int, objects: Objects
) -> CaseFigures:
    """Return the measurements of one case (a link, with or without a cache) from the requests since `began_ns`.

    `client`, `near` and `origin` are the requests and responses captured at the client, at the campus end of the link,
    and at the origin. `client` includes the content of responses, which must equal that of `objects`.
    """
    asked = [crossing for crossing in client.crossings if crossing.asked_ns >= began_ns]
    fetched = [crossing for crossing in origin.crossings if crossing.asked_ns >= began_ns]
    delays = [(crossing.last_ns - crossing.asked_ns) / 1e9 for crossing in asked if crossing.end]
    collapsed = set() if near is client else set(_collapsed(asked, near))
    arrived = {crossing.key: crossing for crossing in near.crossings}
    pairs = [(crossing, arrived[crossing.key]) for crossing in fetched if crossing.end and crossing.key in arrived]
    share = len(pairs) / len(asked) if asked else 0.0
    wire = statistics.fmean(one.wire_bytes for one, _ in pairs) if pairs else 0.0
    transmission_s = wire * 8 / setting.rate_bps
    crossing_s = [(there.last_ns - here.first_ns) / 1e9 for here, there in pairs]
    # The fastest response did not queue: its time beyond transmission is propagation. Other responses queue as well.
    one_way_s = min(crossing_s, default=0.0) - transmission_s
    there_s = [(here.asked_ns - there.asked_ns) / 1e9 for here, there in pairs]
    request_s = _mean([transmission_time_s(here.request_bytes, setting.rate_bps) for here, _ in pairs])
    return CaseFigures(
        setting=setting,
        requests=len(asked),
        crossed=len(fetched),
        delay_s=_mean(delays),
        queueing_s=share * (_mean(crossing_s) - one_way_s - transmission_s),
        transmission_s=share * transmission_s,
        propagation_s=share * (one_way_s + _mean(there_s) - request_s),
        response_wire_bytes=wire,
        link_bytes=sum(crossing.wire_bytes for crossing in fetched),
        length_s=(max((crossing.asked_ns for crossing in asked), default=began_ns) - began_ns) / 1e9,
        frames=tuple(crossing.frame for crossing in fetched[:3]),
        problem=_problem(asked, fetched, len(delays), len(pairs), client, near, origin),
        wrong=bulk_difference([client], objects),
        joined_s=sum(asked[place].last_ns - asked[place].asked_ns for place in collapsed) / max(len(asked), 1) / 1e9,
        request_s=share * request_s,
        forwarded=tuple(_forwarded(asked, near)) if near is not client else (True,) * len(asked),
        own_ns=tuple(_own_ns(asked, near, pairs, collapsed)),
    )


def _own_ns(
    asked: Sequence[BulkExchange],
    near: Traffic,
    pairs: Sequence[tuple[BulkExchange, BulkExchange]],
    collapsed: Collection[int],
) -> Iterator[int]:
    """Yield the response time minus the time on the link, in ns, of each answered request that is not collapsed.

    `pairs` has for each response on the link two captures: at the origin and at the campus end. `collapsed` has the
    indexes of collapsed requests.
    """
    on_link_ns = {there.key: there.last_ns - here.first_ns + here.asked_ns - there.asked_ns for here, there in pairs}
    for place, (one, crossing) in enumerate(zip(asked, _crossings(asked, near), strict=True)):
        if one.end and place not in collapsed:
            link_ns = 0 if crossing is None else on_link_ns.get(crossing.key, 0)
            yield one.last_ns - one.asked_ns - link_ns


def _crossings(asked: Sequence[BulkExchange], near: Traffic) -> Iterator[BulkExchange | None]:
    """Yield, for each client request, the request on the access link that it caused; None for a cache hit."""
    begun: dict[bytes, list[BulkExchange]] = {}
    for one in near.crossings:
        begun.setdefault(one.path, []).append(one)
    for one in asked:
        mine = next((each for each in begun.get(one.path, ()) if one.asked_ns <= each.asked_ns < one.last_ns), None)
        if mine is not None:
            begun[one.path].remove(mine)
        yield mine


def _forwarded(asked: Sequence[BulkExchange], near: Traffic) -> Iterator[bool]:
    """Yield, for each client request, True if the proxy requested the object from the origin before its response."""
    return (crossing is not None for crossing in _crossings(asked, near))


def _collapsed(asked: Sequence[BulkExchange], near: Traffic) -> Iterator[int]:
    """Yield the index of each answered request that arrived while the cache was already fetching the object."""
    on_the_way: dict[bytes, list[BulkExchange]] = {}
    for one in near.crossings:
        on_the_way.setdefault(one.path, []).append(one)
    for place, one in enumerate(asked):
        fetches = (each for each in on_the_way.get(one.path, ()) if each.asked_ns < one.asked_ns < each.last_ns)
        if one.end and next(fetches, None) is not None:
            yield place


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def _problem(
    asked: Sequence[BulkExchange], fetched: Sequence[BulkExchange], answered: int, paired: int, *traffic: Traffic
) -> str | None:
    repeated = sum(one.repeated for one in traffic)
    unseen = sum(one.content is None for one in asked if one.end)
    if not asked or not fetched:
        return "the capture has no requests"
    if answered < len(asked):
        return f"{len(asked) - answered} of {len(asked)} requests have no response"
    if unseen:
        return f"{unseen} of {len(asked)} responses were captured incompletely"
    if paired < len(fetched):
        return f"{len(fetched) - paired} responses of the origin are missing in the capture at the link's other end"
    # Permit one retransmission per hundred requests, since so few change no mean by a tenth and may be spurious.
    if repeated > max(FEW_REPEATED, len(asked) / 100):
        return f"{repeated} segments were retransmitted, which the formula does not include"
    return None


@decides("W1")
def decide_response_time_under_load(claim: str, without: CaseFigures, cached: CaseFigures) -> Verdict:
    """Decide claim W1: the mean response time is shorter with a cache than without."""
    if wrong := without.wrong or cached.wrong:
        return failed(claim, wrong)
    if problem := without.problem or cached.problem:
        return undecided(claim, f"Not decidable: {problem}.")
    said = (
        f"mean response time {without.delay_s * 1e3:.1f} ms without and {cached.delay_s * 1e3:.1f} ms with the cache "
        f"(theory: {without.theory_s * 1e3:.1f} and {cached.theory_s * 1e3:.1f} ms), {without.requests} requests each"
    )
    decide = shown if cached.delay_s < without.delay_s and _near(cached) and _near(without) else failed
    return decide(claim, f"The {said}.", (*without.frames, *cached.frames))


@decides("W2")
def decide_link_use_under_load(claim: str, without: CaseFigures, cached: CaseFigures) -> Verdict:
    """Decide claim W2: a cache reduces the octets on the access link, in proportion to its hit rate."""
    if wrong := without.wrong or cached.wrong:
        return failed(claim, wrong)
    if problem := without.problem or cached.problem:
        return undecided(claim, f"Not decidable: {problem}.")
    kept = cached.link_bytes / without.link_bytes
    said = (
        f"Responses took {without.link_bytes:,} octets of the access link without and {cached.link_bytes:,} "
        f"with the cache: {kept:.1%}, whereas a hit rate of {cached.hit_rate:.1%} leaves "
        f"{1 - cached.hit_rate:.1%}"
    )
    decide = shown if kept < 1 and abs(kept / (1 - cached.hit_rate) - 1) <= WITHIN else failed
    return decide(claim, f"{said}.", (*without.frames, *cached.frames))


@decides("W8")
def decide_queueing_theory(claim: str, cases: Mapping[str, CaseFigures]) -> Verdict:
    """Decide claim W8: in every case, utilisation and mean response time agree with queueing theory.

    A case is a link rate, with or without a cache.
    """
    for name, one in cases.items():
        if one.wrong:
            return failed(claim, f"{name}: {one.wrong}")
        if one.problem:
            return undecided(claim, f"Not decidable for {name}: {one.problem}.")
    said = "; ".join(
        f"{name}: utilisation {one.utilisation:.3f} (theory {one.queue.utilisation:.3f}), mean delay "
        f"{one.delay_s * 1e3:.1f} ms (theory {one.theory_s * 1e3:.1f} ms), hit rate {one.hit_rate:.3f}"
        for name, one in cases.items()
    )
    good = all(_near(one) and abs(one.utilisation / one.queue.utilisation - 1) <= WITHIN for one in cases.values())
    frames = [frame for one in cases.values() for frame in one.frames]
    return (shown if good else failed)(claim, f"{said[0].upper()}{said[1:]}.", frames)


def _near(one: CaseFigures) -> bool:
    return abs(one.delay_s / one.theory_s - 1) <= one.tolerance
