"""Packet recorder process: one raw socket per interface, opened in the interface's network namespace.

`capture.Capture` starts the process, and passes it an open descriptor of each namespace. The two processes exchange
lines on the recorder's standard input and output:

    to the recorder      {"target": path of the capture file, "interfaces": [{"label", "ifname", "namespace_fd"}]}
    from the recorder    {"ready": true}                                                 # all sockets are bound
    to the recorder      stop
    from the recorder    {"statistics": {label: {"packets": n, "dropped": n}}}           # the file is complete

During the capture, the recorder only appends raw records to one file, to leave CPU time to the experiment. At the end
it sorts them by time and encodes them as pcapng. If standard input is closed before "stop", the parent has died, and
the recorder exits. `salvage` then makes a capture from the raw records, which begin with a line of the interfaces'
labels (JSON).

Sources: packet(7) for AF_PACKET, socket(7) for time stamps and buffers, setns(2). Left out: VLAN tags that the kernel
strips into auxiliary data (the emulated networks use none), and capture filters, because evidence should be complete.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.pcapng import SNAP_LENGTH, PcapngWriter
from lab7.topologies.emulation.control.packet_socket import (
    PACKET_OUTGOING,
    PACKET_STATISTICS,
    SOL_PACKET,
    bound_socket,
    time_ns_of,
)
from lab7.topologies.emulation.virtual.alignment import align

CLONE_NEWNET = 0x40000000  # linux/sched.h
ARPHRD_LOOPBACK = 772  # linux/if_arp.h
RECORD = struct.Struct("=IIIQ")  # interface number, captured length, original length, time in ns

RECEIVE_BUFFER_BYTES = 64 << 20
# Pause in s between two rounds of reading: packets wait in the kernel, and few wake-ups disturb a run less.
PAUSE_S = 0.004
# Pause in s between rounds of reading if the permitted receive buffer is smaller than LARGE_BUFFER_BYTES.
SHORT_PAUSE_S = 0.0005
LARGE_BUFFER_BYTES = 8 << 20
# Pause in s before the last round of reading, so that packets in the kernel's backlog reach the sockets.
SETTLE_S = 0.02
FILE_BUFFER_BYTES = 1 << 20
RAW_SUFFIX = ".raw"
# Records are flushed to the file after FLUSH_S seconds; later records are lost if the recorder is killed.
FLUSH_S = 0.25
# In virtual time records are synced to disk, so that records outlive a killed user-mode kernel.
# Records are synced every SYNC_S s, or every SYNC_SHARE of the elapsed time if longer: long runs sync rarely.
SYNC_S, SYNC_SHARE = 1.0, 0.02


class CaptureStartError(OSError):
    """Failure to open a packet socket on a requested interface."""


@dataclass
class Tap:
    """Packet socket bound to one interface, with the interface's packet counts."""

    index: int
    label: str
    socket: socket.socket
    packets: int = 0
    dropped: int = 0


