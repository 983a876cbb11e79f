"""Scripted browser program for webmail: requests pages, follows links, submits forms.

The program is started on a host with the arguments ADDRESS PORT NAME, and reads one JSON request a line from standard
input (see lab7.experiments.harness.driver_process). A request is a list of steps on one connection:

    ["open", "/login"]                        requests a page
    ["submit", "/login", {"user": "bob"}]     submits the form with the action /login, filled in with these values
    ["follow", "a letter"]                    opens the first link or picture with "a letter" in its text or address
    ["each", "/message?"]                     opens every link of the current page with "/message?" in its address

The browser uses Python's http.client, html.parser and http.cookies, so that lab7's servers are tested by an independent
client. Redirects are followed; style sheets and pictures are not fetched automatically.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from lab7.experiments.harness.driver_process import serve

TIMEOUT_S = 30.0
BOUNDARY = "lab7-form"
REDIRECTIONS_MAX = 5


class PageError(Exception):
    """Error for a page that is not HTML, or that lacks the link or form that a step of the script requires."""


class Page(HTMLParser):
    """Parsed HTML page: its links with their texts, and its forms as (action, enctype, fields)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self._in_link = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a link, form or form field of the page (HTMLParser calls this for each start tag)."""
        values = {name: value or "" for name, value in attrs}
        if tag in ("a", "img"):
            self.links.append((values.get("href", values.get("src", "")), values.get("alt", "")))
            self._in_link = tag == "a"
        elif tag == "form":
            self.forms.append((values.get("action", ""), values.get("enctype", ""), {}))
        elif tag in ("input", "textarea") and self.forms and values.get("type") not in ("checkbox", "file"):
            self.forms[-1][2][values.get("name", "")] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Record the end of a link (HTMLParser calls this for each end tag)."""
        self._in_link = self._in_link and tag != "a"

    def handle_data(self, data: str) -> None:
        """Record the text of a link (HTMLParser calls this for text between tags)."""
        if self._in_link:
            address, text = self.links[-1]
            self.links[-1] = (address, text + data)


class Browser:
    """Scripted browser: a connection to one web site, its cookies, and the current page."""

    def __init__(self, address: str, port: int, name: str) -> None:
        self._connection = HTTPConnection(address, port, timeout=TIMEOUT_S)
        self._name = name
        self._cookies: SimpleCookie = SimpleCookie()
        self._page = Page("")

    def open(self, path: str, body: bytes | None = None, kind: str = "") -> None:
        """Request a page (GET, or POST with `body`), and follow redirects. Raises OSError, HTTPException, PageError."""
        for _ in range(REDIRECTIONS_MAX):
            status, location = self._ask(path, body, kind)
            if not 300 <= status < 400:
                break
            # RFC 9110 section 15.4.4: after 303 (See Other) the new location is requested by GET.
            path, body = location, None
        if status != 200:
            raise PageError(f"{path} is answered with {status}")

    def _ask(self, path: str, body: bytes | None, kind: str) -> tuple[int, str]:
        cookies = "; ".join(f"{one.key}={one.coded_value}" for one in self._cookies.values())
        fields = {"Host": self._name, "Cookie": cookies}
        fields |= {"Content-Type": kind} if body is not None else {}
        self._connection.request("GET" if body is None else "POST", path, body, fields)
        response = self._connection.getresponse()
        content = response.read()
        for value in response.headers.get_all("Set-Cookie") or ():
            self._cookies.load(value)
        if "html" in (response.headers["Content-Type"] or ""):
            self._page = Page(content.decode())
        return response.status, response.headers["Location"] or ""

    def submit(self, action: str, given: Mapping[str, str]) -> None:
        """Submit the form with this action, with the given fields filled in. Raises PageError if there is none."""
        form = next((one for one in self._page.forms if one[0] == action), None)
        if form is None:
            raise PageError(f"no form goes to {action}")
        fields = {**form[2], **given}
        if form[1] == "multipart/form-data":
            # Encode the fields as multipart/form-data (RFC 7578 section 4).
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
            parts = "".join(f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
            self.open(action, f"{parts}--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}")
        else:
            self.open(action, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def follow(self, what: str) -> None:
        """Open the first link with `what` in the text or address. Raises PageError if there is no such link."""
        found = next((address for address, text in self._page.links if what in address or what in text), None)
        if found is None:
            raise PageError(f"there is no link {what!r}")
        self.open(found)

    def each(self, what: str) -> None:
        """Open every link with `what` in the address."""
        page = self._page
        for address in dict.fromkeys(address for address, _ in page.links if what in address):
            self.open(address)
        self._page = page

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _session(address: str, port: int, name: str, steps: Sequence[Sequence[Any]]) -> None:
    browser = Browser(address, port, name)
    try:
        for method, *arguments in steps:
            getattr(browser, method)(*arguments)
    finally:
        browser.close()


def main(argv: list[str]) -> int:
    """Run a browser session for each JSON request on standard input; return 0 at the end."""
    address, port, name = argv
    session = partial(_session, address, int(port), name)
    return serve(session, errors=(OSError, HTTPException, PageError, ValueError))
