"""Traffic on network paths over time, computed from an experiment's capture: throughput, packets in queues, losses.

A path leads from one captured host to another. A packet is counted in the queues of its path from its departure until
its arrival time minus the path's propagation delay; packets in transmission are therefore included. If the propagation
delay is unknown, the number of packets in queues is unknown, too.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.results.network import Direction, NetworkDescription
from lab7.experiments.ladder.journeys import Journeys, host_of

# Number of intervals into which the time of a capture is divided.
INTERVALS = 240


@dataclass(frozen=True)
class Traffic:
    """Traffic on a path between two hosts: name, octets, throughput and largest queue by interval, times of losses.

    `start_s`: start of each interval, in s since the first frame. `queue_packets`: None if the path's delays are
    unknown. `rate_bps`: the lowest rate of the path's links in bit/s, None if unlimited or unknown.
    """

    name: str
    octets: int
    start_s: Sequence[float]
    throughput_bps: Sequence[float]
    queue_packets: Sequence[int] | None
    lost_s: Sequence[float]
    rate_bps: float | None


def traffic_of(captured: CaptureFile, network: NetworkDescription) -> list[Traffic]:
    """Return a Traffic for each path between captured hosts, starting with the path that carried most octets."""
    if not captured.frames:
        return []
    journeys = Journeys(captured)
    paths: dict[tuple[str, str], list[tuple[int, int | None, int]]] = defaultdict(list)
    for frame in captured.frames:
        journey = journeys.of(frame.number)
        if journey.sent.number != frame.number:
            continue
        if journey.lost and (ends := journeys.ends(frame.number)) is not None:
            paths[host_of(frame.interface), journeys.host(ends[1])].append((frame.time_ns, None, frame.wire_length))
        elif journey.received is not None and host_of(journey.received.interface) != host_of(frame.interface):
            way = host_of(frame.interface), host_of(journey.received.interface)
            paths[way].append((frame.time_ns, journey.received.time_ns, frame.wire_length))
    first_ns, last_ns = (choose(frame.time_ns for frame in captured.frames) for choose in (min, max))
    width_ns = max((last_ns - first_ns) // INTERVALS + 1, 1)
    found = [_traffic(way, packets, network, first_ns, width_ns) for way, packets in paths.items()]
    return sorted(found, key=lambda one: -one.octets)


def _traffic(
    way: tuple[str, str],
    packets: Sequence[tuple[int, int | None, int]],
    network: NetworkDescription,
    first_ns: int,
    width_ns: int,
) -> Traffic:
    octets = [0] * INTERVALS
    for _, received_ns, length in packets:
        if received_ns is not None:
            octets[min((received_ns - first_ns) // width_ns, INTERVALS - 1)] += length
    links = path_between(network, *way)
    delay_ns = None if links is None else round(sum(link.delay_s for link in links) * 1e9)
    rates = [link.rate_bps for link in links or () if link.rate_bps is not None]
    return Traffic(
        f"{way[0]} to {way[1]}",
        sum(octets),
        [place * width_ns / 1e9 for place in range(INTERVALS)],
        [8e9 * count / width_ns for count in octets],
        None if delay_ns is None else _queue(packets, delay_ns, first_ns, width_ns),
        [(sent_ns - first_ns) / 1e9 for sent_ns, received_ns, _ in packets if received_ns is None],
        min(rates, default=None),
    )


def _queue(
    packets: Sequence[tuple[int, int | None, int]], delay_ns: int, first_ns: int, width_ns: int
) -> Sequence[int]:
    """Return the largest number of packets in a path's queues for each interval; lost packets are not counted."""
    changes: list[tuple[int, int]] = []
    for sent_ns, received_ns, _ in packets:
        if received_ns is not None:
            changes += [(sent_ns, 1), (max(received_ns - delay_ns, sent_ns), -1)]
    largest, length, place = [0] * INTERVALS, 0, 0
    # At equal times, count a departure (-1) before an arrival (+1).
    for time_ns, change in sorted(changes):
        here = min((time_ns - first_ns) // width_ns, INTERVALS - 1)
        for between in range(place, here + 1):
            largest[between] = max(largest[between], length)
        place, length = here, length + change
        largest[here] = max(largest[here], length)
    return largest


def path_between(network: NetworkDescription, source: str, target: str) -> list[Direction] | None:
    """Return the links (as directions) on the path with the fewest links; None if there is no path."""
    ways: Mapping[str, list[tuple[str, Direction]]] = defaultdict(list)
    for link in network.links:
        ways[link.first].append((link.second, link.there))
        ways[link.second].append((link.first, link.back))
    found: dict[str, list[Direction]] = {source: []}
    waiting = deque([source])
    while waiting:
        node = waiting.popleft()
        for other, direction in ways[node]:
            if other not in found:
                found[other] = [*found[node], direction]
                waiting.append(other)
    return found.get(target)
