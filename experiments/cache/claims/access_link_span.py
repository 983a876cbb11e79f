"""Verdict on course claim W8 for a long run: the queueing delay of every response agrees with Lindley's recursion.

The queueing delay W of a response is its response time minus that of a request which finds an idle link:

    client   ──GET──────────────────────────────────┐                          request
    link            RTT, request's frame, wait W, transmission S of the response
    client   <──last segment────────────────────────┘                          last

Each response time is compared with the value that Lindley's recursion gives for the known arrival times. The mean
queueing delay is compared with the Pollaczek-Khinchine formula by a confidence interval. A server's TCP may acknowledge
a request at once, as it does on a new connection. This acknowledgement then passes the queue ahead of the response. It
is visible in the capture, and the recursion adds its transmission time to the service time of the request.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.cache.claims.access_link import WITHIN, Setting
from lab7.experiments.cache.claims.versions import Objects, bulk_difference
from lab7.experiments.harness.judge.verdict import Verdict, decides, failed, shown, undecided
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.harness.theory.queueing import LEVEL, Queue, WaitInterval, waits_s
from lab7.experiments.harness.theory.tcp import transmission_time_s
from lab7.experiments.http.wire.bulk import Traffic

# Permitted delay between a request and its scheduled time, as a share of a response's transmission time.
LATE = 0.01


@dataclass(frozen=True)
class SpanFigures:
    """Measured and expected response times of a long sequence of requests.

    The tuples have one element per request, in order of arrival. All times are in s; values that are not tuples are
    means.

    - `delays`: response times
    - `acknowledgements`: transmission times of acknowledgements sent ahead of the responses
    - `waits`: queueing delays: response time, less acknowledgement, less the shortest such value
    - `expected_waits`: queueing delays by Lindley's recursion
    - `problem`: reason why the measurements are no evidence, or None
    - `wrong`: description of a response that differs from the origin's object, or None
    """

    setting: Setting
    span_s: float
    delays: tuple[float, ...]
    waits: tuple[float, ...]
    acknowledgements: tuple[float, ...]
    expected_waits: tuple[float, ...]
    propagation_s: float
    service_s: float
    request_s: float
    link_bytes: int
    frames: tuple[int, ...]
    problem: str | None = None
    wrong: str | None = None

    @property
    def queue(self) -> Queue:
        """Return the M/D/1 model of the link: Poisson arrivals, constant service time."""
        return Queue(self.setting.arrival_rate, self.service_s)

    @property
    def utilisation(self) -> float:
        """Return the utilisation: the share of the link's capacity that responses used."""
        return self.link_bytes * 8 / (self.setting.rate_bps * self.span_s)

    @property
    def expected_s(self) -> list[float]:
        """Return the expected response time of each request in s, computed with Lindley's recursion."""
        constant_s = self.setting.rtt_s + self.request_s + self.service_s
        pairs = zip(self.expected_waits, self.acknowledgements, strict=True)
        return [constant_s + wait_s + acknowledgement_s for wait_s, acknowledgement_s in pairs]

    @property
    def worst(self) -> float:
        """Return the largest relative deviation of a measured response time from its expected value."""
        pairs = zip(self.delays, self.expected_s, strict=True)
        return max(abs(delay_s / expected_s - 1) for delay_s, expected_s in pairs)

    @property
    def mean(self) -> Timing:
        """Return the mean response time of all requests, divided into terms."""
        terms = {
            "internet": self.propagation_s,
            "queueing": statistics.fmean(self.waits),
            "transmission": self.service_s,
            "request": self.request_s,
            "acknowledgements": statistics.fmean(self.acknowledgements),
        }
        return Timing.with_residual(statistics.fmean(self.delays), terms)


