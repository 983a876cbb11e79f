"""Verdicts on course claims C1, C5 and C6: a single origin and a CDN, compared for a growing number of clients.

Each client repeats a cycle: it requests an object, receives the response, and pauses for the think time. The
utilisation of the origin's link is expected to follow `cdn.theory`: it grows in proportion to the number of clients up
to the knee of the curve. Beyond the knee the link is saturated, and each further client delays all clients. Requests
and responses are captured at the users and at the origin.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.cache.claims.versions import Objects, bulk_difference
from lab7.experiments.cache.wire.link_use import LinkUse
from lab7.experiments.harness.judge.decomposition import CLOCK_READINGS, RESIDUAL, uncovered
from lab7.experiments.harness.judge.verdict import Verdict, counted, decides, failed, shown, undecided
from lab7.experiments.harness.theory.tcp import transmission_time_s
from lab7.experiments.http.wire.bulk import BulkExchange, Traffic

# Permitted relative deviation from theory of the link utilisation and, in real time, of response times.
WITHIN = 0.15
# Minimum utilisation of a saturated link, and minimum offered load for saturation, both relative to the link's rate.
FULL, BEYOND = 0.9, 1.2


@dataclass(frozen=True)
class Point:
    """Measurements for one number of clients: mean response time and its terms in s, octets on the origin's link.

    - `theory_s`, `tolerance`: theoretical response time, and the permitted relative deviation from it
    - `theory_utilisation`: utilisation of the link by the closed form
    - `needs`: offered load: the share of the link that all clients would use if no request queued
    - `problem`: reason why the measurements are no evidence, or None
    - `wrong`: description of a response that differs from the origin's object, or None
    """

    clients: int
    responses: int
    response_s: float
    terms: Mapping[str, float]
    utilisation: float
    link: LinkUse
    theory_s: float
    theory_utilisation: float
    needs: float
    frames: tuple[int, ...]
    problem: str | None = None
    wrong: str | None = None
    tolerance: float = WITHIN

    @property
    def who(self) -> str:
        """Return the number of clients as text, such as `1 client`."""
        return counted(self.clients, "client")


@dataclass(frozen=True)
class Responses:
    """Responses to all users within a time span: mean response time and its terms in s.

    The terms of the origin's link count only for responses that crossed it. `request_bytes` and `response_bytes` are
    the sizes of the largest request and response, or 0.
    """

    count: int
    response_s: float
    terms: Mapping[str, float]
    link_bytes: int
    frames: tuple[int, ...]
    problem: str | None
    wrong: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0


def responses(
    users: Iterable[Traffic], origin: Traffic, span: tuple[int, int], rate_bps: float, objects: Objects
) -> Responses:
    """Return mean response time and terms for requests sent within the time span, captured at users and origin.

    Requests meet no queue on their way. The time of a response beyond propagation and transmission is therefore its
    wait in the link's queue. A response that differs from `objects` sets `wrong`.
    """
    users = list(users)
    mine = [crossing for traffic in users for crossing in traffic.crossings if span[0] <= crossing.asked_ns < span[1]]
    done = [crossing for crossing in mine if crossing.end]
    sent = {crossing.key: crossing for crossing in origin.crossings if crossing.end}
    pairs = [(crossing, sent[crossing.key]) for crossing in done if crossing.key in sent]
    response_s = statistics.fmean((crossing.last_ns - crossing.asked_ns) / 1e9 for crossing in done) if done else 0.0
    one_way_s = _mean((there.asked_ns - here.asked_ns) / 1e9 for here, there in pairs)
    back_s = _mean((here.last_ns - there.first_ns) / 1e9 for here, there in pairs)
    transmission_s = _mean(there.wire_bytes * 8 / rate_bps for _, there in pairs)
    request_s = _mean(transmission_time_s(here.request_bytes, rate_bps) for here, _ in pairs)
    one_way_s -= request_s
    share = len(pairs) / len(done) if done else 0.0
    terms = {
        "internet": share * 2 * one_way_s,
        "request": share * request_s,
        "queueing": share * (back_s - one_way_s - transmission_s),
        "transmission": share * transmission_s,
    }
    own = uncovered(there.first_ns - there.asked_ns for _, there in pairs)
    if CLOCK_READINGS in own and done:
        terms[CLOCK_READINGS] = own[CLOCK_READINGS] / 1e9 / len(done)
    return Responses(
        count=len(done),
        response_s=response_s,
        terms=terms | {RESIDUAL: response_s - sum(terms.values())},
        link_bytes=sum(crossing.wire_bytes for crossing in origin.crossings if span[0] <= crossing.asked_ns < span[1]),
        frames=tuple(crossing.frame for crossing in mine[:2]),
        problem=_problem(mine, done, [*users, origin]),
        wrong=bulk_difference(users, objects),
        request_bytes=max((crossing.request_bytes for crossing in done), default=0),
        response_bytes=max((crossing.octets for crossing in done), default=0),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else 0.0


def _problem(asked: Sequence[BulkExchange], done: Sequence[BulkExchange], traffics: Sequence[Traffic]) -> str | None:
    if not done:
        return "the capture has no responses"
    if len(done) < len(asked):
        return f"{len(asked) - len(done)} of {len(asked)} requests have no response"
    unseen = sum(one.content is None for one in done)
    if unseen:
        return f"{unseen} of {len(asked)} responses were captured incompletely"
    repeated = sum(traffic.repeated for traffic in traffics)
    # Permit one retransmission per hundred requests, since so few change no mean by a tenth.
    if repeated > len(asked) / 100:
        return f"{repeated} segments were retransmitted, which the formula does not include"
    return None


@decides("C1")
def decide_origin_saturation(claim: str, alone: Sequence[Point]) -> Verdict:
    """Decide claim C1: with more clients, the utilisation of a single origin's link grows until the link is saturated.

    Beyond saturation the response time must grow. Undecided unless the numbers of clients range from well below the
    knee of the utilisation curve to well beyond it.
    """
    unfit = _unfit(claim, alone)
    if unfit is not None:
        return unfit
    first, last = alone[0], alone[-1]
    figures = "; ".join(
        f"{point.who}: link utilisation {point.utilisation:.0%} (theory {point.theory_utilisation:.0%}), "
        f"{point.response_s * 1000.0:.0f} ms (theory {point.theory_s * 1000.0:.0f} ms)"
        for point in alone
    )
    if first.needs > 1 / BEYOND or last.needs < BEYOND:
        return undecided(claim, f"The knee of the curve is not within the sweep: {figures}.")
    off = [
        point.clients
        for point in alone
        if abs(point.utilisation / point.theory_utilisation - 1) > WITHIN
        or abs(point.response_s / point.theory_s - 1) > point.tolerance
    ]
    frames = [frame for point in alone for frame in point.frames]
    if off or last.utilisation < FULL or last.response_s <= first.response_s:
        return failed(claim, f"{figures}{f'; not as theory says for {off}' if off else ''}.", frames)
    return shown(
        claim,
        f"{figures}: the response time of {first.who} for {last.who} would need a link {last.needs:.1f} times as fast.",
        frames,
    )


@decides("C5")
def decide_response_time_under_load(claim: str, alone: Sequence[Point], through: Sequence[Point]) -> Verdict:
    """Decide claim C5: for each number of clients, the mean response time is shorter through the CDN."""
    unfit = _unfit(claim, [*alone, *through]) or _unlike(claim, alone, through)
    if unfit is not None:
        return unfit
    pairs = list(zip(alone, through, strict=True))
    figures = "; ".join(
        f"{one.who}: {one.response_s * 1e3:.1f} ms from the origin, {other.response_s * 1e3:.1f} ms from replicas"
        for one, other in pairs
    )
    frames = [frame for point in (*alone, *through) for frame in point.frames]
    decide = shown if all(other.response_s < one.response_s for one, other in pairs) else failed
    return decide(claim, f"Mean response time of {figures}.", frames)


@decides("C6")
def decide_link_use_under_load(claim: str, alone: Sequence[Point], through: Sequence[Point]) -> Verdict:
    """Decide claim C6: for each number of clients, the CDN reduces the octets per response on the origin's link."""
    unfit = _unfit(claim, [*alone, *through]) or _unlike(claim, alone, through)
    if unfit is not None:
        return unfit
    dropped = sum(one.link.dropped for one in (*alone, *through))
    if dropped:
        return undecided(claim, f"Not decidable: the captures at the origin's link dropped {dropped} packets.")
    pairs = list(zip(alone, through, strict=True))
    figures = "; ".join(
        f"{one.who}: {one.link.octets / one.responses:.0f} octets for each of {one.responses} responses "
        f"without the CDN and {other.link.octets / other.responses:.0f} for each of {other.responses} with it"
        for one, other in pairs
    )
    good = all(other.link.octets / other.responses < one.link.octets / one.responses for one, other in pairs)
    frames = [frame for point in (*alone, *through) for frame in point.frames]
    return (shown if good else failed)(claim, f"On the origin's link, {figures}.", frames)


def _unfit(claim_id: str, points: Sequence[Point]) -> Verdict | None:
    if not points:
        return undecided(claim_id, "The capture has no requests.")
    wrong = next((point for point in points if point.wrong), None)
    if wrong is not None:
        return failed(claim_id, f"{wrong.who}: {wrong.wrong}")
    bad = next((point for point in points if point.problem), None)
    if bad is None:
        return None
    return undecided(claim_id, f"Not decidable for {bad.who}: {bad.problem}.")


def _unlike(claim_id: str, alone: Sequence[Point], through: Sequence[Point]) -> Verdict | None:
    if [point.clients for point in alone] == [point.clients for point in through]:
        return None
    return undecided(claim_id, "The two sweeps have different numbers of clients.")
