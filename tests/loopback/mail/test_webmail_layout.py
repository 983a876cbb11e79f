"""Layout of webmail's pages in headless Chromium: phones and wide screens, light and dark, keyboard, labels, Back."""

from __future__ import annotations

import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from lab7.services.mail.maildir.delivery import NewMessage
from tests.loopback.browser import Browser, needs_browser
from tests.loopback.mail.support import HOST, Server
from tests.loopback.mail.webmail import maildir_of, webmail

pytestmark = needs_browser

PHONE, DESK = (375, 812), (1440, 900)
# On a phone, the content begins in the first quarter of the screen.
CONTENT_TOP_MAX = 200
LONG = "x" * 300
NEWSLETTER = (
    "<table width=800 style='width:800px !important;min-width:800px'><tr><td width=500 nowrap style='padding:20px'>"
    "<h1 style='margin-left:-400px;margin-top:-600px'>A sale of everything until Sunday</h1>"
    "<img width=760 alt=Banner src='http://localhost:9/track.png'></td>"
    f"<td width=300 bgcolor='#ddeeff'>{LONG}</td></tr></table>"
    + "<p>A paragraph that is as long as paragraphs in newsletters are.</p>" * 60
    + "<p id=end>The end.</p>"
)
# Elements that reach beyond the right edge, except in the box of a message, which scrolls, and in clipped table cells.
BEYOND = """[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility() && box.width > 1 && box.right > innerWidth + 1
    && !one.closest('.letter, .messages td > *');
}).map(one => one.outerHTML.slice(0, 120))"""
# Controls without a name for screen readers.
UNNAMED = """[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, summary')].filter(
  one => ![one.getAttribute('aria-label'), one.textContent, ...[...(one.labels || [])].map(each => each.textContent)]
    .some(name => name && name.trim())
).map(one => one.outerHTML.slice(0, 120))"""
# Texts with less contrast than 4.5 to 1 (WCAG 2.2, success criterion 1.4.3).
FAINT = """(() => {
  const linear = value => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const luminance = colour => {
    const [red, green, blue] = colour.match(/[0-9.]+/g).map(linear);
    return .2126 * red + .7152 * green + .0722 * blue;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (colour != 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')].filter(one => {
    if (![...one.childNodes].some(node => node.nodeType == 3 && node.textContent.trim())) return false;
    if (one.closest('.hidden, .letter, option, [disabled]') || !one.checkVisibility()) return false;
    const [high, low] = [getComputedStyle(one).color, ground(one)].map(luminance).sort((a, b) => b - a);
    return (high + .05) / (low + .05) < 4.5;
  }).map(one => one.outerHTML.slice(0, 120));
})()"""
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.removeAttribute('name'); one.open = true })"


def letter(
    subject: str, text: str = "Hello.\n", html: str = "", files: int = 0, to: str = "alice@example.com"
) -> bytes:
    message = EmailMessage(email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = "Bob Example <bob@example.com>", to, subject
    message["Message-ID"] = "<letter@example.com>"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for number in range(files):
        name = f"file {number} {'w' * 60}.bin"
        message.add_attachment(b"x" * 1000, maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)


LETTERS = {
    "newsletter": letter("Newsletter", html=NEWSLETTER),
    "long": letter("Long " * 60, text=f"{LONG}\nhttps://example.com/{LONG}\n"),
    "unbroken": letter(LONG),
    "hebrew": letter("שלום עולם זו הודעה", text="שלום עולם\n\nEnglish.\n"),
    "files": letter("Twenty files", files=20),
    "many": letter("Many", to=", ".join(f"Person {n} <person{n}@example.com>" for n in range(150))),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    with webmail(tmp_path_factory.mktemp("layout") / "x") as running:
        alice = maildir_of(running[0], "alice")
        inbox = alice.folder("INBOX")
        inbox.refresh()
        inbox.append([NewMessage(letter(f"Number {number}"), "S" if number % 3 else "") for number in range(120)])
        inbox.append([NewMessage(octets) for octets in LETTERS.values()])
        for name in ("Work", "Entw&APw-rfe", "A folder with a name that is long, and longer than others", LONG[:100]):
            alice.create(name)
        yield running


@pytest.fixture(scope="module")
def url(both: tuple[Server, int]) -> str:
    return f"http://{HOST}:{both[1]}"


@pytest.fixture(scope="module")
def addresses(both: tuple[Server, int], url: str) -> dict[str, str]:
    """The URL of each message."""
    inbox = maildir_of(both[0], "alice").folder("INBOX")
    inbox.refresh()
    uids = inbox.uids[-len(LETTERS) :]
    named = zip(LETTERS, uids, strict=True)
    return {name: f"{url}/message?folder=INBOX&uid={uid}&v={inbox.uidvalidity}" for name, uid in named}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as made:
        made.open(url)
        made.type("#user", "alice")
        made.type("#password", "secret")
        made.click("main button")
        yield made


def examine(browser: Browser, content: str) -> None:
    """Check the current page on a phone and on a wide screen, light and dark."""
    browser.show_as(*PHONE)
    top = f"document.querySelector({json.dumps(content)}).getBoundingClientRect().top + scrollY"
    assert browser.value(top) < CONTENT_TOP_MAX
    for _ in ("as it is", "with all disclosure elements open"):
        for width, height in (PHONE, DESK):
            for is_dark in (False, True):
                browser.show_as(width, height, is_dark)
                assert browser.value("document.documentElement.scrollWidth <= innerWidth")
                assert [browser.value(found) for found in (BEYOND, FAINT, UNNAMED)] == [[], [], []]
        browser.value(OPEN_ALL)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/folder?name=INBOX", ".messages tbody tr"),
        ("/folder?name=INBOX&page=2", ".messages tbody tr"),
        ("/folder?name=INBOX&q=Number", ".messages tbody tr"),
        ("/folder?name=INBOX&q=nothing", ".empty"),
        ("/folder?name=Sent", ".empty"),
        ("/compose", "#to"),
        ("/nowhere", "main p"),
    ],
)
def test_pages_fit_every_screen(browser: Browser, url: str, path: str, content: str) -> None:
    browser.open(url + path)
    examine(browser, content)