def span_figures(
    setting: Setting, span_s: float, client: Traffic, began_ns: int, arrivals_s: Sequence[float], objects: Objects
) -> SpanFigures:
    """Return the response times of all requests since `began_ns`: measured, and expected by Lindley's recursion.

    `arrivals_s` are the scheduled times of the requests; `objects` are the correct contents.
    """
    asked = [one for one in client.crossings if one.asked_ns >= began_ns]
    whole = len(asked) == len(arrivals_s) and all(one.end for one in asked)
    problem = None
    if not whole:
        answered = sum(bool(one.end) for one in asked)
        problem = f"only {len(asked)} of {len(arrivals_s)} requests were sent and {answered} have a response"
    elif client.repeated:
        problem = (
            f"{client.repeated} segments were retransmitted, which the formula does not include: use a greater rto_min"
        )
    if not whole or not asked:
        return SpanFigures(
            setting, span_s, (), (), (), (), 0.0, 0.0, 0.0, 0, (), problem or ("the capture has no requests")
        )
    late_s = max((one.asked_ns - began_ns) / 1e9 - at_s for one, at_s in zip(asked, arrivals_s, strict=True))
    service_s = statistics.fmean(one.wire_bytes for one in asked) * 8 / setting.rate_bps
    if problem is None and late_s > LATE * service_s:
        problem = f"a request was sent {late_s:.3f} s late, which indicates that a connection had to be opened first"
    request_s = statistics.fmean(transmission_time_s(one.request_bytes, setting.rate_bps) for one in asked)
    delays = tuple((one.last_ns - one.asked_ns) / 1e9 for one in asked)
    acknowledgements = tuple(one.acknowledgement_bytes * 8 / setting.rate_bps for one in asked)
    sent = [delay_s - own_s for delay_s, own_s in zip(delays, acknowledgements, strict=True)]
    # The request with the shortest response time did not queue; a longer response time is the wait in the queue.
    fastest_s = min(sent)
    return SpanFigures(
        setting=setting,
        span_s=span_s,
        delays=delays,
        waits=tuple(delay_s - fastest_s for delay_s in sent),
        acknowledgements=acknowledgements,
        expected_waits=tuple(waits_s(arrivals_s, (service_s + own_s for own_s in acknowledgements))),
        propagation_s=fastest_s - service_s - request_s,
        service_s=service_s,
        request_s=request_s,
        link_bytes=sum(one.wire_bytes for one in asked),
        frames=tuple(one.frame for one in asked[:3]),
        problem=problem,
        wrong=bulk_difference([client], objects),
    )


@decides("W8")
def decide_waits_over_span(
    claim: str, name: str, one: SpanFigures, interval: WaitInterval, tolerance: float
) -> Verdict:
    """Decide claim W8: response times agree with Lindley's recursion, and their mean queueing delay with M/D/1.

    A response time may deviate by the fraction `tolerance`, the utilisation by WITHIN. The confidence `interval` of the
    mean queueing delay must contain the formula's value. If only this last condition is not met, the claim is
    undecided, because the random arrivals are then too unusual.
    """
    if one.wrong:
        return failed(claim, f"{name}: {one.wrong}")
    if one.problem:
        return undecided(claim, f"Not decidable for {name}: {one.problem}.")
    low_s, high_s = interval.around(one.waits)
    said = (
        f"{name}, {len(one.delays)} requests in {one.span_s:g} s: utilisation {one.utilisation:.3f} (theory "
        f"{one.queue.utilisation:.3f}); the time of each request differs by at most {one.worst:.2%} from "
        f"Lindley's recursion ({tolerance:.1%} are allowed); mean wait {statistics.fmean(one.waits):.3f} s; "
        f"its {LEVEL:.0%} confidence interval {low_s:.2f} to {high_s:.2f} s must contain the mean of M/D/1, "
        f"{one.queue.wait_s:.3f} s; longest wait {max(one.waits):.1f} s"
    )
    said = f"{said[0].upper()}{said[1:]}."
    if one.worst > tolerance or abs(one.utilisation / one.queue.utilisation - 1) > WITHIN:
        return failed(claim, said, one.frames)
    if not low_s <= one.queue.wait_s <= high_s:
        return undecided(claim, f"{said} This sample of arrivals is too unusual: use another seed or a longer span.")
    return shown(claim, said, one.frames)
