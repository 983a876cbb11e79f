"""The live view in headless Chromium: page loads in a host's terminal, a cable that is pulled, a killed service.

The browser runs outside of the network's sandbox and reaches the page by loopback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab7.topologies.emulation.control import registry
from tests.emulation.support import PATIENCE_S, eventually, read_until, start_lab7
from tests.loopback.browser import Browser, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]
WIDE, NARROW = (1440, 1000), (375, 812)
# WCAG 2.1, success criterion 1.4.3.
CONTRAST_MIN = 4.5
# Contrast of each text on the page, as WCAG 2.1 defines it (relative luminance), against what is behind it.
CONTRASTS = """
(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((one) => {
    const share = one / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const back = numbers(getComputedStyle(at).backgroundColor);
      if (back.length < 4 || back[3] > 0) return back;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const has_text = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!has_text || !element.getClientRects().length || element.matches(":disabled, option, script")) continue;
    const style = getComputedStyle(element);
    const is_drawn = element instanceof SVGElement;
    const [a, b] = [light(numbers(is_drawn ? style.fill : style.color)), light(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.tagName + " " + element.textContent.trim().slice(0, 30)]);
  }
  return found.sort((x, y) => x[0] - y[0]).slice(0, 3);
})()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("view")


@pytest.fixture(scope="module")
def changes(folder: Path) -> Mapping[str, str]:
    return {registry.VARIABLE: str(folder / "runtime")}


@pytest.fixture(scope="module")
def url(folder: Path, changes: Mapping[str, str]) -> Iterator[str]:
    process = start_lab7("up", "internet", "--view", cwd=folder, changes=changes)
    said = read_until(process, b"view: ")
    if b"\n" not in said.rpartition(b"view: ")[2]:
        said += read_until(process, b"\n")
    found = re.search(r"view: (http://127\.0\.0\.1:\d+/\S+/)\n", said.decode())
    assert found is not None
    yield found[1]
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