@pytest.mark.parametrize("name", LETTERS)
def test_messages_fit_every_screen(browser: Browser, addresses: dict[str, str], name: str) -> None:
    browser.open(addresses[name])
    examine(browser, "article h1")
    browser.open(addresses[name].replace("/message", "/compose") + "&way=forward")
    examine(browser, "#to")


def test_html_flows_in_the_page_and_cannot_leave_its_box(browser: Browser, addresses: dict[str, str]) -> None:
    browser.open(addresses["newsletter"])
    for width, height in (PHONE, DESK):
        browser.show_as(width, height)
        box = "document.querySelector('.letter')"
        assert browser.value(f"{box}.scrollHeight == {box}.clientHeight && {box}.clientHeight > innerHeight")
        assert browser.value("document.querySelector('iframe') === null")
        # Its title has margins that would cover the page's actions.
        assert browser.value(
            "(() => { const at = document.querySelector('.actions .button').getBoundingClientRect();"
            "return document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2).textContent })()"
        ) == "Reply"  # fmt: skip
    browser.show_as(*PHONE)
    assert browser.value(f"{box}.scrollWidth <= {box}.clientWidth")


def test_folders_and_search_are_behind_disclosure_elements_on_a_phone(browser: Browser, url: str) -> None:
    browser.open(f"{url}/folder?name=INBOX")
    links = "[...document.querySelectorAll('.folders a')].filter(one => one.checkVisibility()).length"
    browser.show_as(*DESK)
    assert browser.value(links) == 8
    browser.show_as(*PHONE)
    assert browser.value(links) == 0
    browser.value("document.querySelector('.menu summary').focus()")
    browser.press("Enter")
    assert browser.value(links) == 8
    assert browser.value("document.querySelector('.folders a').textContent").split()[::2] == ["Inbox", "unread"]


def test_the_keyboard_reaches_the_content_first(browser: Browser, url: str) -> None:
    browser.show_as(*DESK)
    browser.open(f"{url}/folder?name=INBOX")
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    browser.press("Enter")
    browser.press("Tab")
    assert browser.value("document.activeElement.value") == "select-page"


def test_back_after_a_refused_form_shows_what_was_written(
    browser: Browser, url: str, addresses: dict[str, str]
) -> None:
    browser.show_as(*PHONE)
    for begin in (f"{url}/compose", addresses["files"].replace("/message", "/compose") + "&way=forward"):
        browser.open(begin)
        browser.type("#to", "nobody")
        browser.value("document.querySelector('#text').value = ''")
        browser.type("#text", "A long letter")
        browser.click(".compose .main-button")
        assert "is not a mailbox" in browser.value("document.querySelector('[role=alert]').textContent")
        browser.open(f"{url}/folder?name=Sent")
        # From the refused form, Back leads to the form as it was first opened, which shows it too.
        for _ in range(2 if "way" in begin else 1):
            browser.back()
            assert browser.value("document.querySelector('#text').value") == "A long letter"
            assert browser.value("document.querySelector('#to').value") == "nobody"


def test_enter_in_a_field_saves_and_neither_sends_nor_removes_a_file(
    browser: Browser, addresses: dict[str, str]
) -> None:
    browser.open(addresses["files"].replace("/message", "/compose") + "&way=forward")
    browser.type("#to", "bob@example.com")
    begun = len(browser.events)
    browser.press("Enter")
    browser.call("Runtime.evaluate", expression="1")
    while not any(one.get("method") == "Page.loadEventFired" for one in browser.events[begun:]):
        browser.value("1")
    assert browser.value("document.querySelector('.notice').textContent") == "The draft was saved."
    assert browser.value("document.querySelectorAll('[name=remove]').length") == 20
