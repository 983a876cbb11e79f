"""Webmail in headless Chromium: reading, replying, hostile messages and hostile sites.

Each attack that must fail has a control in the same browser, where it succeeds.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab7.services.mail.webmail.pages import MESSAGE_POLICY
from tests.loopback.browser import Browser, needs_browser
from tests.loopback.mail.support import HOST, Server
from tests.loopback.mail.webmail import maildir_of, webmail

pytestmark = needs_browser

PICTURE = (Path(__file__).resolve().parents[3] / "topologies" / "www" / "ring.png").read_bytes()
# Each attack marks its own document and the surrounding page, and requests a URL of the counting site.
SCRIPT = "document.title='ran';top.document.title='ran';new Image().src='http://{site}/ran'"
LETTER_HTML = (
    '<p id=seen>Hello</p><script>{script}</script><img src=x onerror="{script}"><svg onload="{script}"></svg>'
    "<img src='http://{site}/picture.png'><link rel=stylesheet href='http://{site}/style.css'>"
    "<a id=follow href=\"javascript:{script}\">x</a><iframe srcdoc='<script>{script_again}</script>'></iframe>"
)


class Site:
    """Another site: pages set by a test, and the paths and header fields of the requests."""

    def __init__(self) -> None:
        self.fields: list[dict[str, str]] = []
        self.pages: dict[str, tuple[str, str]] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.fields.append({name.lower(): value for name, value in self.headers.items()})
                html, policy = site.pages.get(self.path, ("", ""))
                self.send_response(200 if html else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(html.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_address[1]
        self.name = f"{HOST}:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    with webmail(tmp_path_factory.mktemp("pages") / "x") as running:
        yield running


@pytest.fixture(scope="module")
def server(both: tuple[Server, int]) -> Server:
    return both[0]


@pytest.fixture(scope="module")
def url(both: tuple[Server, int]) -> str:
    return f"http://{HOST}:{both[1]}"


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as made:
        yield made


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    one_browser.forget()
    return one_browser


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def log_in(browser: Browser, url: str, user: str, password: str) -> None:
    browser.open(url)
    browser.type("#user", user)
    browser.type("#password", password)
    browser.click("main button")
    assert browser.value("document.querySelector('.who').textContent") == f"{user}@example.com"


def letter(subject: str, html: str = "", picture: bytes = b"") -> bytes:
    message = EmailMessage(email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = "Bob <bob@example.com>", "alice@example.com", subject
    message["Message-ID"] = "<letter@example.com>"
    message.set_content("Hello Alice.\n")
    if html:
        message.add_alternative(html, subtype="html")
    if picture and html:
        message.get_payload()[1].add_related(picture, "image", "png", cid="<ring@x>")  # type: ignore[union-attr, index]
    elif picture:
        message.add_attachment(picture, maintype="image", subtype="png", filename="ring.png")
    return bytes(message)


def read_first(browser: Browser, url: str) -> None:
    browser.open(url)
    browser.click(".messages tbody tr:first-child a")


LETTER = "document.querySelector('section.letter')"


def test_alice_reads_a_picture_and_answers_with_another(
    server: Server, url: str, browser: Browser, tmp_path: Path
) -> None:
    # The second message, so that no message of Bob's has its number.
    for subject in ("Earlier", "A picture"):
        maildir_of(server, "alice").deliver(letter(subject, picture=PICTURE))
    log_in(browser, url, "alice", "secret")
    read_first(browser, url)
    assert browser.value("document.querySelector('article h1').textContent") == "A picture"
    assert browser.value("document.querySelector('figure img').naturalWidth") > 0
    alices = browser.value("location.href")

    answer = tmp_path / "Antwort ü.bin"
    answer.write_bytes(bytes(range(256)) * 500)
    browser.click(".actions a")
    assert "> Hello Alice." in browser.value("document.querySelector('#text').value")
    browser.type("#text", "Here is mine.\n")
    browser.choose("#file", [answer])
    browser.click(".compose .main-button")
    assert browser.value("document.querySelector('.notice').textContent") == "The message has been sent."
    assert browser.value("document.querySelector('.answered') !== null")

    (message,) = server.wait_for("bob", 1)
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    (attached,) = parsed.iter_attachments()
    assert (parsed["Subject"], parsed["In-Reply-To"]) == ("Re: A picture", "<letter@example.com>")
    assert attached.get_filename() == answer.name
    assert hashlib.sha256(attached.get_content()).digest() == hashlib.sha256(answer.read_bytes()).digest()

    browser.open(f"{url}/folder?name=Sent")
    browser.click(".messages tbody tr:first-child a")
    assert "Here is mine." in browser.value("document.querySelector('.text').textContent")
    assert answer.name in browser.value("document.querySelector('.files').textContent")

    browser.click(".top form[action='/logout'] button")
    log_in(browser, url, "bob", "hunter2")
    assert "Re: A picture" in browser.value("document.querySelector('.messages').textContent")
    browser.open(alices)
    assert browser.value("document.querySelector('article')") is None
    assert browser.value("document.querySelector('.error') !== null")


def test_a_picture_inside_the_text_is_shown(server: Server, url: str, browser: Browser) -> None:
    html = "<h2 style='color: rgb(0, 128, 0)'>Ring</h2><img src='cid:ring@x'>"
    maildir_of(server, "alice").deliver(letter("Inside", html, PICTURE))
    log_in(browser, url, "alice", "secret")
    read_first(browser, url)
    assert browser.value(f"{LETTER}.querySelector('img').naturalWidth") > 0
    assert browser.value(f"getComputedStyle({LETTER}.querySelector('h2')).color") == "rgb(0, 128, 0)"
    assert browser.value("document.querySelector('figure')") is None


def test_a_message_with_scripts_in_it_runs_nothing(server: Server, url: str, browser: Browser, site: Site) -> None:
    script = SCRIPT.format(site=site.name)
    html = LETTER_HTML.format(script=script, site=site.name, script_again=script.replace("'", "&quot;"))
    maildir_of(server, "alice").deliver(letter("Scripts", html))
    log_in(browser, url, "alice", "secret")
    read_first(browser, url)
    assert "1 remote picture was blocked" in browser.value("document.querySelector('article').textContent")
    assert "Hello" in browser.value(f"{LETTER}.textContent")
    browser.value(f"{LETTER}.querySelectorAll('a').forEach(one => one.click())")
    assert browser.value("document.title") == "Scripts - lab7 webmail"
    assert site.asked == []

    # Control: the same HTML as a page of its own has all these effects.
    site.pages["/control"] = (html, "")
    browser.open(f"http://{site.name}/control")
    assert browser.value("document.title") == "ran"
    assert {"/ran", "/picture.png", "/style.css"} <= set(site.asked)


def test_remote_pictures_are_loaded_on_request_without_referrer_and_cookie(
    server: Server, url: str, browser: Browser, site: Site
) -> None:
    # Pictures of the webmail's own host are never loaded: cookies do not tell ports apart.
    html = f"<img src='http://localhost:{site.port}/a.png'><img src='http://{site.name}/b.png'>"
    maildir_of(server, "alice").deliver(letter("Pictures", html))
    log_in(browser, url, "alice", "secret")
    read_first(browser, url)
    assert site.asked == []
    browser.click("form[action='/pictures'] button")
    assert browser.value("document.querySelector('form[action=\"/pictures\"]')") is None
    assert site.asked == ["/a.png"]
    assert not site.fields[0].keys() & {"referer", "cookie"}


def test_the_policy_alone_stops_scripts_that_nothing_has_cleaned(browser: Browser, site: Site) -> None:
    script = SCRIPT.format(site="127.0.0.1:1")
    html = "<title>quiet</title>" + LETTER_HTML.format(script=script, site="127.0.0.1:1", script_again="")
    site.pages["/locked"] = (html, MESSAGE_POLICY.format(pictures="'self'"))
    site.pages["/open"] = (html, "")
    browser.open(f"http://{site.name}/locked")
    assert browser.value("document.title") == "quiet"
    browser.open(f"http://{site.name}/open")
    assert browser.value("document.title") == "ran"


def test_another_site_s_form_does_nothing(server: Server, url: str, browser: Browser, site: Site) -> None:
    """The other site is on the same host, so that even SameSite=Strict sends the cookie."""
    maildir_of(server, "alice").deliver(letter("To be kept"))
    log_in(browser, url, "alice", "secret")
    names = ("folder", "v", "form_token")
    fields = {name: browser.value(f"document.querySelector('main [name={name}]').value") for name in names}
    fields["uid"] = browser.value("document.querySelector('.messages [name=uid]').value")
    inputs = "".join(f"<input name={name} value='{value}'>" for name, value in fields.items())
    form = f"<form method=post action='{url}/action'>{inputs}<button name=action value=delete>Win</button></form>"
    site.pages["/win"] = (form, "")
    browser.open(f"http://{site.name}/win")
    browser.click("button")
    assert "is not from a page of this site" in browser.value("document.body.textContent")
    browser.open(url)
    assert "To be kept" in browser.value("document.querySelector('.messages').textContent")

    # Control: from the site's own page the same click deletes the message.
    browser.value("document.querySelector('.messages [name=uid]').checked = true")
    browser.click("button[value=delete]")
    assert "moved to Trash" in browser.value("document.querySelector('.notice').textContent")


def test_no_other_site_shows_it_in_a_frame(url: str, browser: Browser, site: Site) -> None:
    site.pages["/around"] = (f"<iframe src='{url}/login'></iframe>", "")
    browser.open(f"http://{site.name}/around")
    policies = [one["params"]["entry"]["text"] for one in browser.events if one.get("method") == "Log.entryAdded"]
    assert any("frame-ancestors" in text for text in policies)
