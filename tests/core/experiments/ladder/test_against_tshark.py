"""Ladders against tshark: the same messages in the same order and frames, in captures of any shape."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import wrpcap

from lab7.experiments.harness.cli import lab7
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.ladder.ladder import ladder_of
from tests.core.experiments.harness.wire import Wire
from tests.core.experiments.ladder.dialogues import DIALOGUES
from tests.core.experiments.ladder.tshark import TEXTS, ladder_messages, needs_tshark, tshark_fields, tshark_messages
from tests.core.experiments.ladder.wire import page_load

pytestmark = needs_tshark
Packets = list[tuple[int, bytes]]


def written(tmp_path: Path, packets: Packets, name: str = "shaped.pcap") -> Path:
    """Write packets by scapy, which shares no code with lab7's writer of captures."""
    frames = []
    for time_ns, data in packets:
        frame = Ether(data)
        frame.time = time_ns / 10**9
        frames.append(frame)
    path = tmp_path / name
    wrpcap(str(path), frames)
    return path


def everything() -> Packets:
    """Return the packets of a connection of every protocol."""
    wire = Wire()
    for add in DIALOGUES.values():
        add(wire)
        wire.after(500)
    return wire.packets


def as_they_are(packets: Packets) -> Packets:
    return packets


def repeated(packets: Packets) -> Packets:
    """Repeat each segment with payload 1 ms later, as a retransmission."""
    again = [(at + 1_000_000, data) for at, data in packets if TCP in Ether(data) and Ether(data)[TCP].payload]
    return sorted(packets + again, key=lambda packet: packet[0])


def swapped(packets: Packets) -> Packets:
    """Exchange the last two segments of each run of three with payload from one end."""
    found = list(packets)
    for place in range(len(found) - 3):
        run = [Ether(data) for _, data in found[place : place + 3]]
        if all(TCP in one and len(one) > 1000 for one in run) and len({one[IP].src for one in run}) == 1:
            (early, first), (late, second) = found[place + 1 : place + 3]
            found[place + 1 : place + 3] = [(early, second), (late, first)]
            break
    return found


def tagged(packets: Packets) -> Packets:
    found = []
    for at, data in packets:
        frame = Ether(data)
        found.append((at, bytes(Ether(src=frame.src, dst=frame.dst) / Dot1Q(vlan=7) / frame.payload)))
    return found


def over_ipv6(packets: Packets) -> Packets:
    found = []
    for at, data in packets:
        network = Ether(data)[IP]
        upper = network.payload.copy()
        del upper.chksum
        ends = {"src": f"2001:db8::{network.src}", "dst": f"2001:db8::{network.dst}"}
        found.append((at, bytes(Ether() / IPv6(**ends, nh=17 if UDP in network else 6) / upper)))
    return found


