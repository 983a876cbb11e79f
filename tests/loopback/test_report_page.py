"""A run's report in headless Chromium: requests, console, links, folding by keyboard, contrast, width, first screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.report.page import render_report, write_report
from lab7.experiments.harness.results.network import Direction, LinkDescription, NetworkDescription
from lab7.experiments.harness.results.result import CaptureSpan, Files
from lab7.experiments.ladder.ladder import Ladder
from lab7.experiments.ladder.run_pictures import MessageRow, Picture, RunPictures
from lab7.experiments.ladder.svg import Drawing, render_svg
from lab7.experiments.waterfall.run_waterfall import Waterfall
from lab7.experiments.waterfall.svg import PAGE, PHONE, render_terms, term_bars
from tests.core.experiments.harness.samples import sample_result
from tests.core.experiments.harness.wire import CLIENT, SERVER
from tests.core.experiments.ladder.test_drawings import arrow
from tests.core.experiments.ladder.wire import Path2, page_load
from tests.loopback.browser import Browser, needs_browser

pytestmark = needs_browser
SCREENS = [(375, 800), (1440, 900)]
# A4 at 96 pixels an inch, less margins of a centimetre.
PAPER = (718, 1047)
SHAPE = Direction(1e7, 0.01, 0.0, 100)
NETWORK = NetworkDescription(
    {"client": (CLIENT,), "server": (SERVER,)},
    ("s1",),
    (
        LinkDescription("client", "s1", "client-eth0", "s1-eth1", SHAPE, SHAPE),
        LinkDescription("server", "s1", "server-eth0", "s1-eth2", Direction(), Direction()),
    ),
)
# Elements right of the screen that no scrolling element contains.
OVERFLOWING = """[...document.querySelectorAll("main *")]
 .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
 .filter(one => !one.closest(".scroll, pre, svg, details:not([open])")).map(one => one.outerHTML.slice(0, 90))"""
DANGLING = """[...document.querySelectorAll("a")].map(one => one.getAttribute("href"))
 .filter(href => href?.startsWith("#") && !document.getElementById(href.slice(1)))"""
# Texts whose contrast with their background is below 4.5, or 3 for large ones (WCAG 2.2, 1.4.3).
FAINT = """(() => {
 const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
 const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
 const light = colour => colour.slice(0, 3).map(v => linear(v / 255))
   .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
 const found = new Set();
 const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
 while (walk.nextNode()) {
   const one = walk.currentNode.parentElement;
   if (!walk.currentNode.data.trim() || one.closest("style, title, .plot svg")) continue;
   if (!one.getClientRects().length) continue;
   const style = getComputedStyle(one), svg = one.closest("svg");
   let at = one, back = [255, 255, 255];
   for (; at; at = at.parentElement) {
     const colour = parse(getComputedStyle(at).backgroundColor);
     if (colour.length === 3 || colour[3] === 1) { back = colour; break; }
   }
   const [a, b] = [light(parse(svg ? style.fill : style.color)), light(back)].sort((x, y) => y - x);
   const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
   if ((a + .05) / (b + .05) < (large ? 3 : 4.5)) found.add(`${one.tagName} ${one.getAttribute("class")}`);
 }
 return [...found];
})()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    path = Path2()
    page_load(path, ("/", "/picture.png"))
    path.write(folder / "capture.pcapng")
    claims = (Verdict("H1", "shown", "Shown.", (1, 2, 3)), Verdict("H2", "failed", "Not shown.", (5, 6)))
    result = sample_result(claims=claims, files=Files("capture.pcapng", "timings.csv", "report.html"))
    return write_report(folder, replace(result, network=NETWORK), load_claims())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.mark.parametrize(("width", "height"), SCREENS)
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_the_report_is_whole_readable_and_fits(
    report: Path, browser: Browser, width: int, height: int, is_dark: bool
) -> None:
    browser.show_as(width, height, is_dark)
    browser.events.clear()
    browser.open(report.as_uri())
    requests = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert set(requests) == {report.as_uri()}
    errors = [e for e in browser.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert errors == []
    assert browser.value(DANGLING) == []
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value(OVERFLOWING) == []
    assert browser.value(FAINT) == []
    first = "document.querySelector('{}').getBoundingClientRect().{}"
    assert browser.value(first.format("div.overview", "top")) < height * 0.75
    # On a page the ladder begins on the first screen, too.
    assert width < 600 or browser.value(first.format("svg.ladder", "top")) < height * 0.75


@pytest.fixture(scope="module")
def compared_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run that compares two times, each with a sample in the capture."""
    folder = tmp_path_factory.mktemp("compared")
    path, spans = Path2(), list[CaptureSpan]()
    for targets in (("/", "/a", "/b"), ("/",)):
        start_ns = round(path.now_ms * 1e6)
        page_load(path, targets, port=40000 + len(spans))
        spans.append(CaptureSpan("capture.pcapng", start_ns, round(path.now_ms * 1e6)))
        path.after(100)
    path.write(folder / "capture.pcapng")
    one = sample_result().comparisons[0]
    compared = (
        replace(one, name="three", raw_s=0.31, span=spans[0]),
        replace(one, name="one", raw_s=0.12, span=spans[1], terms={"tcp_handshake": 0.1, "request": 0.02}),
    )
    files = Files("capture.pcapng", "timings.csv", "report.html")
    return write_report(folder, sample_result(claims=(), files=files, comparisons=compared), load_claims())


def test_two_compared_ladders_are_side_by_side_and_the_answer_is_above_them(
    compared_report: Path, browser: Browser
) -> None:
    browser.show_as(1440, 900)
    browser.open(compared_report.as_uri())
    places = browser.value(
        "[...document.querySelectorAll('.pair svg.ladder.on-page')].map(one => one.getBoundingClientRect().toJSON())"
    )
    assert len(places) == 2
    assert places[0]["top"] == places[1]["top"] < 900
    assert places[0]["right"] <= places[1]["left"]
    assert browser.value("document.querySelector('p.answer').getBoundingClientRect().bottom") < 450
    assert browser.value("document.querySelector('p.answer').textContent").strip().startswith("three takes 2.6 times")
    browser.show_as(375, 800)
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value(OVERFLOWING) == []


ROW = MessageRow("DNS", "eu-user", "eu-edge", "www.example.com. A?", "0.000", "10.000", "10.000", 40, ((1, None),))
HOSTS = ("eu-user", "eu-edge", "origin", "ns-cdn", "ns-net", "eu-dns", "ns-root", "ns-com", "ns-example")
# Scrolling elements whose content is cut off, of those that are shown.
CUT = """[...document.querySelectorAll(".scroll")]
 .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth)
 .map(one => one.getAttribute("aria-label"))"""


@pytest.fixture(scope="module")
def wide_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run with a ladder of nine hosts and a long formula."""
    arrows = [arrow(place, place + 1, 10 * place, f"www{place}.example.com. A?") for place in range(len(HOSTS) - 1)]
    ladder = Ladder(HOSTS, tuple(arrows))
    drawing = Drawing(words="on-page")
    svg = render_svg(ladder, drawing) + render_svg(ladder, replace(drawing, phone=True, words="on-phone"))
    result = sample_result()
    comparison = replace(result.comparisons[0], name="one by one, apart", formula="DNS + (m+c) RTT origin + " * 3 + "X")
    name = "capture.pcapng"
    pictures = RunPictures(name, (name,), (Picture(svg, ()),), {"H9": (Picture(svg, (ROW,)),)}, ())
    bars = render_terms("Terms", term_bars({"dns": 0.3}, {"dns": 0.3}, True), PAGE)
    bars += render_terms("Terms", term_bars({"dns": 0.3}, {"dns": 0.3}, True), PHONE)
    page = render_report(
        replace(result, comparisons=(comparison,)), load_claims(), None, pictures, [Waterfall(comparison, bars)]
    )
    path = tmp_path_factory.mktemp("wide") / "report.html"
    path.write_text(page)
    return path