def open_taps(interfaces: list[dict[str, Any]]) -> list[Tap]:
    """Open a packet socket in each interface's network namespace and bind the socket. Raises CaptureStartError."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        return [_open_tap(index, interface, home) for index, interface in enumerate(interfaces)]
    finally:
        os.close(home)


def _open_tap(index: int, interface: dict[str, Any], home: int) -> Tap:
    label, ifname = interface["label"], interface["ifname"]
    try:
        _enter(interface["namespace_fd"])
        try:
            return Tap(index, label, bound_socket(ifname, RECEIVE_BUFFER_BYTES))
        finally:
            _enter(home)
    except OSError as error:
        raise CaptureStartError(error.errno, f"cannot capture on {label} ({ifname}): {error.strerror}") from error


def _enter(namespace_fd: int) -> None:
    # Call setns(2) of the C library, since os.setns exists only from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace_fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def close_taps(taps: list[Tap]) -> None:
    """Close all packet sockets in parallel, since each close() waits for an RCU grace period of the kernel."""
    threads = [threading.Thread(target=tap.socket.close) for tap in taps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Recorder:
    """Reader of packet sockets, which appends the packets as raw records to a file in the order of reading."""

    def __init__(self, taps: list[Tap], raw: BinaryIO) -> None:
        self._taps = taps
        self._raw = raw
        self._buffer = bytearray(SNAP_LENGTH)
        smallest = min(tap.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for tap in taps)
        self._pause_s = PAUSE_S if smallest >= LARGE_BUFFER_BYTES else SHORT_PAUSE_S
        self._syncs = clock.current().word == "virtual"
        self._began_s = self._synced_s = time.monotonic()

    def run(self, control_fd: int) -> bool:
        """Record packets until "stop" is read from the control pipe, or the parent process exits.

        Returns True in the first case, False in the second.
        """
        by_fd = {tap.socket.fileno(): tap for tap in self._taps}
        poll = select.epoll()
        parent = os.getppid()
        try:
            parent_fd = os.pidfd_open(parent)
        except ProcessLookupError:
            return False
        for fd in (control_fd, parent_fd, *by_fd):
            poll.register(fd, select.EPOLLIN)
        written, flush_s = False, 0.0
        while os.getppid() == parent:
            if written and time.monotonic() > flush_s:
                self._raw.flush()
                self._sync()
                written = False
            # Wait without a time-out if all records are flushed, so that hours of silence cause no wake-ups.
            for fd, _ in poll.poll(FLUSH_S if written else None):
                if fd == control_fd:
                    return os.read(control_fd, 16).startswith(b"stop")
                if fd in by_fd:
                    self.drain(by_fd[fd])
                    flush_s = flush_s if written else time.monotonic() + FLUSH_S
                    written = True
            time.sleep(self._pause_s)
        return False

    def _sync(self) -> None:
        """Flush the raw records to disk (fsync) at intervals in virtual time; no effect in real time.

        A user-mode kernel that is killed loses the contents of its page cache.
        """
        now_s = time.monotonic()
        if self._syncs and now_s - self._synced_s >= max(SYNC_S, SYNC_SHARE * (now_s - self._began_s)):
            self._synced_s = now_s
            os.fsync(self._raw.fileno())

    def finish(self) -> None:
        """Read all packets received so far and the kernel's drop counts, and close the sockets."""
        time.sleep(SETTLE_S)
        now_ns = time.time_ns()
        for tap in self._taps:
            self.drain(tap, until_ns=now_ns)
            counts = tap.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            tap.dropped = struct.unpack("@II", counts)[1]
        close_taps(self._taps)

    def drain(self, tap: Tap, until_ns: int | None = None) -> None:
        """Record the packets in one socket's queue, up to and including the first packet later than `until_ns`.

        `until_ns` is in ns since 1970; None stands for the current time.
        """
        view, write = memoryview(self._buffer), self._raw.write
        limit_ns = time.time_ns() if until_ns is None else until_ns
        while True:
            try:
                length, ancillary, _, address = tap.socket.recvmsg_into(
                    [self._buffer], 64, socket.MSG_TRUNC
                )  # MSG_TRUNC returns the original length, even if longer than the buffer
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # reported once; queued packets stay readable
                    continue
                raise
            # Skip the outgoing copy of a loopback frame, which the kernel also delivers as incoming.
            if address[2] == PACKET_OUTGOING and address[3] == ARPHRD_LOOPBACK:
                continue
            time_ns = time_ns_of(ancillary)
            captured = min(length, SNAP_LENGTH)
            write(RECORD.pack(tap.index, captured, length, time_ns))
            write(view[:captured])
            tap.packets += 1
            if time_ns > limit_ns:
                return