SHAPES: dict[str, Callable[[Packets], Packets]] = {
    "as they are": as_they_are,
    "retransmissions": repeated,
    "out of order": swapped,
    "VLAN": tagged,
    "IPv6": over_ipv6,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_messages_are_those_that_tshark_reads(tmp_path: Path, shape: str) -> None:
    capture = written(tmp_path, SHAPES[shape](everything()))
    ladder, theirs = ladder_of(read_capture(capture)), tshark_messages(capture)
    assert {protocol: ladder_messages(ladder, protocol, text) for protocol, text in TEXTS.items()} == theirs
    assert all(len(messages) >= 6 for messages in theirs.values())


def test_an_http_connection_without_its_handshake_is_read_as_tshark_reads_it(tmp_path: Path) -> None:
    wire = Wire()
    DIALOGUES["http1"](wire)
    capture = written(tmp_path, wire.packets[3:])
    ladder = ladder_of(read_capture(capture))
    assert ladder_messages(ladder, "http1", TEXTS["http1"]) == tshark_messages(capture)["http1"] != []


def test_the_frames_of_a_response_are_the_segments_that_tshark_reassembles(tmp_path: Path) -> None:
    wire = Wire()
    page_load(wire, ("/", "/picture.png"))
    capture = written(tmp_path, wire.packets)
    rows = tshark_fields(capture, "http.response", ["tcp.segment"])
    segments = [tuple(int(one) for one in row["tcp.segment"]) for row in rows]
    assert [arrow.frames for arrow in ladder_of(read_capture(capture)).arrows if arrow.response] == segments
    assert len(segments) == 2


# Captures of other programs' making: the ladder shows what can be read, and is no traceback.


def program(name: str, *arguments: object) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: apt install wireshark-common")
    subprocess.run([name, *map(str, arguments)], check=True, capture_output=True, timeout=60)


def cut_short(source: Path, target: Path) -> None:
    program("editcap", "-s", 60, source, target)


def one_direction(source: Path, target: Path) -> None:
    program("tshark", "-r", source, "-Y", "ip.src == 10.0.2.1", "-w", target)


def from_the_middle(source: Path, target: Path) -> None:
    program("editcap", "-r", source, target, "20-200")


def nanoseconds(source: Path, target: Path) -> None:
    program("editcap", "-F", "nsecpcap", source, target)


def several_interfaces(source: Path, target: Path) -> None:
    shifted = target.with_name("shifted.pcap")
    program("editcap", "-t", "0.004", source, shifted)
    program("mergecap", "-I", "none", "-w", target, source, shifted)


def duplicates(source: Path, target: Path) -> None:
    program("mergecap", "-F", "pcap", "-w", target, source, source)


def disordered(source: Path, target: Path) -> None:
    program("mergecap", "-a", "-F", "pcap", "-w", target, source, source)


def chopped(source: Path, target: Path) -> None:
    program("editcap", "-C", -9, source, target)


def damaged(source: Path, target: Path) -> None:
    program("editcap", "--seed", 7, "-E", "0.02", source, target)


def raw_ip(source: Path, target: Path) -> None:
    program("editcap", "-C", 14, "-T", "rawip", "-F", "pcap", source, target)


def every_third_lost(source: Path, target: Path) -> None:
    program("editcap", source, target, *range(3, 120, 3))


FORMS = (
    *(cut_short, one_direction, from_the_middle, nanoseconds, several_interfaces, duplicates, disordered),
    *(chopped, damaged, raw_ip, every_third_lost),
)


@pytest.mark.parametrize("form", FORMS)
def test_a_capture_of_any_form_gives_a_ladder(tmp_path: Path, form: Callable[[Path, Path], None]) -> None:
    capture, output = tmp_path / "form.pcapng", tmp_path / "ladder.svg"
    form(written(tmp_path, everything()), capture)
    done = CliRunner().invoke(lab7, ["ladder", "--tcp", str(capture), "-o", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "messages between" in done.output
    assert output.read_text().strip()


@pytest.mark.parametrize("form", [nanoseconds, raw_ip, several_interfaces])
def test_the_form_of_a_capture_does_not_change_its_messages(tmp_path: Path, form: Callable[[Path, Path], None]) -> None:
    capture, plain = tmp_path / "form.pcapng", written(tmp_path, everything())
    form(plain, capture)
    here, there = (ladder_of(read_capture(path)).arrows for path in (plain, capture))
    assert [(arrow.protocol, arrow.label) for arrow in there] == [(arrow.protocol, arrow.label) for arrow in here]


def test_encrypted_connections_are_data(tmp_path: Path) -> None:
    wire = Wire()
    page_load(wire)
    # The first octets of a TLS record in place of HTTP's first line.
    packets = [(at, data.replace(b"GET / HTTP", b"\x16\x03\x01\x00\x25\x01\0\0\x21\3")) for at, data in wire.packets]
    capture = written(tmp_path, packets)
    done = CliRunner().invoke(lab7, ["ladder", str(capture)], catch_exceptions=False)
    assert "data, " in done.output
