"""Frame numbers with their captures, through deciders to verdicts and result.json."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

from lab7.experiments.harness.judge.frames import FrameNumber, by_capture, connections, read_capture
from lab7.experiments.harness.judge.verdict import Verdict, shown, timed
from lab7.experiments.harness.results.result import Result
from tests.core.experiments.harness.samples import sample_result
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire
from tests.core.experiments.http.pages import persistent

KEPT, CLOSED = "capture-kept.pcapng", "capture-closed.pcapng"


def test_a_frame_number_is_an_integer_that_copies_keep_with_its_capture() -> None:
    number = FrameNumber(7, KEPT)
    for one in (number, copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert (one, one.capture, f"{one}", json.dumps([one])) == (7, KEPT, "7", "[7]")


def test_numbers_are_kept_apart_by_capture_without_duplicates() -> None:
    numbers = [FrameNumber(7, KEPT), FrameNumber(7, CLOSED), FrameNumber(2, KEPT), FrameNumber(7, KEPT), 9]
    assert by_capture(numbers) == {KEPT: (7, 2), CLOSED: (7,)}


def test_a_capture_that_was_read_gives_its_name_to_the_frames_of_its_connections(tmp_path: Path) -> None:
    persistent(Wire()).capture(tmp_path)
    (tmp_path / "capture.pcapng").rename(tmp_path / KEPT)
    (connection, *_) = connections(read_capture(tmp_path / KEPT).at(INTERFACE))
    request, response = connection.from_client.stream.pieces[0], connection.from_server.segments[0]
    assert by_capture([connection.syn.frame, request.frame, response.frame]) == {KEPT: (1, 4, 5)}


def captured(folder: Path, name: str, opened: int) -> list[int]:
    """Return the frame numbers of the SYNs in a capture with this number of connections."""
    wire = Wire()
    for number in range(opened):
        Tcp(wire, port=40000 + number).open()
    wire.capture(folder)
    (folder / "capture.pcapng").rename(folder / name)
    return [one.syn.frame for one in connections(read_capture(folder / name).at(INTERFACE))]


def test_a_verdict_on_two_captures_names_the_capture_of_each_frame(tmp_path: Path) -> None:
    kept, closed = captured(tmp_path, KEPT, 1), captured(tmp_path, CLOSED, 2)

    verdict = shown("K1", "One connection, and two.", [*kept, *closed])
    assert verdict.captures == {KEPT: (1,), CLOSED: (1, 4)}
    assert timed(verdict, 1.0, 1.0, 0.1).captures == timed(verdict, 2.0, 1.0, 0.1).captures == verdict.captures
    result = sample_result(claims=(verdict,))
    data = result.to_json()
    assert data["claims"][0]["captures"] == {KEPT: [1], CLOSED: [1, 4]}
    assert Result.from_json(data).claims == (verdict,)


def test_a_verdict_of_an_older_version_cites_the_capture_that_the_result_names() -> None:
    data = sample_result().to_json()
    del data["claims"][0]["captures"]
    (old,) = Result.from_json(data).claims
    assert (old.captures, old.cited("capture.pcapng")) == ({}, {"capture.pcapng": (5, 6, 7)})
    assert old.cited(None) == Verdict("H1", "shown", "Shown.").cited("capture.pcapng") == {}
