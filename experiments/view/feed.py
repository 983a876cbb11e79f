"""Event feed of a running network: packets as they enter links, rate and queue of links, and changes.

A change, such as a link that goes down or a killed service, is reported by the network's control server. The feed reads
packet sockets at both ends of every link. The control server opens these sockets; reading and decoding happen in this
process. Frames are counted where they enter a link (outgoing frames of its end). The kernel drops frames that are not
read in time, so that the memory of both processes is bounded; the drops are reported.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab7.experiments.view.load import Load
from lab7.experiments.view.summary import summarise
from lab7.topologies.emulation.control.channel import Channel, ClosedError, close_all
from lab7.topologies.emulation.control.client import ask, connected, open_taps, receive_reply, send_request
from lab7.topologies.emulation.control.packet_socket import PACKET_OUTGOING, PACKET_STATISTICS, SOL_PACKET, received
from lab7.topologies.emulation.shape import Shape

SAMPLE_S = 1.0
# Pause in s between two rounds of reading, so that packets are read in batches.
PAUSE_S = 0.02
BURST = 512
SNAP_BYTES = 2048
NS = 1_000_000_000
# Number of file descriptors needed in addition to the packet sockets.
SPARE_DESCRIPTORS = 128
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Classic BPF (linux/filter.h): load the type of the packet (SKF_AD_OFF + SKF_AD_PKTTYPE), return all of it or nothing.
_OUTGOING_ONLY = (
    (0x30, 0, 0, 0xFFFFF000 + 4),
    (0x15, 0, 1, PACKET_OUTGOING),
    (0x06, 0, 0, 0x40000),
    (0x06, 0, 0, 0),
)


@dataclass
class _Direction:
    """One direction of a link, with the packet socket that receives the frames as they enter the link."""

    link: str
    source: str
    target: str
    from_host: bool
    tap: socket.socket
    load: Load
    was_busy: bool = False


def _shape(fields: dict[str, Any] | None) -> Shape:
    return Shape(**fields) if fields is not None else Shape()


def _outgoing_only(tap: socket.socket) -> None:
    """Attach a filter to a packet socket, so that the kernel delivers outgoing frames only."""
    program = b"".join(struct.pack("=HBBI", *line) for line in _OUTGOING_ONLY)
    buffer = ctypes.create_string_buffer(program, len(program))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))


class Feed:
    """Live events of a network (packets, loads of its links, changes), a context manager; events() yields them.

    `described`: description of the network at the start, as its control server sends it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.described = ask(name, "info")
        self._directions: list[_Direction] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Feed:
        self._channel = self._stack.enter_context(connected(self.name))
        send_request(self._channel, "subscribe")
        receive_reply(self._channel)
        links = self.described["links"]
        ends = [interface for link in links for interface in link["interfaces"]]
        _allow_descriptors(len(ends) + SPARE_DESCRIPTORS)
        taps = open_taps(self.name, ends)
        for tap in taps:
            self._stack.enter_context(tap)
            _outgoing_only(tap)
        hosts = {host["name"] for host in self.described["hosts"]}
        for place, tap in enumerate(taps):
            link, way = links[place // 2], place % 2
            shape = _shape(link["shapes"][way])
            source, target = link["nodes"][way], link["nodes"][1 - way]
            load = Load(shape.rate_bps, shape.queue_frames)
            name = link_name(link)
            self._directions.append(_Direction(name, source, target, source in hosts, tap, load))
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events until the network is down; the last event is `down`."""
        poll = select.epoll()
        by_descriptor = {direction.tap.fileno(): direction for direction in self._directions}
        with poll:
            for descriptor in (*by_descriptor, self._channel.fileno()):
                poll.register(descriptor, select.EPOLLIN)
            sample_s = time.monotonic() + SAMPLE_S
            while True:
                ready = poll.poll(max(0.0, sample_s - time.monotonic()))
                yield from self._packets([by_descriptor[one] for one, _ in ready if one in by_descriptor])
                if any(one == self._channel.fileno() for one, _ in ready):
                    notice = _notice(self._channel)
                    self._follow(notice)
                    yield notice
                    if notice["event"] == "down":
                        return
                if time.monotonic() >= sample_s:
                    sample_s = time.monotonic() + SAMPLE_S
                    yield from self._sample()
                elif ready:
                    time.sleep(PAUSE_S)

    def _packets(self, directions: Sequence[_Direction]) -> Iterator[dict[str, Any]]:
        found = [
            (time_ns, place, frame, length)
            for place, direction in enumerate(directions)
            for time_ns, frame, length, _ in received(direction.tap, BURST, SNAP_BYTES)
        ]
        for time_ns, place, frame, length in sorted(found, key=lambda one: one[0]):
            direction = directions[place]
            direction.load.add(time_ns, length)
            summary = summarise(frame)
            yield {
                "event": "packet",
                "time": time_ns / NS,
                "link": direction.link,
                "from": direction.source,
                "to": direction.target,
                # True at the link of the sending host, False where a switch forwards the packet.
                "first": direction.from_host,
                "bytes": length,
                "source": summary.source,
                "target": summary.target,
                "protocol": summary.protocol,
                "summary": summary.text,
            }

    def _sample(self) -> Iterator[dict[str, Any]]:
        """Yield an event with the load of the busy links, and an event with the number of packets not read in time.

        A link that has just become idle is included once more.
        """
        rows, dropped = [], 0
        for direction in self._directions:
            bits, packets, queue = direction.load.take(time.time_ns())
            if packets or queue or direction.was_busy:
                rows.append(
                    {
                        "link": direction.link,
                        "from": direction.source,
                        "bits_per_s": bits / SAMPLE_S,
                        "packets_per_s": packets / SAMPLE_S,
                        "queue": queue,
                    }
                )
            direction.was_busy = bool(packets or queue)
            if packets:
                dropped += struct.unpack("@II", direction.tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        if rows:
            yield {"event": "sample", "time": time.time(), "links": rows}
        if dropped:
            yield {"event": "dropped", "time": time.time(), "packets": dropped}

    def _follow(self, notice: dict[str, Any]) -> None:
        """Update the load model of a link if an event reports a change of the link's rate or queue."""
        if notice["event"] == "link":
            some = [direction for direction in self._directions if direction.link == notice["link"]]
            for direction, fields in zip(some, notice["shapes"], strict=False):
                shape = _shape(fields)
                direction.load.set_rate(shape.rate_bps, shape.queue_frames)


def _notice(channel: Channel) -> dict[str, Any]:
    """Return the next event from the network's control server; the event `down` if the connection has ended."""
    try:
        notice, descriptors = channel.receive()
        close_all(descriptors)
    except ClosedError:
        return {"event": "down", "time": time.time()}
    return notice


def link_name(link: dict[str, Any]) -> str:
    """Return the name of a link: its two nodes joined by a hyphen."""
    return "-".join(link["nodes"])


def _allow_descriptors(number: int) -> None:
    """Raise the soft limit of open files (RLIMIT_NOFILE) to `number`, or to the hard limit if that is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
