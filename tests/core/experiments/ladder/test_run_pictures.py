"""Pictures in a run's report: ladders of the run and of each claim, and the frames that arrows and evidence lead to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.l2 import Ether

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.judge.frames import FrameNumber, read_capture
from lab7.experiments.harness.judge.verdict import Verdict, shown
from lab7.experiments.harness.report.page import render_report, write_report
from lab7.experiments.harness.results.result import CaptureSpan, Comparison, Files
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.ladder.run_pictures import FIRST_MESSAGES, FRAMES_MAX, RunPictures, run_pictures
from tests.core.experiments.harness.samples import TIMINGS, sample_result
from tests.core.experiments.harness.wire import CLIENT, SERVER, request
from tests.core.experiments.ladder.dialogues import DIALOGUES
from tests.core.experiments.ladder.wire import Path2, datagram, page_load

FILES = Files("capture.pcapng", "timings.csv", "report.html")


def pictures(folder: Path, *claims: Verdict, parameters: dict[str, object] | None = None) -> tuple[str, RunPictures]:
    path = Path2()
    page_load(path, ("/", "/<script>alert(1)</script>"))
    path.after(100)
    DIALOGUES["dns"](path)
    path.write(folder / "capture.pcapng")
    result = sample_result(claims=claims, files=FILES, parameters=parameters or {})
    found = run_pictures(folder, result)
    assert found is not None
    return render_report(result, load_claims(), None, found), found


def test_the_first_ladder_shows_handshake_messages_and_close_without_bare_acknowledgements(tmp_path: Path) -> None:
    _, found = pictures(tmp_path)
    words = [row.words for row in found.parts[0].rows]
    assert words[:4] == ["SYN", "SYN ACK", "GET /", "200 OK, 4,000 octets"]
    assert "FIN ACK, closes first" in words
    assert "ACK" not in words


def test_every_link_to_a_frame_goes_somewhere(tmp_path: Path) -> None:
    page, _ = pictures(tmp_path, Verdict("H5", "shown", "Shown.", (5, 6, 7)), Verdict("H6", "failed", "Not.", (9, 999)))
    links = set(re.findall(r'href="#(frame-\d+)"', page))
    assert {"frame-5", "frame-6", "frame-7", "frame-9"} <= links
    assert "frame-999" not in links
    assert links <= set(re.findall(r'id="(frame-\d+)"', page))
    ids = re.findall(r'id="(frame-\d+)"', page)
    assert len(ids) == len(set(ids))


def test_a_frame_has_its_layers_octets_filter_and_the_checks_that_cite_it(tmp_path: Path) -> None:
    number = 7
    page, found = pictures(tmp_path, Verdict("H2", "shown", "Shown.", (number,)))
    frame = next(one for one in found.frames if one.number == number)
    assert "TCP: sport=" in frame.layers
    assert frame.dump.startswith("0000  02 00 00")
    assert f"frame.number == {number}" in page
    assert frame.claims == ("H2",)
    assert load_claims()["H2"].check in page


def test_the_text_of_a_request_is_readable_and_harmless(tmp_path: Path) -> None:
    page, found = pictures(tmp_path)
    assert any("  GET / HTTP/1.1" in frame.layers for frame in found.frames)
    assert request("/").startswith(b"GET /")
    assert "<script" not in page
    assert "alert(1)" in page


@pytest.mark.parametrize(("verdict", "opened"), [("shown", False), ("failed", True), ("undecided", True)])
def test_the_ladder_of_a_claim_that_is_not_shown_is_open(tmp_path: Path, verdict: str, opened: bool) -> None:
    page, _ = pictures(tmp_path, Verdict("H5", verdict, "Because.", (7,)))  # type: ignore[arg-type]
    assert ('<details class="picture" open>' in page) is opened
    assert ('<details class="picture">' in page) is not opened


def test_arrows_of_evidence_are_marked_with_the_claim(tmp_path: Path) -> None:
    _, found = pictures(tmp_path, Verdict("H5", "shown", "Shown.", (7,)))
    assert '<tspan class="mark mark-0">H5 </tspan>' in found.by_claim["H5"][0].svg


@pytest.mark.parametrize(
    ("parameters", "grid"), [({"rtt": 0.02}, True), ({"rtt": 0}, False), ({"rtt": "x"}, False), ({}, False)]
)
def test_the_grid_is_that_of_the_round_trip_time(tmp_path: Path, parameters: dict[str, object], grid: bool) -> None:
    page, found = pictures(tmp_path, parameters=parameters)
    assert found.grid is grid
    assert any('class="grid"' in part.svg for part in found.parts) is grid
    assert ("one round-trip time apart" in page) is grid


def test_the_ladder_of_a_claim_about_the_handshake_shows_its_segments(tmp_path: Path) -> None:
    _, found = pictures(tmp_path, Verdict("H1", "shown", "Shown.", (1, 3, 4, 5)))
    words = [row.words for row in found.by_claim["H1"][0].rows]
    assert words == ["SYN", "SYN ACK", "ACK", "GET /"]


def test_the_number_of_frames_is_bounded(tmp_path: Path) -> None:
    claims = [Verdict(f"X{place}", "shown", "Shown.", tuple(range(1 + place, 40))) for place in range(5)]
    _, found = pictures(tmp_path, *claims)
    assert len(found.frames) <= FRAMES_MAX


def test_a_report_without_a_readable_capture_has_no_pictures(tmp_path: Path) -> None:
    assert run_pictures(tmp_path, sample_result(files=FILES)) is None
    (tmp_path / "capture.pcapng").write_bytes(b"damaged")
    assert run_pictures(tmp_path, sample_result(files=FILES)) is None
    page = write_report(tmp_path, sample_result(files=FILES), load_claims()).read_text()
    assert 'class="ladder' not in page
    assert "[frames 5, 6, 7]" in page


def test_a_report_with_pictures_asks_for_nothing(tmp_path: Path) -> None:
    page, _ = pictures(tmp_path, Verdict("H5", "shown", "Shown.", (7,)))
    bare = re.sub(r'(xmlns(:\w+)?|rdf:\w+)="[^"]*"', "", page)
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(\s*['\"]?http|@import|<script|<link", bare)


def with_warm_up(folder: Path, *claims: Verdict, spanned: bool = True) -> RunPictures:
    """Return the pictures of a run with a warm-up load, and two measured ones, of which the second is cited."""
    path, spans = Path2(), []
    for number in range(3):
        start_ns = round(path.now_ms * 1e6)
        page_load(path, tuple(f"/load-{number}" for _ in range(FIRST_MESSAGES)), port=50000 + number)
        spans.append((start_ns, round(path.now_ms * 1e6)))
        path.after(100)
    path.write(folder / "capture.pcapng")
    first_ns = spans[0][0]
    offsets = [CaptureSpan("capture.pcapng", start - first_ns, end - first_ns) for start, end in spans]
    measured = (
        [replace(one, span=span) for one, span in zip(TIMINGS, offsets[1:], strict=False)] if spanned else TIMINGS
    )
    comparison = Comparison.of("1.1-pipelined", measured, http_page_load("1.1-pipelined", 0.1, [1, 1, 1]), 0.1)
    elsewhere = replace(comparison, name="no cache", span=CaptureSpan("other.pcapng", 0, 1), spans=())
    compared = (comparison, elsewhere) if spanned else (comparison,)
    result = sample_result(claims=claims, files=FILES, comparisons=compared, parameters={})
    found = run_pictures(folder, result)
    assert found is not None
    page = render_report(result, load_claims(), None, found)
    if spanned:
        assert "<b>1.1-pipelined</b>: the messages of one measured sample" in page
        assert "other.pcapng has the samples of no cache" in page
    return found


def requests(found: RunPictures) -> list[str]:
    rows = (row for picture in found.parts for row in picture.rows)
    return [f"{row.source} to {row.target}: {row.words}" for row in rows if "GET" in row.words]


def frames_of(folder: Path, target: bytes) -> int:
    frames = read_capture(folder / "capture.pcapng").frames
    return next(frame.number for frame in frames if frame.tcp is not None and target in frame.tcp.payload)


def test_the_main_ladder_is_of_measured_samples_and_names_their_comparison(tmp_path: Path) -> None:
    found = with_warm_up(tmp_path)
    assert [part.name for part in found.parts] == ["1.1-pipelined"]
    assert set(requests(found)) == {"client to server: GET /load-1"}


def test_the_columns_are_in_the_order_of_the_sample(tmp_path: Path) -> None:
    path = Path2()
    check = datagram(bytes(DNS(qd=DNSQR(qname="check.example"))), SERVER, CLIENT)
    path.add(Ether(check))
    path.after(100)
    start_ns = round(path.now_ms * 1e6)
    page_load(path)
    path.add(Ether(check))
    end_ns = round(path.now_ms * 1e6)
    path.write(tmp_path / "capture.pcapng")
    span = CaptureSpan("capture.pcapng", start_ns, end_ns)
    comparison = replace(sample_result().comparisons[0], span=span)
    found = run_pictures(tmp_path, sample_result(claims=(), files=FILES, comparisons=(comparison,)))
    assert found is not None
    assert len([row for row in found.parts[0].rows if "check.example" in row.words]) == 1
    assert re.findall('class="host"[^>]*>([^<]*)', found.parts[0].svg) == 2 * ["client", "server"]


@pytest.mark.parametrize("spanned", [True, False])
def test_the_main_ladder_has_the_messages_that_evidence_cites(tmp_path: Path, spanned: bool) -> None:
    with_warm_up(tmp_path)
    number = frames_of(tmp_path, b"GET /load-2")
    found = with_warm_up(tmp_path, Verdict("H9", "shown", "Shown.", (number,)), spanned=spanned)
    assert "client to server: GET /load-2" in requests(found)
    assert any('<tspan class="mark mark-0">H9 </tspan>' in part.svg for part in found.parts)


def test_the_frames_of_each_capture_are_shown_from_that_capture(tmp_path: Path) -> None:
    page_of: dict[str, tuple[str, int]] = {}
    for name, target in (("capture-kept", "/kept"), ("capture-closed", "/closed")):
        path = Path2()
        page_load(path, (target,))
        path.write(tmp_path / "capture.pcapng")
        number = frames_of(tmp_path, f"GET {target}".encode())
        (tmp_path / "capture.pcapng").rename(tmp_path / f"{name}.pcapng")
        page_of[f"{name}.pcapng"] = (target, number)
    kept, closed = page_of
    same = page_of[kept][1]
    assert same == page_of[closed][1]
    claims = (
        shown("K1", "Kept.", [FrameNumber(same, kept)]),
        shown("K2", "Both.", [FrameNumber(same, kept), FrameNumber(same, closed)]),
        Verdict("K3", "shown", "As in a result of an older version.", (same,)),
    )
    result = sample_result(claims=claims, files=replace(FILES, capture=closed), comparisons=())
    found = run_pictures(tmp_path, result)
    assert found is not None
    texts = {claim: [part.rows[0].words for part in pictures] for claim, pictures in found.by_claim.items()}
    assert ["GET /kept" in text for text in texts["K1"]] == [True]
    assert sorted("GET /kept" in text for text in texts["K2"]) == [False, True]
    assert ["GET /closed" in text for text in texts["K3"]] == [True]
    contents = {frame.capture: frame.layers for frame in found.frames if frame.number == same}
    assert all(f"GET {page_of[name][0]}" in layers for name, layers in contents.items())
    assert {frame.capture: frame.claims for frame in found.frames if frame.claims} == {
        kept: ("K1", "K2"),
        closed: ("K2", "K3"),
    }
    page = render_report(result, load_claims(), None, found)
    link = f'<a href="#frame-{same}-capture-kept">{same}</a> of {kept}'
    assert f"[frame {link}]" in page
    assert f'[frame {link}; frame <a href="#frame-{same}">{same}</a> of {closed}]' in page
    ids = re.findall(r'id="(frame-[^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#(frame-[^"]+)"', page)) <= set(ids)
    assert f"wireshark {kept}" in page
    assert f"wireshark {closed}" in page


def test_evidence_that_no_sample_shows_has_a_ladder_of_its_own(tmp_path: Path) -> None:
    with_warm_up(tmp_path)
    warm_up, measured = (frames_of(tmp_path, f"GET /load-{number}".encode()) for number in (0, 2))
    found = with_warm_up(
        tmp_path, Verdict("H9", "shown", "Shown.", (measured,)), Verdict("H4", "shown", "Too.", (warm_up,))
    )
    assert [(part.kind, part.name) for part in found.parts] == [("sample", "1.1-pipelined"), ("evidence", "H4")]
    # Neighbours in the same connection stand beside the cited message.
    words = [row.words for row in found.parts[1].rows]
    assert words[:4] == ["SYN", "SYN ACK", "GET /load-0", "200 OK, 4,000 octets"]
    assert {part.capture for part in found.parts} == {"capture.pcapng"}
    # It opens the report if samples show the whole evidence of no claim.
    found = with_warm_up(tmp_path, Verdict("H4", "shown", "Shown.", (warm_up,)))
    assert [part.kind for part in found.parts] == ["evidence", "sample"]


def test_a_run_without_samples_opens_with_its_evidence_in_each_capture(tmp_path: Path) -> None:
    claims = []
    for name, loads in (("capture-expire", 9), ("capture-service", 4)):
        path = Path2()
        for number in range(loads):
            page_load(path, tuple(f"/{name}/{number}" for _ in range(FIRST_MESSAGES)), port=50000 + number)
        path.write(tmp_path / "capture.pcapng")
        number = frames_of(tmp_path, f"GET /{name}/{loads - 1}".encode())
        (tmp_path / "capture.pcapng").rename(tmp_path / f"{name}.pcapng")
        claims.append(FrameNumber(number, f"{name}.pcapng"))
    result = sample_result(
        claims=(shown("S5", "Shown.", claims),), files=replace(FILES, capture="capture-expire.pcapng"), comparisons=()
    )
    found = run_pictures(tmp_path, result)
    assert found is not None
    assert [(part.kind, part.name, part.capture) for part in found.parts] == [
        ("evidence", "S5", "capture-expire.pcapng"),
        ("evidence", "S5", "capture-service.pcapng"),
    ]
    assert all("S5 </tspan>" in part.svg and not part.left_out for part in found.parts)
    page = render_report(result, load_claims(), None, found)
    assert "<b>Evidence of S5</b>: the cited messages of capture-service.pcapng" in page


def three_times(folder: Path) -> RunPictures:
    """Return the pictures of a run with a page of three objects one by one, in parallel, and in another capture."""
    spans = {}
    for name, targets in (("capture", ("/a", "/b", "/c")), ("other", ("/d",))):
        path = Path2()
        page_load(path, targets)
        spans[name] = CaptureSpan(f"{name}.pcapng", 0, round(path.now_ms * 1e6))
        path.write(folder / f"{name}.pcapng")
    one = sample_result().comparisons[0]
    compared = tuple(
        replace(one, name=name, raw_s=raw_s, span=spans[capture])
        for name, raw_s, capture in (("middle", 0.2, "capture"), ("slow", 0.3, "capture"), ("fast", 0.1, "other"))
    )
    found = run_pictures(folder, sample_result(claims=(), files=FILES, comparisons=compared))
    assert found is not None
    return found


def test_the_slowest_and_the_fastest_are_compared_and_a_sample_of_another_capture_is_drawn(tmp_path: Path) -> None:
    found = three_times(tmp_path)
    assert [(part.name, part.capture) for part in found.compared] == [
        ("slow", "capture.pcapng"),
        ("fast", "other.pcapng"),
    ]
    assert [part.name for part in found.parts] == ["middle"]
    assert "GET /d" in [row.words for row in found.compared[1].rows]
    assert found.undrawn == {}


def test_compared_ladders_have_one_scale(tmp_path: Path) -> None:
    heights = []
    for part in three_times(tmp_path).compared:
        lines = re.findall(r'x1="\d[^"]*" y1="([^"]+)" x2="\d[^"]*" y2="([^"]+)" stroke=', part.svg)
        # The SYN, whose delay is the same in both.
        heights.append(float(lines[0][1]) - float(lines[0][0]))
    assert heights[0] == pytest.approx(heights[1], abs=0.2)


def test_the_table_behind_a_ladder_has_departure_arrival_and_the_waits_between(tmp_path: Path) -> None:
    path = Path2()
    connection = page_load(path)
    path.after(500)
    connection.client("PA", request("/again"))
    path.write(tmp_path / "capture.pcapng")
    result = sample_result(claims=(), files=FILES, comparisons=())
    found = run_pictures(tmp_path, result)
    assert found is not None
    row = next(row for row in found.parts[0].rows if row.words == "GET /")
    assert (row.source, row.target) == ("client", "server")
    assert float(row.arrived) - float(row.sent) == pytest.approx(float(row.took)) == pytest.approx(10)
    assert row.frames[0][1] == f"frame-{row.frames[0][0]}"
    assert any("ms idle" in wait for one in found.parts[0].rows for wait in one.waits)
    page = render_report(result, load_claims(), None, found)
    assert '<tr class="waits">' in page


def test_a_rest_of_messages_is_inside_of_the_part_that_it_follows(tmp_path: Path) -> None:
    path = Path2()
    page_load(path, tuple(f"/{number}" for number in range(FIRST_MESSAGES)))
    path.write(tmp_path / "capture.pcapng")
    span = CaptureSpan("capture.pcapng", 0, round(path.now_ms * 1e6))
    compared = tuple(
        replace(sample_result().comparisons[0], name=name, span=span) for name in ("cold", "warm", "changed")
    )
    result = sample_result(claims=(), files=FILES, comparisons=compared)
    page = render_report(result, load_claims(), None, run_pictures(tmp_path, result))
    _, *parts = page.partition('<p class="soft small">One sample')[0].split('<details class="part"')
    # Two parts are open: a comparison needs two, such as a page with a cold cache and with a warm one.
    assert [part.startswith(" open>") for part in parts] == [True, True, False]
    for part in parts:
        assert part.index("more messages follow") < part.rindex("</details>")
