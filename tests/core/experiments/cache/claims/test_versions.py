"""Responses to clients are held against every version that the origin was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.cache.claims.versions import bulk_difference, confirm, objects_in
from lab7.experiments.harness.judge.verdict import Verdict, failed, shown, undecided
from lab7.experiments.http.wire.bulk import BulkExchange, Traffic
from lab7.experiments.http.wire.page_load import PageLoad
from tests.core.experiments.cache.claims.cache_wire import Campus, fetched
from tests.core.experiments.harness.verdicts import lose_one, said

OBJECTS = {b"/a": (b"old", b"new"), b"/b": (b"other",)}
SHOWN = shown("W2", "Much less crosses the link.", (7,))


def got(folder: Path, *responses: tuple[str, bytes, int]) -> PageLoad:
    """What clients got from a proxy: path, content and status of each response."""
    campus = Campus()
    for path, body, status in responses:
        campus.ask(path, fetched(), body, status=status)
    folder.mkdir(exist_ok=True)
    return campus.legs(folder).clients


def test_any_version_confirms(tmp_path: Path) -> None:
    load = got(tmp_path, ("/a", b"old", 200), ("/a", b"new", 200), ("/b", b"other", 200))
    assert confirm(SHOWN, OBJECTS, [load], [load]) == SHOWN
    unknown = undecided("W2", "Nothing crossed the link.")
    assert confirm(unknown, OBJECTS, [load]) == unknown


@pytest.mark.parametrize(
    ("path", "body", "status", "part"),
    [
        ("/a", b"odd", 200, "that are no version of the origin"),
        ("/a", b"other", 200, "that are no version of the origin"),
        ("/a", b"", 200, "that are no version of the origin"),
        ("/a", b"ol", 200, "that are no version of the origin"),
        ("/c", b"old", 200, "that are no version of the origin"),
        ("/a", b"old", 404, "/a gets 404 in frame 10"),
        ("/a", b"", 304, "/a gets 304 in frame 10"),
        ("/a", b"old", 206, "/a gets 206 in frame 10"),
    ],
)
@pytest.mark.parametrize("before", [SHOWN, undecided("W2", "Times are off.")])
def test_what_the_origin_was_never_given_fails_the_claim(
    path: str, body: bytes, status: int, part: str, before: Verdict, tmp_path: Path
) -> None:
    right, wrong = got(tmp_path / "right", ("/b", b"other", 200)), got(tmp_path / "wrong", (path, body, status))
    assert said(confirm(before, OBJECTS, [right, wrong]), "failed", part).frames
    # The response may be in another capture of the run.
    assert said(confirm(before, OBJECTS, [right], [wrong]), "failed", part).captures == {"capture.pcapng": (10,)}


def test_a_claim_that_failed_keeps_its_reason(tmp_path: Path) -> None:
    before = failed("W2", "No relief.", (3,))
    assert confirm(before, OBJECTS, [got(tmp_path, ("/a", b"odd", 200))]) == before


def test_a_request_without_a_response_fails_the_claim(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched())
    # The last packets: the response, and the four that end the connection.
    campus.wire.packets = campus.wire.packets[:-5]
    said(confirm(SHOWN, OBJECTS, [campus.legs(tmp_path).clients]), "failed", "gets no complete response")


def test_captures_that_dropped_or_have_a_hole_decide_nothing(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched())
    said(confirm(SHOWN, OBJECTS, [campus.legs(tmp_path, dropped=2).clients]), "undecided", "dropped 2")
    campus = Campus()
    campus.ask("/a", None)
    lose_one(campus.wire)
    said(confirm(SHOWN, OBJECTS, [campus.legs(tmp_path).clients]), "undecided", "is incomplete")
    said(confirm(SHOWN, OBJECTS, [PageLoad(())]), "undecided", "no HTTP connection")


def test_the_objects_of_a_folder_are_its_files_and_an_index_is_its_directory(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_bytes(b"page")
    (tmp_path / "a.png").write_bytes(b"picture")
    assert objects_in(tmp_path) == {
        b"/page/index.html": (b"page",),
        b"/page/": (b"page",),
        b"/a.png": (b"picture",),
    }


def crossing(target: bytes, content: bytes, status: bytes = b"200") -> BulkExchange:
    octets = b"HTTP/1.1 %b OK\r\nContent-Length: %d\r\n\r\n%b" % (status, len(content), content)
    return BulkExchange((b"", 1), (b"", 80), target, 0, 5, end=len(octets), pieces=[octets], status=status)


def test_crossings_are_held_against_the_same_objects() -> None:
    right = crossing(b"http://www.example.com/a", b"new")
    assert bulk_difference([Traffic([right, crossing(b"/b", b"other")])], OBJECTS) is None
    assert "that are no version of the origin" in str(
        bulk_difference([Traffic([right, crossing(b"/b", b"odd")])], OBJECTS)
    )
    assert "gets 404, not 200" in str(bulk_difference([Traffic([crossing(b"/b", b"other", b"404")])], OBJECTS))
    # What was not captured whole, or not answered at all, is counted elsewhere.
    assert bulk_difference([Traffic([BulkExchange((b"", 1), (b"", 80), b"/b", 0, 5)])], OBJECTS) is None
