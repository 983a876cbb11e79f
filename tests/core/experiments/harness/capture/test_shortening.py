"""Shortening of a judged capture: content is gone, numbers, times and lengths stay, and so do sizes by wire length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab7.experiments.harness.capture.shortening import shorten
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.http.wire.bulk import crossings, octets_without_content
from tests.core.experiments.harness.samples import sample_result
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire, request, response

BODY = bytes(range(200)) * 7


def wire() -> Wire:
    made = Wire()
    tcp = Tcp(made).open()
    tcp.client("PA", request("/a", "1.1"))
    made.after(40)
    octets = response(BODY, "1.1")
    tcp.server("A", octets[:700])
    tcp.server("PA", octets[700:])
    tcp.close()
    return made


def test_content_is_left_out_and_times_and_sizes_stay(tmp_path: Path) -> None:
    before = wire().capture(tmp_path, dropped=3)
    found = shorten(tmp_path / "capture.pcapng", octets_without_content)
    assert found is not None
    assert (found.frames, found.octets) == (2, len(BODY))
    cut = read_capture(tmp_path / "capture.pcapng")
    assert cut.counts == before.counts
    assert [(one.number, one.interface, one.time_ns, one.wire_length) for one in cut.frames] == [
        (one.number, one.interface, one.time_ns, one.wire_length) for one in before.frames
    ]
    assert all(whole.data.startswith(one.data) for one, whole in zip(cut.frames, before.frames, strict=True))
    assert not any(BODY[:50] in one.data for one in cut.frames)
    assert any(b"Content-Length: 1400" in one.data for one in cut.frames)
    first, second = (crossings(some.at(INTERFACE), 80).crossings[0] for some in (before, cut))
    assert (first.first_ns, first.last_ns, first.wire_bytes) == (second.first_ns, second.last_ns, second.wire_bytes)
    assert [one.number for one in cut.frames if one.truncated] == [5, 6]


def test_a_shortened_capture_is_compressed_and_the_same_for_the_same_packets(tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        wire().capture(tmp_path)
        found = shorten(tmp_path / "capture.pcapng", octets_without_content)
        assert found is not None
        assert "compressed by gzip" in found.sentence
        written.append((tmp_path / "capture.pcapng").read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(b"\x1f\x8b")
    # No name and no time of writing in the header (RFC 1952 section 2.3).
    assert written[0][3:8] == bytes(5)


def test_a_capture_that_is_kept_whole_is_not_written_again(tmp_path: Path) -> None:
    wire().capture(tmp_path)
    before = (tmp_path / "capture.pcapng").read_bytes()
    assert shorten(tmp_path / "capture.pcapng", len) is None
    assert (tmp_path / "capture.pcapng").read_bytes() == before


def test_frames_of_other_protocols_are_kept_whole() -> None:
    for data in (b"", b"\0" * 60, bytes(12) + b"\x86\xdd" + bytes(60), bytes(12) + b"\x08\x00" + b"\x45" + bytes(50)):
        assert octets_without_content(data) == len(data)


def test_the_result_says_what_a_capture_lacks() -> None:
    result = sample_result()
    files = replace(result.files, left_out={"capture.pcapng": "1,400 octets of content in 2 frames are left out"})
    again = type(result).from_json(replace(result, files=files).to_json())
    assert again.files.left_out == files.left_out
