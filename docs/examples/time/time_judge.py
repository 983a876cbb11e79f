"""Judge of the Time protocol (RFC 868), from packets. It uses scapy and the RFC, and nothing of the server.

Each function takes the frames that the client's interface saw, and gives a verdict with the frames that decided it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scapy.layers.inet import IP, UDP

from lab7.experiments.harness import Connection, Frame, Verdict, connections, failed, shown, undecided

PORT = 37
SECONDS_1900_TO_1970 = 2_208_988_800
# The number is in whole seconds, and is as old as the way back when it arrives.
LATE_S = 2.0
UDP_HEADER_OCTETS = 8


@dataclass(frozen=True)
class Asked:
    """A datagram to the server and the one that came back, if any."""

    question: Frame
    answer: Frame | None = None

    @property
    def duration_s(self) -> float:
        """How long the client waited."""
        return (self.answer.time_ns - self.question.time_ns) / 1e9 if self.answer else 0.0


def by_udp(frames: Sequence[Frame]) -> list[Asked]:
    """Every datagram to port 37, with the answer to the port that it came from."""
    found: dict[tuple[str, int], Asked] = {}
    for frame in frames:
        if UDP not in frame.packet:
            continue
        network, udp = frame.packet[IP], frame.packet[UDP]
        if udp.dport == PORT:
            found.setdefault((network.src, udp.sport), Asked(frame))
        elif udp.sport == PORT and (network.dst, udp.dport) in found:
            key = (network.dst, udp.dport)
            found[key] = Asked(found[key].question, found[key].answer or frame)
    return list(found.values())


def by_tcp(frames: Sequence[Frame]) -> list[Connection]:
    """Every connection to port 37."""
    return [one for one in connections(frames) if one.server.port == PORT]


def t1(frames: Sequence[Frame]) -> Verdict:
    """By UDP an empty datagram is answered by one with the seconds since 1900 in four octets."""
    asked = by_udp(frames)
    if not asked:
        return undecided("T1", "Nobody asked by UDP.")
    for one in asked:
        numbers = [frame.number for frame in (one.question, one.answer) if frame]
        if octets := _payload(one.question):
            return undecided("T1", f"The question has {len(octets)} octets; RFC 868 asks for none.", numbers)
        if one.answer is None:
            return failed("T1", "A question got no answer.", numbers)
        if wrong := _wrong(_payload(one.answer), one.answer.time_ns):
            return failed("T1", f"The answer {wrong}.", numbers)
    last = asked[-1]
    assert last.answer is not None
    value = int.from_bytes(_payload(last.answer), "big")
    return shown(
        "T1",
        f"{len(asked)} empty datagrams, each answered by the right time in 4 octets; the last says {value:,}.",
        (last.question.number, last.answer.number),
    )


def t2(frames: Sequence[Frame]) -> Verdict:
    """By TCP the client says nothing: the server sends the four octets as soon as it is connected, and closes."""
    found = by_tcp(frames)
    if not found:
        return undecided("T2", "Nobody asked by TCP.")
    for one in found:
        said = one.from_client.stream.data
        if said:
            return failed("T2", f"The client said {len(said)} octets.", [one.syn.frame])
        if not one.from_server.segments:
            return failed("T2", "The server said nothing.", [one.syn.frame])
        if wrong := _wrong(one.from_server.stream.data, one.from_server.segments[0].time_ns):
            return failed("T2", f"The answer {wrong}.", [one.from_server.segments[0].frame])
        mine, theirs = one.from_client.fin, one.from_server.fin
        if theirs is None or (mine is not None and mine.frame < theirs.frame):
            return failed("T2", "The server did not close first.", [one.syn.frame])
    last = found[-1]
    assert last.from_server.fin is not None
    return shown(
        "T2",
        f"{len(found)} connections without an octet from the client: the server sends the right time and a FIN.",
        (last.syn.frame, last.from_server.segments[0].frame, last.from_server.fin.frame),
    )


def _payload(frame: Frame) -> bytes:
    """What a datagram carries; by its own length, because short frames are padded on an Ethernet."""
    udp = frame.packet[UDP]
    return bytes(udp.payload)[: udp.len - UDP_HEADER_OCTETS]


def _wrong(octets: bytes, time_ns: int) -> str:
    """What is wrong with a time that was seen at `time_ns`; empty if nothing is."""
    if len(octets) != 4:
        return f"has {len(octets)} octets, not 4"
    late_s = time_ns / 1e9 - (int.from_bytes(octets, "big") - SECONDS_1900_TO_1970)
    return "" if 0 <= late_s <= LATE_S else f"is {late_s:.1f} s late"
