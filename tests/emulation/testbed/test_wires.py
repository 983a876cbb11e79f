"""What crosses a wire: frames as on Ethernet, lost and delayed as asked, the same ones for the same seed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from lab7.experiments.harness.capture.capture import Capture
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from tests.emulation.support import CLIENT, SERVER, both_ends, pair

MTU_BYTES = 1500
FRAME_MAX_BYTES = MTU_BYTES + 14
SIZE_BYTES = 500_000
RATE_MBIT = 20
DATAGRAMS = 300

# Prints the numbers of the datagrams that came, up to the first of the many that say "end".
RECEIVER = """
import json, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 9))
sock.settimeout(50)
print("READY", flush=True)
found = []
while (data := sock.recv(100)) != b"end":
    found.append(int(data))
print(json.dumps(found))
"""
SENDER = f"""
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for word in [str(number) for number in range({DATAGRAMS})] + ["end"] * 50:
    sock.sendto(word.encode(), ("{SERVER}", 9))
"""


@pytest.fixture(scope="module")
def transfer(tmp_path_factory: pytest.TempPathFactory) -> tuple[CaptureFile, float, bytes, bytes]:
    """A file fetched over a wire: the capture, how long that took, the file, and what arrived."""
    folder = tmp_path_factory.mktemp("transfer")
    content = Random(1).randbytes(SIZE_BYTES)
    (folder / "file.bin").write_bytes(content)
    with (
        pair(f"lab7.services.http.origin --root {folder} --listen 0.0.0.0 --port 80", bw=RATE_MBIT, delay="2ms") as bed,
        Capture(folder / "capture.pcapng", both_ends(bed)) as capture,
    ):
        began_s = time.monotonic()
        done = bed.host("client").run(["curl", "-sS", "http://www.example.com/file.bin"])
        took_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stderr
    assert not any(counts.dropped for counts in capture.statistics.values())
    return read_capture(folder / "capture.pcapng"), took_s, content, done.stdout


def test_what_was_sent_arrives(transfer: tuple[CaptureFile, float, bytes, bytes]) -> None:
    assert transfer[2] == transfer[3]


def test_frames_are_no_longer_than_the_mtu_allows_and_some_are_full(
    transfer: tuple[CaptureFile, float, bytes, bytes],
) -> None:
    for host in ("client", "server"):
        sizes = [frame.wire_length for frame in transfer[0].at(host)]
        assert max(sizes) == FRAME_MAX_BYTES


def test_check_sums_are_those_of_the_wire(transfer: tuple[CaptureFile, float, bytes, bytes]) -> None:
    segments = [frame for frame in transfer[0].frames if TCP in frame.packet]
    assert len(segments) > 2 * SIZE_BYTES / MTU_BYTES
    for frame in segments:
        sent = IP(bytes(frame.packet[IP]))
        again = sent.copy()
        del again.chksum, again[TCP].chksum
        again = IP(bytes(again))
        # RFC 1071: 0 and 0xffff are the same sum, and the kernel writes whichever it comes to.
        sums = [0 if each[TCP].chksum == 0xFFFF else each[TCP].chksum for each in (sent, again)]
        assert (again.chksum, sums[1]) == (sent.chksum, sums[0]), f"frame {frame.number}"


def test_nothing_but_the_transfer_crosses_the_wire(transfer: tuple[CaptureFile, float, bytes, bytes]) -> None:
    strangers = [frame for frame in transfer[0].frames if TCP not in frame.packet]
    assert not [frame for frame in strangers if ARP in frame.packet]
    assert [frame.packet.summary() for frame in strangers] == []


def test_both_ends_see_the_same_frames(transfer: tuple[CaptureFile, float, bytes, bytes]) -> None:
    seen = [sorted(bytes(Ether(frame.data)) for frame in transfer[0].at(host)) for host in ("client", "server")]
    assert seen[0] == seen[1]


def test_no_transfer_is_faster_than_its_wire(transfer: tuple[CaptureFile, float, bytes, bytes]) -> None:
    # The carrier may let frames out early by what a wake-up is usually late: less than a hundredth here.
    assert transfer[1] >= 0.99 * SIZE_BYTES * 8 / (RATE_MBIT * 1e6)


def test_no_round_trip_is_shorter_than_its_wire() -> None:
    with pair(delay="50ms") as bed:
        echo = bed.host("client").start(f"lab7.topologies.emulation.probe rtt {SERVER} 3", wait=False)
        rtts_s = json.loads(echo.read_output(50))["rtts_s"]
    assert len(rtts_s) == 3
    assert min(rtts_s) >= 0.99 * 0.1


def arrived(seed: int, **link: Any) -> list[int]:
    """Which of the numbered datagrams that the client sends reach the server."""
    with pair(seed=seed, **link) as bed:
        receiver = bed.host("server").popen([sys.executable, "-c", RECEIVER])
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == b"READY\n"
        assert bed.host("client").run([sys.executable, "-c", SENDER]).returncode == 0
        found: list[int] = json.loads(receiver.communicate(timeout=60)[0])
    return found


def test_the_same_seed_loses_the_same_frames_and_another_seed_others() -> None:
    first, again, other = arrived(1, loss=20), arrived(1, loss=20), arrived(2, loss=20)
    assert 0 < len(first) < DATAGRAMS
    assert first == again
    assert first != other


def test_a_wire_without_loss_loses_nothing_and_keeps_the_order() -> None:
    assert arrived(1, bw=50) == list(range(DATAGRAMS))


def test_a_link_may_lose_in_one_direction_only(tmp_path: Path) -> None:
    with (
        pair(params1={"loss": 100}, params2={"delay": "1ms"}) as bed,
        Capture(tmp_path / "capture.pcapng", both_ends(bed)),
    ):
        assert bed.host("client").run(["ping", "-c", "1", "-W", "0.2", SERVER]).returncode == 1
        assert bed.host("server").run(["ping", "-c", "1", "-W", "0.2", "client"]).returncode == 1
    capture = read_capture(tmp_path / "capture.pcapng")
    directions = [{frame.packet[IP].src for frame in capture.at(host)} for host in ("client", "server")]
    assert directions == [{SERVER, CLIENT}, {SERVER}]