class Page:
    """The page in a browser, and what a person does on it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        browser.open(url)
        self.until("document.querySelector('#status').textContent.endsWith('up')")

    def until(self, expression: str) -> None:
        assert eventually(lambda: bool(self.browser.value(expression))), (
            expression,
            self.text("#output")[-500:],
            self.text("#problem"),
        )

    def text(self, selector: str) -> str:
        return str(self.browser.value(f"document.querySelector({json.dumps(selector)}).textContent"))

    def choose(self, selector: str, label: str) -> None:
        """Choose an entry of a list by its label."""
        self.browser.value(
            f"(() => {{ const list = document.querySelector({json.dumps(selector)});"
            f"list.value = [...list.options].find((one) => one.textContent === {json.dumps(label)}).value;"
            "list.dispatchEvent(new Event('change')); })()"
        )

    def press_button(self, selector: str) -> None:
        self.browser.value(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, line: str, until: str) -> None:
        """Type a line in the terminal, and wait until its output has a text that it does not have in itself."""
        before = len(self.text("#output"))
        self.browser.type("#line", line)
        self.browser.press("Enter")
        self.until(f"document.querySelector('#output').textContent.slice({before}).includes({json.dumps(until)})")

    def load(self, status: str) -> None:
        """Load the origin's page in alice's terminal, past all caches."""
        self.type(
            "curl -s -m 4 -o /dev/null -w 'status''=%{http_code}\\n' http://origin.example.com/", f"status={status}"
        )

    def overflow(self) -> Any:
        return self.browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(scope="module")
def page(url: str, folder: Path) -> Iterator[Page]:
    with Browser(folder / "profile") as browser:
        browser.show_as(*WIDE)
        yield Page(browser, url)


def test_a_page_load_is_seen_fails_without_the_cable_and_works_again(page: Page) -> None:
    page.choose("#host-choice", "alice")
    page.load("200")
    page.until("[...document.querySelector('#rows').rows].some((row) => /alice .*GET \\/ HTTP/.test(row.textContent))")
    page.until("[...document.querySelector('#rows').rows].some((row) => /origin .*200 OK/.test(row.textContent))")
    page.until("/alice .*origin\\.example\\.com\\. A\\?/.test(document.querySelector('#rows').textContent)")
    page.choose("#link-choice", "origin-s0")
    page.press_button("#cable")
    page.until("document.querySelector('#link-state').textContent.startsWith('down')")
    page.until("document.querySelector('.cable.chosen').classList.contains('down')")
    page.load("000")
    page.press_button("#cable")
    page.until("document.querySelector('#link-state').textContent.startsWith('up')")
    page.load("200")


def test_a_delay_is_changed(page: Page) -> None:
    page.choose("#host-choice", "alice")
    page.choose("#link-choice", "origin-s0")
    page.browser.value("document.querySelector('#delay').value = '300'")
    page.press_button("#shape button")
    page.until("document.querySelector('#link-state').textContent.includes('delay 300 ms')")
    # Two ways of at least 300 ms, and the campus's access link.
    page.type("ping -c 1 10.8.9.1 | grep -c 'time=[6-9][0-9][0-9]'", "\n1\n")
    page.browser.value("document.querySelector('#delay').value = '10'")
    page.press_button("#shape button")
    page.until("document.querySelector('#link-state').textContent.includes('delay 10 ms')")


def test_a_service_is_killed_and_restarted(page: Page) -> None:
    page.choose("#host-choice", "origin")
    page.press_button("#services [data-action=kill]")
    page.until("document.querySelector('#services').textContent.includes('has ended')")
    page.choose("#host-choice", "alice")
    page.load("000")
    page.choose("#host-choice", "origin")
    page.press_button("#services [data-action=restart]")
    page.until("!document.querySelector('#services').textContent.includes('has ended')")
    page.choose("#host-choice", "alice")
    page.load("200")


def test_what_to_try_is_tried_by_a_click(page: Page) -> None:
    page.browser.value(
        "[...document.querySelectorAll('.try')].find((one) => one.textContent === 'alice dig www.example.com').click()"
    )
    page.until("document.querySelector('#output').textContent.includes('ANSWER SECTION')")


def test_a_program_is_stopped_by_control_c(page: Page) -> None:
    page.choose("#host-choice", "carol")
    page.type("ping 10.8.4.101", "icmp_seq=2")
    page.press_button("#interrupt")
    page.until("document.querySelector('#output').textContent.includes('packets transmitted')")


def test_the_keyboard_reaches_hosts_and_links(page: Page) -> None:
    page.browser.value("document.querySelector('[data-node=ftp]').focus()")
    page.browser.press("Enter")
    assert page.browser.value("document.querySelector('#host-choice').value") == "ftp"
    assert page.browser.value("document.activeElement.id") == "line"
    page.browser.value("document.querySelector('.cable[aria-label=\"link ftp-s0\"]').focus()")
    page.browser.press("Enter")
    assert page.browser.value("document.querySelector('#link-choice').selectedOptions[0].textContent") == "ftp-s0"


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_fits_the_screen_and_can_be_read(page: Page, size: tuple[int, int], is_dark: bool, folder: Path) -> None:
    page.browser.show_as(*size, is_dark=is_dark)
    page.browser.picture(folder / f"view-{size[0]}-{'dark' if is_dark else 'light'}.png")
    assert page.overflow() == 0
    worst = page.browser.value(CONTRASTS)
    assert worst[0][0] >= CONTRAST_MIN, worst
    page.browser.show_as(*WIDE)


def test_the_page_asks_its_server_alone_and_makes_no_errors(page: Page, url: str) -> None:
    events = page.browser.events
    asked = [one["params"]["request"]["url"] for one in events if one.get("method") == "Network.requestWillBeSent"]
    assert asked
    assert [one for one in asked if not one.startswith((url, "data:", "about:"))] == []
    wrong = [one for one in events if one.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert wrong == []


def test_the_lists_on_the_page_are_bounded(page: Page) -> None:
    page.choose("#host-choice", "carol")
    page.type("seq 20000 | tail -c 100000; echo en''d", "end")
    packet = {"event": "packet", "time": 0, "first": True, "bytes": 1}
    packet |= dict.fromkeys(("link", "from", "to", "source", "target", "protocol", "summary"), "")
    page.browser.value(f"for (let n = 0; n < 3000; n++) add_packet({json.dumps(packet)})")
    page.until("document.querySelector('#rows').rows.length === ROWS_MAX")
    assert page.browser.value("kept.length <= 2 * ROWS_MAX && texts.get('carol').length <= TEXT_MAX")