def test_wide_ladders_and_tables_take_the_width_of_the_window(wide_report: Path, browser: Browser) -> None:
    browser.show_as(1440, 900)
    browser.open(wide_report.as_uri())
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.value(CUT) == []
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value("document.querySelector('svg.ladder').getBoundingClientRect().width") > 1200
    # The table of messages has the width of the card, not that of a claim's id.
    assert browser.value("document.querySelector('.picture table').getBoundingClientRect().width") > 400
    # Text keeps lines that can be read.
    assert browser.value("document.querySelector('h1').getBoundingClientRect().width") < 1000


def test_a_ladder_of_two_hosts_and_waterfalls_fit_a_phone(report: Path, wide_report: Path, browser: Browser) -> None:
    browser.show_as(375, 800)
    for page in (report, wide_report):
        browser.open(page.as_uri())
        browser.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert not [
            name for name in browser.value(CUT) if name.startswith("Terms") or (page == report and "Ladder" in name)
        ]
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    # What does not fit can be scrolled to with the keyboard.
    assert browser.value("[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0 && one.ariaLabel)")


def test_what_is_folded_opens_by_keyboard(report: Path, browser: Browser) -> None:
    browser.open(report.as_uri())
    for _ in range(200):
        browser.press("Tab")
        if browser.value("document.activeElement.matches('details:not([open]) > summary')"):
            break
    assert browser.value("document.activeElement.parentElement.open") is False
    browser.press("Enter")
    assert browser.value("document.activeElement.parentElement.open") is True


def test_a_link_to_a_frame_opens_it(report: Path, browser: Browser) -> None:
    browser.open(report.as_uri())
    browser.value("location.hash = '#frame-5'")
    assert browser.value("document.getElementById('frame-5').closest('details').open") is True


def test_in_print_the_first_page_has_the_ladder_and_waterfalls_are_open(browser: Browser, tmp_path: Path) -> None:
    path = Path2()
    page_load(path, tuple(f"/{number}.png" for number in range(30)))
    path.write(tmp_path / "capture.pcapng")
    files = Files("capture.pcapng", "timings.csv", "report.html")
    page = write_report(tmp_path, sample_result(claims=(), files=files), load_claims())
    browser.show_as(*PAPER)
    browser.open(page.as_uri())
    ladder = "document.querySelector('svg.ladder').getBoundingClientRect()"
    assert browser.value(f"{ladder}.height") > PAPER[1]
    browser.value("document.querySelectorAll('details.waterfall').forEach(one => { one.open = false; })")
    hidden = """[...document.querySelectorAll('details.waterfall svg.on-page')]
     .filter(one => !one.checkVisibility({contentVisibilityAuto: true})).length"""
    assert browser.value(hidden) > 0
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.value(f"{ladder}.bottom") < PAPER[1]
    assert browser.value(hidden) == 0
    # A picture keeps its proportions.
    assert browser.value(f"{ladder}.width") < browser.value(
        "document.querySelector('svg.ladder').viewBox.baseVal.width"
    )