def finalise(raw_path: Path, target: Path, taps: list[Tap]) -> None:
    """Sort the raw records by time and write a pcapng file to `target`, atomically by a renamed temporary file."""
    partial = target.with_name(target.name + ".part")
    with partial.open("wb", FILE_BUFFER_BYTES) as stream:
        writer, _ = _write_sorted(raw_path, stream)
        for tap in taps:
            writer.statistics(tap.index, received=tap.packets + tap.dropped, dropped=tap.dropped)
    partial.replace(target)


def salvage(target: Path) -> None:
    """Write a pcapng file from the raw records of a recorder that died; the file has no drop counts.

    If there are no records, no file is written. If the disk is full, the raw records are kept.
    """
    raw_path, partial = raw_of(target), target.with_name(target.name + ".part")
    try:
        if not target.exists():
            with partial.open("wb", FILE_BUFFER_BYTES) as stream:
                _, packets = _write_sorted(raw_path, stream)
            if packets:
                partial.replace(target)
        raw_path.unlink()
    except ValueError:
        # Without interface labels there are no records either, since the recorder writes the labels first.
        raw_path.unlink()
    except OSError:
        pass
    with suppress(OSError):
        partial.unlink()


def raw_of(target: Path) -> Path:
    """Return the path of the file with a capture's raw records, which are not yet sorted by time."""
    return target.with_name(target.name + RAW_SUFFIX)


def _write_sorted(raw_path: Path, stream: BinaryIO) -> tuple[PcapngWriter, int]:
    """Write the raw records as pcapng, sorted by time; return (writer, number of packets).

    Raises ValueError if the line with the interface labels is missing.
    """
    stamps, offsets = array("Q"), array("Q")
    with raw_path.open("rb") as raw:
        writer = PcapngWriter(stream, json.loads(raw.readline()))
        offset = raw.tell()
        with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as records:
            # The last record of a recorder that died may be truncated or consist of zeros.
            while offset + RECORD.size <= len(records):
                _, captured, _, time_ns = RECORD.unpack_from(records, offset)
                if not time_ns:
                    break
                if offset + RECORD.size + captured <= len(records):
                    stamps.append(time_ns)
                    offsets.append(offset)
                offset += RECORD.size + captured
            for position in sorted(range(len(stamps)), key=stamps.__getitem__):
                start = offsets[position]
                interface, captured, length, time_ns = RECORD.unpack_from(records, start)
                data = records[start + RECORD.size : start + RECORD.size + captured]
                writer.packet(interface, time_ns, data, length)
    return writer, len(stamps)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _record(order: dict[str, Any], raw_path: Path) -> None:
    taps = open_taps(order["interfaces"])
    with raw_path.open("wb", FILE_BUFFER_BYTES) as raw:
        raw.write(json.dumps([tap.label for tap in taps]).encode() + b"\n")
        raw.flush()
        recorder = Recorder(taps, raw)
        # In virtual time the pauses of the recorder end at the same moments, however long its start was.
        align()
        _say({"ready": True})
        if not recorder.run(sys.stdin.fileno()):
            return
        recorder.finish()
    finalise(raw_path, Path(order["target"]), taps)
    raw_path.unlink()
    _say({"statistics": {tap.label: {"packets": tap.packets, "dropped": tap.dropped} for tap in taps}})


def main() -> int:
    """Record the interfaces named in the first line of standard input (JSON); return the exit code, 1 on failure."""
    # Ignore Ctrl-C, which reaches the whole process group: the parent ends the capture by "stop".
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = b""
    while not line.endswith(b"\n"):  # read unbuffered, so that a "stop" after the first line stays in the pipe
        octet = os.read(sys.stdin.fileno(), 1)
        if not octet:
            return 1
        line += octet
    order: dict[str, Any] = json.loads(line)
    raw_path = raw_of(Path(order["target"]))
    try:
        _record(order, raw_path)
    except CaptureStartError as error:
        _say({"error": str(error)})
        return 1
    except OSError as error:
        print(f"{order['target']} cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
