"""Drawings of ladders: the time axis, SVG, text for a terminal, and Mermaid."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.ladder.ladder import Arrow, Ladder
from lab7.experiments.ladder.svg import CHARACTER_PX, COLUMN_PX_MIN, PAGE_PX, PHONE_PAGE_PX, Drawing, render_svg
from lab7.experiments.ladder.text import render_mermaid, render_text
from lab7.experiments.ladder.time_axis import CUT_PX, HEIGHT_MAX_PX, Kind, TimeAxis

MS = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script>&\"]]>"


def arrow(
    source: int,
    target: int,
    sent_ms: float,
    label: str = "GET /",
    *,
    lasts_ms: float = 0,
    delay_ms: float | None = 10,
    lost: bool = False,
    frame: int = 1,
) -> Arrow:
    sent, last = round(sent_ms * MS), round((sent_ms + lasts_ms) * MS)
    delay = None if delay_ms is None else round(delay_ms * MS)
    return Arrow(
        source,
        target,
        "http",
        label,
        sent,
        last,
        None if delay is None else sent + delay,
        None if delay is None else last + delay,
        (frame,),
        () if delay is None else (frame + 1,),
        40,
        response=source > target,
        lost=lost,
    )


TWO = Ladder(("client", "server"), (arrow(0, 1, 0), arrow(1, 0, 10, "200 OK", lasts_ms=5, frame=3)))
LOST = Ladder(("client", "server"), (arrow(0, 1, 0, delay_ms=None, lost=True), arrow(0, 1, 50)))
UNSEEN = Ladder(("client", "server"), (arrow(0, 1, 0, delay_ms=None), arrow(0, 1, 50)))


def shapes(svg: str, tag: str) -> list[dict[str, str]]:
    return [element.attrib for element in ElementTree.fromstring(svg).iter(SVG + tag)]


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(SVG + "text")]


# The time axis.


@pytest.mark.parametrize("kind", ["fitted", "scale"])
def test_positions_increase_with_time(kind: Kind) -> None:
    times = [0, 5, 1000, 1001, 900_000, 10**9, 10**9 + 7]
    axis = TimeAxis(times, {0: 1, 1000: 2}, 500, 40, kind)
    places = [axis.y(time) for time in times]
    assert places[0] == 40
    assert axis.bottom == places[-1]
    assert all(later > earlier for earlier, later in pairwise(places))


def test_an_axis_to_scale_is_linear() -> None:
    axis = TimeAxis([0, 10, 100], {}, 10, 0, "scale")
    assert axis.y(100) == pytest.approx(10 * axis.y(10))
    assert axis.y(55) == pytest.approx(axis.y(100) * 0.55)


def test_an_axis_to_scale_keeps_below_the_maximum_height() -> None:
    assert TimeAxis([0, 1, 10**12], {}, 1, 0, "scale").bottom <= HEIGHT_MAX_PX + 1


def test_a_long_wait_is_cut_and_its_length_is_kept() -> None:
    axis = TimeAxis([0, 10 * MS, 5000 * MS], {}, 10 * MS, 0)
    (cut,) = axis.cuts
    assert cut.length_ns == 4990 * MS
    assert axis.y(10 * MS) < cut.y < axis.bottom
    assert axis.bottom - axis.y(10 * MS) < CUT_PX


def test_no_time_is_cut_while_a_message_is_on_its_way() -> None:
    names = ("client", "near", "far")
    arrows = (arrow(0, 1, 0, delay_ms=5), arrow(0, 1, 5, delay_ms=5), arrow(0, 2, 10, delay_ms=100), arrow(2, 0, 900))
    svg = render_svg(Ladder(names, arrows))
    cuts = [text for text in texts(svg) if text.startswith("+")]
    assert cuts == ["+790.000"]
    heights = [float(line["y2"]) - float(line["y1"]) for line in shapes(svg, "line") if "stroke-width" in line]
    assert heights[2] <= CUT_PX


@given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(1, 10**9)), min_size=2, max_size=8))
def test_cuts_are_idle_times(messages: list[tuple[int, int]]) -> None:
    flights = [(start, start + delay) for start, delay in messages]
    times = {time for flight in flights for time in flight}
    axis = TimeAxis(times, {}, 10 * MS, 0, flights=flights)
    places = {axis.y(time): time for time in times}
    for cut in axis.cuts:
        earlier = max(time for place, time in places.items() if place < cut.y)
        later = min(time for place, time in places.items() if place > cut.y)
        assert later - earlier == cut.length_ns
        assert not any(start <= earlier and later <= end for start, end in flights)


def test_slopes_are_proportional_to_delays() -> None:
    arrows = (arrow(0, 1, 0, delay_ms=10), arrow(0, 1, 10, delay_ms=10), arrow(0, 1, 20, delay_ms=40))
    svg = render_svg(Ladder(("a", "b"), arrows))
    heights = [float(line["y2"]) - float(line["y1"]) for line in shapes(svg, "line") if "stroke-width" in line]
    assert heights[2] == pytest.approx(4 * heights[0], abs=1)


def test_times_outside_of_the_axis_are_at_its_ends() -> None:
    axis = TimeAxis([10, 20], {}, 5, 7)
    assert (axis.y(0), axis.y(99)) == (7, axis.bottom)


# SVG.


@pytest.mark.parametrize("one", [TWO, LOST, UNSEEN])
@pytest.mark.parametrize("kind", ["fitted", "scale"])
@pytest.mark.parametrize("standalone", [False, True])
def test_an_svg_is_well_formed_and_asks_for_nothing(one: Ladder, kind: Kind, standalone: bool) -> None:
    svg = render_svg(one, Drawing(kind, standalone=standalone))
    root = ElementTree.fromstring(svg)
    assert root.tag == SVG + "svg"
    bare = svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|url\(|@import|<script|<image|\bon\w+=", bare)


def test_hostile_labels_host_names_marks_and_titles_stay_text() -> None:
    one = Ladder((HOSTILE, "b"), (arrow(0, 1, 0, HOSTILE),))
    svg = render_svg(one, Drawing(title=HOSTILE, marks={0: [HOSTILE]}, link=lambda _: HOSTILE))
    root = ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "]]>" not in svg
    assert root.attrib["aria-label"] == HOSTILE
    assert HOSTILE in texts(svg)[0]


def test_octets_that_xml_forbids_are_replaced() -> None:
    one = Ladder(("a", "b\x00"), (arrow(0, 1, 0, "GET /\x00\x1b[2J\ud800"),))
    ElementTree.fromstring(render_svg(one).encode("utf-8"))


def test_the_slope_of_an_arrow_is_its_delay_and_its_thickness_the_transmission() -> None:
    svg = render_svg(TWO, Drawing("scale"))
    (polygon,) = shapes(svg, "polygon")
    points = [tuple(map(float, point.split(","))) for point in polygon["points"].split()]
    (_, first), (_, arrives), (_, complete), (_, last) = points
    assert arrives - first == pytest.approx(2 * (last - first), abs=0.2)
    assert complete - arrives == pytest.approx(last - first, abs=0.2)


def test_a_lost_message_ends_in_a_cross_between_the_columns() -> None:
    assert 'class="lost"' in render_svg(LOST)
    assert 'class="lost"' not in render_svg(UNSEEN)


def test_a_message_whose_arrival_was_not_captured_is_dashed_to_the_other_column() -> None:
    svg = render_svg(UNSEEN)
    columns = sorted({float(line["x1"]) for line in shapes(svg, "line") if line.get("class") == "life"})
    (dashed,) = [line for line in shapes(svg, "line") if "stroke-dasharray" in line]
    assert float(dashed["x1"]) == columns[0]
    assert float(dashed["x2"]) == pytest.approx(columns[1], abs=8)


def test_every_arrow_has_a_sentence_with_hosts_times_octets_and_frames() -> None:
    svg = render_svg(TWO)
    assert (
        "<title>HTTP, client to server: GET /; sent at 0.000 ms, received at 10.000 ms; 40 octets, "
        "frame 1, at the receiver frame 2</title>"
    ) in svg


def test_marks_are_bold_words_before_the_label() -> None:
    svg = render_svg(TWO, Drawing(marks={1: ["H5", "H7"]}))
    assert "H5 H7 200 OK" in texts(svg)
    assert [span["class"] for span in shapes(svg, "tspan")] == ["mark mark-0", "mark mark-1"]


def test_links_lead_from_arrows_to_their_targets() -> None:
    svg = render_svg(TWO, Drawing(link=lambda one: f"#frame-{one.frames[0]}" if one.frames[0] == 3 else None))
    assert [link["href"] for link in shapes(svg, "a")] == ["#frame-3"]


def test_labels_are_above_all_arrows_and_lie_along_theirs() -> None:
    one = Ladder(("client", "server"), (arrow(0, 1, 0, "GET /a"), arrow(0, 1, 1, "GET /b"), arrow(1, 0, 11, "200 OK")))
    svg = render_svg(one)
    assert svg.rindex("<line") < svg.index('class="label"')
    labels = [text for text in shapes(svg, "text") if text["class"] == "label"]
    lines = [line for line in shapes(svg, "line") if "stroke-width" in line]
    for label, line in zip(labels, lines, strict=True):
        x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
        angle = float(label["transform"].removeprefix("rotate(").split()[0])
        assert angle == pytest.approx(math.degrees(math.atan((y2 - y1) / (x2 - x1))), abs=0.6)


def test_times_of_arrival_are_on_the_right_where_they_do_not_overlap() -> None:
    one = Ladder(("client", "server"), (arrow(0, 1, 0), arrow(0, 1, 0.01), arrow(1, 0, 40)))
    arrived = [(float(text["y"]), text) for text in shapes(render_svg(one), "text") if text.get("class") == "arrived"]
    assert [place for place, _ in arrived] == sorted(place for place, _ in arrived)
    assert all(later - earlier >= 11 for (earlier, _), (later, _) in pairwise(arrived))
    assert {"arrived, ms", "10.000", "50.000"} <= set(texts(render_svg(one)))
    # A phone has no room for them.
    assert "arrived, ms" not in texts(render_svg(one, Drawing(phone=True)))


def test_a_time_that_is_cut_has_no_grid_lines() -> None:
    one = Ladder(("a", "b"), (arrow(0, 1, 0), arrow(0, 1, 2000)))
    svg = render_svg(one, Drawing(grid_ns=20 * MS))
    places = [float(line["y1"]) for line in shapes(svg, "line") if line.get("class") == "grid"]
    assert len(places) < 5


def test_grid_lines_are_one_round_trip_apart() -> None:
    svg = render_svg(TWO, Drawing("scale", grid_ns=10 * MS))
    places = [float(line["y1"]) for line in shapes(svg, "line") if line.get("class") == "grid"]
    assert len(places) == 3
    assert places[2] - places[1] == pytest.approx(places[1] - places[0], abs=0.2)


def test_the_number_of_grid_lines_is_bounded() -> None:
    one = Ladder(("a", "b"), (arrow(0, 1, 0), arrow(0, 1, 3_600_000)))
    svg = render_svg(one, Drawing(grid_ns=1000))
    assert len(shapes(svg, "line")) < 1000


def test_a_message_of_a_host_to_itself_returns_to_its_column() -> None:
    ElementTree.fromstring(render_svg(Ladder(("a", "b"), (arrow(0, 0, 0), arrow(0, 1, 1)))))


def test_a_ladder_without_messages_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="without messages"):
        render_svg(Ladder((), ()))


# Text.


def test_text_has_a_line_a_message_with_both_times() -> None:
    lines = render_text(TWO, 80).splitlines()
    assert lines[0].split() == ["sent,", "ms", "client", "server"]
    assert re.fullmatch(r"\s+0\.000  \| GET / -+>\|\s+10\.000", lines[1])
    assert re.fullmatch(r"\s+10\.000  \|<-+ 200 OK \|\s+25\.000", lines[2])


def test_text_shows_lost_and_uncaptured_arrivals() -> None:
    assert re.search(r"GET / -+x\| +lost$", render_text(LOST, 80).splitlines()[1])
    assert re.search(r"GET / -+>\| +-$", render_text(UNSEEN, 80).splitlines()[1])


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("columns", [1, 2, 3, 5])
def test_lines_of_text_keep_to_the_width(width: int, columns: int) -> None:
    names = tuple(f"host-{number}" for number in range(columns))
    arrows = tuple(arrow(place % columns, (place + 1) % columns, place, "GET /" + "x" * 90) for place in range(8))
    for line in render_text(Ladder(names, arrows), width).splitlines():
        # With more columns than the width has room for, a column keeps its minimum.
        assert len(line) <= max(width, 12 * columns + 34)


def test_control_characters_do_not_reach_the_terminal() -> None:
    one = Ladder(("a\x1b[2J", "b"), (arrow(0, 1, 0, "GET /\x1b[2J\x07"),))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", render_text(one))


# Mermaid.


def test_mermaid_has_a_participant_a_host_and_a_line_a_message() -> None:
    assert render_mermaid(TWO).splitlines() == [
        "sequenceDiagram",
        "    participant h0 as client",
        "    participant h1 as server",
        "    h0->>h1: GET / (0.000 to 10.000 ms)",
        "    h1-->>h0: 200 OK (10.000 to 25.000 ms)",
    ]


def test_mermaid_marks_a_lost_message_and_keeps_statements_apart() -> None:
    one = Ladder(("a", "b"), (arrow(0, 1, 0, "x; y #z\nend", delay_ms=None, lost=True),))
    assert render_mermaid(one).splitlines()[-1] == "    h0--xh1: x, y no. z end (0.000 ms)"


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_the_narrow_form_of_a_drawing_of_few_hosts_fits_a_phone(columns: int) -> None:
    names = tuple(f"reflector-{number}.example.org" for number in range(columns))
    one = Ladder(names, tuple(arrow(place, place + 1, 1000 * place, 60 * "x") for place in range(columns - 1)))
    svg = render_svg(one, Drawing(phone=True))
    assert float(ElementTree.fromstring(svg).get("width", "0")) <= PHONE_PAGE_PX
    # Names side by side do not run into each other: those of one line have two columns each.
    places = [(float(text["x"]), text["y"]) for text in shapes(svg, "text") if text.get("class") == "host"]
    shown = [text for text in texts(svg) if text.startswith("reflector-")]
    room = int(2 * (places[1][0] - places[0][0]) / CHARACTER_PX) if columns > 2 else 99
    assert [height for _, height in places] == [places[number % 2][1] for number in range(columns)]
    assert all(len(text) <= room for text in shown)


@pytest.mark.parametrize("phone", [False, True])
def test_no_arrow_runs_through_the_label_of_the_answer_to_it(phone: bool) -> None:
    one = Ladder(("client", "server"), (arrow(0, 1, 0, "SYN"), arrow(1, 0, 10, "SYN ACK")))
    svg = render_svg(one, Drawing(phone=phone))
    (label,) = [text for text in shapes(svg, "text") if text.get("text-anchor") == "end" and text["class"] == "label"]
    right, bottom = float(label["x"]), float(label["y"])
    left, top = right - len("SYN ACK") * CHARACTER_PX, bottom - 9
    for line in shapes(svg, "line"):
        if "stroke-width" not in line:
            continue
        x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
        heights = [y1 + (y2 - y1) * (x - x1) / (x2 - x1) for x in (left, right)]
        assert max(heights) <= top or min(heights) >= bottom


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_a_drawing_of_few_hosts_fits_the_page(columns: int) -> None:
    names = tuple(f"host-{number}" for number in range(columns))
    svg = render_svg(Ladder(names, tuple(arrow(place, place + 1, place) for place in range(columns - 1))))
    width = float(ElementTree.fromstring(svg).get("width", "0"))
    assert width <= PAGE_PX
    places = [float(line["x1"]) for line in shapes(svg, "line") if line.get("class") == "life"]
    assert all(right - left >= COLUMN_PX_MIN for left, right in pairwise(places))


def test_the_work_grows_in_proportion_to_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture of 100,000 packets is drawn: no message is compared with all others."""
    heights, usual = [0], TimeAxis.y

    def counted(axis: TimeAxis, time_ns: int) -> float:
        heights[-1] += 1
        return usual(axis, time_ns)

    monkeypatch.setattr(TimeAxis, "y", counted)
    for messages in (100, 1000):
        heights.append(0)
        render_svg(Ladder(("a", "b"), tuple(arrow(place % 2, 1 - place % 2, 10 * place) for place in range(messages))))
    assert heights[2] < 12 * heights[1]
