"""Command `lab7 capture`: live capture, as pcapng, at the interfaces of a host in a running network."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.client import ask, connected, open_taps, receive_reply, send_request
from lab7.topologies.emulation.control.packet_socket import PACKET_STATISTICS, SOL_PACKET, received
from lab7.topologies.emulation.errors import ArgumentError

# Maximum number of packets read from one socket before the next socket is read, so that a busy interface does not delay
# the others.
BURST = 256


@click.command("capture")
@click.argument("name")
@click.argument("host")
@click.option("-w", "--write", "target", type=click.Path(dir_okay=False, path_type=Path), help="write to this file")
@click.option("-i", "--interface", "only", help="only this interface of HOST (default: all of them)")
@click.option("-c", "--count", type=click.IntRange(1), help="end after so many packets (default: at Ctrl-C)")
def capture_command(name: str, host: str, target: Path | None, only: str | None, count: int | None) -> None:
    """Capture the packets of HOST, a host or switch of the network NAME, which is up, until Ctrl-C.

    \b
    lab7 capture internet alice | wireshark -k -i -
    lab7 capture internet alice -w alice.pcapng
    """
    if target is None and sys.stdout.isatty():
        raise click.UsageError(
            "a capture is not a text for a terminal: give -w FILE, or pipe it, as in "
            f"`lab7 capture {name} {host} | wireshark -k -i -`"
        )
    interfaces = _interfaces(name, host, only)
    taps = open_taps(name, interfaces)
    with _output(target) as stream, connected(name) as channel, _until_stopped() as stopped:
        # A subscriber's connection to the control server ends when the network ends.
        send_request(channel, "subscribe")
        receive_reply(channel)
        writer = PcapngWriter(stream, [f"{host}:{interface}" for interface in interfaces])
        stream.flush()
        recording = _Recording(taps, writer, stream, count, [0] * len(taps))
        _record(recording, channel, stopped)
        dropped = recording.finish()
    click.echo(f"{sum(recording.counts)} packets captured, {sum(dropped)} dropped by the kernel", err=True)


@contextlib.contextmanager
def _output(target: Path | None) -> Iterator[BinaryIO]:
    """Open a file for writing, or yield standard output for None. Raises click.UsageError if opening fails."""
    if target is None:
        yield sys.stdout.buffer
        return
    try:
        with open(target, "wb") as file:
            yield file
    except OSError as error:
        raise click.UsageError(f"{target} cannot be written ({error.strerror})") from None


def _interfaces(name: str, host: str, only: str | None) -> list[str]:
    described = ask(name, "info")
    nodes = {one["name"]: [each["name"] for each in one["interfaces"]] for one in described["hosts"]}
    nodes |= {one["name"]: [each["name"] for each in one["interfaces"]] for one in described["switches"]}
    if host not in nodes:
        raise ArgumentError(f"there is no host {host!r} in the network {name}: it has {', '.join(nodes)}")
    if only is not None and only not in nodes[host]:
        raise ArgumentError(f"{host} has no interface {only!r}: it has {', '.join(nodes[host]) or 'none'}")
    if not nodes[host]:
        raise ArgumentError(f"{host} has no interface")
    return nodes[host] if only is None else [only]


@contextlib.contextmanager
def _until_stopped() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable at SIGINT or SIGTERM, as long as the `with` block runs."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    old = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


@dataclass
class _Recording:
    """Capture from several packet sockets (`taps`) to one pcapng stream.

    `counts`: number of packets so far per socket; `left`: number of packets still to record, None without limit.
    """

    taps: list[socket.socket]
    writer: PcapngWriter
    stream: BinaryIO
    left: int | None
    counts: list[int]

    def drain(self, places: Iterable[int]) -> None:
        """Write the packets that wait in these packet sockets, given by indices in `taps`, to the pcapng stream."""
        for place in places:
            for time_ns, frame, length, _ in received(self.taps[place], BURST):
                if self.left == 0:
                    return
                self.writer.packet(place, time_ns, frame, length)
                self.counts[place] += 1
                self.left = None if self.left is None else self.left - 1
        self.stream.flush()

    def finish(self) -> list[int]:
        """Write the packet counts of the interfaces; return the number of packets dropped by the kernel per socket."""
        dropped = [struct.unpack("@II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1] for tap in self.taps]
        with contextlib.suppress(BrokenPipeError):
            for place, lost in enumerate(dropped):
                self.writer.statistics(place, self.counts[place] + lost, lost)
            self.stream.flush()
        return dropped


def _record(recording: _Recording, channel: Channel, stopped: socket.socket) -> None:
    """Write packets until a signal comes, the network ends, the output pipe is closed or the limit is reached."""
    poll = select.poll()
    by_descriptor = {tap.fileno(): place for place, tap in enumerate(recording.taps)}
    for descriptor in (*by_descriptor, stopped.fileno(), channel.fileno()):
        poll.register(descriptor, select.POLLIN)
    # If the reader of the pipe exits (Wireshark is closed), the capture ends at once.
    poll.register(recording.stream.fileno(), 0)
    with contextlib.suppress(BrokenPipeError):
        while recording.left != 0:
            ready = {descriptor for descriptor, _ in poll.poll()}
            recording.drain(sorted(by_descriptor[one] for one in ready & set(by_descriptor)))
            if {stopped.fileno(), recording.stream.fileno()} & ready or (channel.fileno() in ready and _ends(channel)):
                recording.drain(range(len(recording.taps)))
                return


def _ends(channel: Channel) -> bool:
    """Read one message from the network's control server; return True if the connection to the server has ended."""
    try:
        channel.receive(0.0)
    except (ClosedError, TimeoutError):
        return True
    return False
