"""A capture in fresh network namespaces: everything sent is in the file, from both ends, in order of time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.utils import PcapNgReader

from lab7.experiments.harness.capture.pcapng import read_packets

REPOSITORY = Path(__file__).resolve().parents[3]
DATAGRAMS = 500

# Runs inside new namespaces: a veth pair, one end in a namespace of a child process, and datagrams across it.
SCENARIO = f"""
import os, signal, socket, subprocess, sys
from pathlib import Path
from lab7.experiments.harness.capture.capture import Capture, CaptureInterface

def ip(*words):
    subprocess.run(["ip", *words], check=True)

peer = subprocess.Popen(  # lives as long as our end of its standard input
    ["unshare", "-n", "sh", "-c", "echo ready; exec cat"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
)
peer.stdout.readline()
ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(peer.pid))
ip("address", "add", "10.9.9.1/24", "dev", "near")
ip("link", "set", "near", "up")
subprocess.run(["nsenter", "-t", str(peer.pid), "-n", "ip", "link", "set", "far", "up"], check=True)
ip("neighbour", "add", "10.9.9.2", "lladdr", "02:00:00:00:00:02", "dev", "near")
interfaces = [
    CaptureInterface("here:near", os.getpid(), "near"),
    CaptureInterface("there:far", f"/proc/{{peer.pid}}/ns/net", "far"),
]
with Capture(Path(sys.argv[1]), interfaces) as capture:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range({DATAGRAMS}):
        sender.sendto(b"%d" % number, ("10.9.9.2", 9))
    if "--die" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
for label, counts in capture.statistics.items():
    print(label, counts.packets, counts.dropped)
peer.kill()
"""


def unshare_command() -> list[str]:
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]


def scenario(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*unshare_command(), sys.executable, "-c", SCENARIO, str(path), *flags],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    """Skip where the kernel or the machine's policy allows no network namespace of our own."""
    try:
        words = [*unshare_command(), "ip", "link", "add", "x", "type", "veth", "peer", "name", "y"]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"needs unshare and ip: {error}")
    if run.returncode != 0:
        pytest.skip(f"needs root or user namespaces, and veth: {run.stderr.strip()}")


def test_everything_sent_is_captured_at_both_ends_in_order(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    run = scenario(path)
    assert run.returncode == 0, run.stderr
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    for label in ("here:near", "there:far"):
        payloads = [bytes(p[UDP].payload) for p in packets if p.sniffed_on == label and UDP in p]
        assert payloads == [b"%d" % number for number in range(DATAGRAMS)]
    times = [packet.time for packet in packets]
    assert times == sorted(times)


def test_counts_agree_with_the_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    run = scenario(path)
    assert run.returncode == 0, run.stderr
    told = {line.split()[0]: line.split()[1:] for line in run.stdout.splitlines()}
    _, counts = read_packets(path)
    assert {label: [str(c.packets), str(c.dropped)] for label, c in counts.items()} == told
    assert all(c.dropped == 0 for c in counts.values())
    assert os.listdir(tmp_path) == ["capture.pcapng"]


def test_a_killed_experiment_leaves_no_half_written_capture(tmp_path: Path) -> None:
    run = scenario(tmp_path / "capture.pcapng", "--die")
    assert run.returncode != 0
    assert not (tmp_path / "capture.pcapng").exists()


def test_an_unknown_interface_is_named_in_the_error(tmp_path: Path) -> None:
    source = SCENARIO.replace('"near"),', '"nowhere"),')
    run = subprocess.run(
        [*unshare_command(), sys.executable, "-c", source, str(tmp_path / "capture.pcapng")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode != 0
    assert "cannot capture on here:near (nowhere): No such device" in run.stderr
