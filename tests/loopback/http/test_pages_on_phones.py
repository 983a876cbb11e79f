"""HTML pages of the HTTP services in headless Chromium on a phone: error pages, and the origin's index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.browser import Browser, needs_browser
from tests.loopback.http.support import HOST, origin_process

pytestmark = needs_browser

ROOT = Path(__file__).resolve().parents[3] / "topologies" / "www"
WIDTH, HEIGHT = 375, 812


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with origin_process(ROOT) as port:
        yield f"http://{HOST}:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as made:
        made.show_as(WIDTH, HEIGHT)
        yield made


@pytest.mark.parametrize("path", ["/", "/" + "nowhere" * 60, "/%zz"], ids=["index", "not found", "bad request"])
def test_a_page_fits_the_screen_of_a_phone(browser: Browser, origin: str, path: str) -> None:
    browser.open(origin + path)
    assert browser.value("document.body.textContent.trim()") != ""
    # Without a viewport, a phone lays a page out for 980 pixels and shows it as small as that makes it.
    assert browser.value("[innerWidth, document.documentElement.scrollWidth]") == [WIDTH, WIDTH]
    assert browser.value("document.documentElement.lang") == "en"
    for is_dark in (False, True):
        browser.show_as(WIDTH, HEIGHT, is_dark)
        colour = browser.value("getComputedStyle(document.querySelector('h1')).color")
        assert (sum(map(int, colour.strip("rgb()").split(","))) > 3 * 128) is is_dark
