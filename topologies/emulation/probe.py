"""Path probes: measurement of round-trip time, rate and loss between two hosts, before an experiment.

    lab7.topologies.emulation.probe rtt ADDRESS COUNT            COUNT ICMP echo requests (RFC 792), one at a time
    lab7.topologies.emulation.probe receive PORT COUNT           prints READY, then receives COUNT UDP datagrams
    lab7.topologies.emulation.probe send ADDRESS PORT COUNT SIZE sends COUNT UDP datagrams without pauses

Arrival times are taken by the kernel (SO_TIMESTAMPNS, socket(7)), so that they do not include the time until this
process runs. Each command prints its measurements as one JSON object. Every wait is bounded.
"""

import json
import socket
import struct
import sys
import time

from lab7.topologies.emulation.process.launcher import readable

ECHO_REQUEST = 8
HEADER = struct.Struct("!BBHHH")
# SO_TIMESTAMPNS_OLD of asm-generic/socket.h, not in Python's socket; SCM_TIMESTAMPNS has an equal number.
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@qq")
REPLY_TIMEOUT_S = 3.0
# Time in seconds without a frame after which a packet train has ended.
SILENCE_S = 0.5
TRAIN_START_TIMEOUT_S = 10.0
RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
# Octets of the headers of a UDP datagram: Ethernet 14, IPv4 20 (RFC 791), UDP 8 (RFC 768).
UDP_OVERHEAD_BYTES = 42


def _stamped(sock: socket.socket) -> tuple[bytes, int]:
    data, ancillary, _, _ = sock.recvmsg(2048, 128)
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(value[: TIMESPEC.size])
            return data, seconds * 1_000_000_000 + nanoseconds
    return data, time.time_ns()


def echo_rtts(address: str, count: int) -> list[float | None]:
    """Return the round-trip times in seconds of `count` sequential ICMP echo requests; None for a lost request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return [_echo(sock, address, sequence) for sequence in range(1, count + 1)]


def _echo(sock: socket.socket, address: str, sequence: int) -> float | None:
    # The kernel fills in the ICMP identifier and checksum for a ping socket (icmp(7)).
    sent_ns = time.time_ns()
    sock.sendto(HEADER.pack(ECHO_REQUEST, 0, 0, 0, sequence), (address, 0))
    while readable(sock, REPLY_TIMEOUT_S):
        data, received_ns = _stamped(sock)
        if HEADER.unpack_from(data)[4] == sequence:
            return (received_ns - sent_ns) / 1e9
    return None


def receive_train(port: int, count: int) -> dict[str, float | int | None]:
    """Print READY, receive one train of equal UDP frames; return {received: number, rate_bps: rate in bit/s}.

    `rate_bps` is None below two frames.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.bind(("0.0.0.0", port))
        print("READY", flush=True)
        arrivals: list[int] = []
        size_bytes = 0
        wait_s = TRAIN_START_TIMEOUT_S
        while len(arrivals) < count and readable(sock, wait_s):
            data, stamp_ns = _stamped(sock)
            arrivals.append(stamp_ns)
            size_bytes = len(data) + UDP_OVERHEAD_BYTES
            wait_s = SILENCE_S
    elapsed_s = (arrivals[-1] - arrivals[0]) / 1e9 if len(arrivals) > 1 else 0.0
    rate_bps = (len(arrivals) - 1) * size_bytes * 8 / elapsed_s if elapsed_s else None
    return {"received": len(arrivals), "rate_bps": rate_bps}


def send_train(address: str, port: int, count: int, size_bytes: int) -> dict[str, int]:
    """Send `count` UDP datagrams in frames of `size_bytes` octets, back to back; return the number sent."""
    payload = bytes(size_bytes - UDP_OVERHEAD_BYTES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER_BYTES)
        for _ in range(count):
            sock.sendto(payload, (address, port))
    return {"sent": count}


def main(argv: list[str]) -> int:
    """Run one probe, `rtt`, `receive` or `send`, and print the result as a JSON object."""
    kind, *words = argv
    if kind == "rtt":
        result: object = {"rtts_s": echo_rtts(words[0], int(words[1]))}
    elif kind == "receive":
        result = receive_train(int(words[0]), int(words[1]))
    else:
        result = send_train(words[0], *(int(word) for word in words[1:]))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
