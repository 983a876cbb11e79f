"""Processing intervals ("turns") of hosts in a capture: from a packet's arrival at a host to the host's next packet.

    request in ──┐ turn ┌── first segment of the response out

A turn starts with the latest frame that arrives for a program of the host (payload, a datagram, FIN, RST, SYN-ACK), and
ends with the next frame that a program of the host sends (payload, a datagram, FIN, SYN). If the host sends more before
the next arrival, the next turn starts at once, for example if a server answers several requests one by one. Frames of
TCP itself (acknowledgements, a server's SYN-ACK) neither start nor end a turn. Segments that the congestion window held
back count like others, although no program acts in their turn. If further octets arrive while programs still process
the first octets, the turn found is shorter than the real one.

A host that is silent for longer than TURN_MAX_NS waits for a timer of its own. Its programs then work twice: before
they set the timer, and after it has fired. Each time counts as a turn of the length TIMER_NS:

    RST in ──┐ turn ┌ ... a retry interval ... ┐ turn ┌── SYN out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.fidelity.disturbance import DISTURBED_SHARE
from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import CaptureFile, Frame, network_layer, payload_bytes
from lab7.experiments.harness.pathmodel.network import addresses

# Maximum length of a processing interval in ns: after a longer delay a host acts on a timer, not on an arrival.
TURN_MAX_NS = 1_000_000_000
# TIMER_NS is the length of the intervals before and after a timer, in which delays by the machine count.
TIMER_NS = round(DISTURBED_SHARE * TURN_MAX_NS)
Turn = tuple[int, int]


def turns_of(captured: CaptureFile, topo: Topo) -> dict[str, list[Turn]]:
    """Return host -> its processing intervals (start, end) in ns, in order.

    The hosts are those captured at an interface labelled HOST:INTERFACE.
    """
    hosts = addresses(topo)
    found: dict[str, list[Turn]] = {}
    for label in captured.counts:
        host = label.split(":")[0]
        # Collect the intervals at all interfaces of a host; interfaces of a router may show the same arrival twice.
        found.setdefault(host, []).extend(_turns(captured.at(label), host, hosts))
    return {host: sorted(turns) for host, turns in found.items()}


def _turns(frames: Iterable[Frame], host: str, hosts: Mapping[str, str]) -> list[Turn]:
    turns: list[Turn] = []
    since_ns: int | None = None
    for frame in frames:
        packet = frame.packet
        network = network_layer(packet)
        if network is None:
            continue
        ours = hosts.get(network.src) == host
        if not _involves_programs(packet, ours):
            continue
        if not ours:
            since_ns = frame.time_ns
        elif since_ns is not None:
            turns += _between(since_ns, frame.time_ns)
            since_ns = frame.time_ns
    return turns


def _between(since_ns: int, sent_ns: int) -> list[Turn]:
    """Return the processing intervals of a host between two times in ns, an arrival and the host's next transmission.

    It is the whole time span. A span longer than TURN_MAX_NS has one interval at each end, since its middle is the wait
    for a timer.
    """
    if sent_ns - since_ns <= TURN_MAX_NS:
        return [(since_ns, sent_ns)]
    return [(since_ns, since_ns + TIMER_NS), (sent_ns - TIMER_NS, sent_ns)]


def _involves_programs(packet: Any, ours: bool) -> bool:
    """Return True if a program, not the kernel's TCP, is the sender (`ours`) or the receiver of a frame."""
    if layers.UDP in packet:
        return True
    if layers.TCP not in packet:
        return False
    tcp = packet[layers.TCP]
    if tcp.flags.S:
        # Count a client's SYN when sent and the SYN-ACK when received: the server's kernel answers the SYN itself.
        return bool(tcp.flags.A) != ours
    # Count only a received RST: the program gets an error (RFC 9293 section 3.10.7.3), while the kernel sends a RST.
    return payload_bytes(tcp) > 0 or bool(tcp.flags.F) or (bool(tcp.flags.R) and not ours)
