"""Two runs at the same time, with the same addresses, know nothing of each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from scapy.layers.inet import IP, TCP

from lab7.experiments.harness.judge.frames import read_capture
from tests.emulation.support import PATIENCE_S, start_lab7

SIZES = (5000, 8000)


def test_two_runs_at_once_have_a_folder_and_a_network_each(tmp_path: Path) -> None:
    common = ("run", "http-versions", "--repeat", "1", "--set", "rtt=20ms", "--json")
    runs = [start_lab7(*common, "--set", f"size={size}", cwd=tmp_path) for size in SIZES]
    said = [run.communicate(timeout=2 * PATIENCE_S) for run in runs]
    assert [errors for _, errors in said] == [b"", b""]
    printed = [json.loads(output)["results"][0] for output, _ in said]

    folders = {
        folder: json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "results").glob("*/*/")
    }
    assert len(folders) == 2
    for result, size in zip(printed, SIZES, strict=True):
        (folder,) = (folder for folder, stored in folders.items() if stored == result)
        assert result["parameters"]["size"] == size
        # Not those about time: two runs share the processors.
        verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
        assert [verdicts[claim] for claim in ("H1", "H2", "H3", "H4", "H5", "H10")] == ["shown"] * 6
        assert_only_traffic_of(folder / result["files"]["capture"], size)


def assert_only_traffic_of(path: Path, size: int) -> None:
    packets = [frame.packet for frame in read_capture(path).frames]
    assert {address for packet in packets for address in (packet[IP].src, packet[IP].dst)} == {"10.7.0.1", "10.7.1.1"}
    heads = b"".join(bytes(packet[TCP].payload) for packet in packets if TCP in packet)
    assert set(re.findall(rb"\r\nContent-Length: (\d+)\r\n", heads)) == {str(size).encode()}
