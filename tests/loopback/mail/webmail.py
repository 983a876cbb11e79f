"""Webmail beside a mail server, and a scripted browser that fills in the forms of the pages."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from lab7.services.mail.maildir.store import Maildir
from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta

ACCOUNTS = "alice:secret\nbob:hunter2\ncarol:x:2000\n"
DOMAIN = "example.com"


@contextmanager
def webmail_process(server: Server, *flags: str) -> Iterator[int]:
    """Run webmail on a mail server's mailboxes; yields its port."""
    command = [sys.executable, "-m", "lab7.services.mail.webmail", "--maildirs", str(server.maildirs)]
    command += ["--accounts", str(server.folder / "accounts"), "--domain", DOMAIN, "--listen", HOST, "--port", "0"]
    command += ["--submission", f"{HOST}:{server.submission_port}", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("READY webmail "), line
        yield int(line.rpartition(":")[2])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def webmail(folder: Path, *flags: str) -> Iterator[tuple[Server, int]]:
    """Run mail server and webmail; yields the server and webmail's port."""
    folder.mkdir(exist_ok=True)
    (folder / "accounts").write_text(ACCOUNTS)
    with mta(folder, submission=True) as server, webmail_process(server, *flags) as port:
        yield server, port


def maildir_of(server: Server, user: str) -> Maildir:
    """Return a user's mailbox."""
    return Maildir(server.maildirs / DOMAIN / user)


@dataclass
class FoundForm:
    """A form in a page: its action and fields."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FoundForm] = []
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.frames: list[str] = []
        self.text = ""
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(FoundForm(values["action"]))
        elif tag == "input" and values.get("type") not in ("checkbox", "file") and "name" in values:
            self.forms[-1].fields.append((values["name"], values.get("value", "")))
        elif tag == "textarea":
            self._area = values["name"]
            self.forms[-1].fields.append((values["name"], ""))
        elif tag in ("a", "img", "iframe"):
            kinds = {"a": self.links, "img": self.pictures, "iframe": self.frames}
            kinds[tag].append(values.get("href", values.get("src", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._area is not None:
            self.forms[-1].fields[-1] = (self._area, self.forms[-1].fields[-1][1] + data)


@dataclass
class Seen:
    """A received response."""

    status: int
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def html(self) -> str:
        """Return the page as text."""
        return self.body.decode("utf-8")

    @property
    def page(self) -> _Page:
        """Return the parsed page."""
        page = _Page()
        page.feed(self.html)
        return page

    def form(self, action: str) -> dict[str, str]:
        """Return the fields of the form with this action."""
        return dict(next(one for one in self.page.forms if one.action == action).fields)

    def link(self, path: str, **wanted: str) -> str:
        """Return the first link to a path whose query has these values."""
        for href in [*self.page.links, *self.page.frames, *self.page.pictures]:
            parts = urlsplit(href)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == path and all(query.get(name) == value for name, value in wanted.items()):
                return href
        raise AssertionError(f"no link to {path} with {wanted} in {self.page.links}")


class Visitor:
    """A browser without scripts: stores cookies and sends Origin."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://{HOST}:{port}"
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", fields: Mapping[str, str] | None = None) -> Seen:
        """Send one request; redirects are not followed."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE_S)
        cookie = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        )
        connection.request(method, path, body or None, {**cookie, **(fields or {})})
        response = connection.getresponse()
        seen = Seen(response.status, response.headers, response.read())
        connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return seen

    def get(self, path: str) -> Seen:
        """Get a page, following a redirect."""
        seen = self.ask("GET", path)
        return self.get(seen.fields["Location"]) if seen.status == 303 else seen

    def post(self, path: str, values: Mapping[str, object], origin: str | None = None) -> Seen:
        """Send a form; a list is sent as repeated fields."""
        body = urlencode(values, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or self.origin}
        return self.ask("POST", path, body, kind)

    def post_files(self, path: str, values: Mapping[str, object], files: Sequence[tuple[str, bytes, str]] = ()) -> Seen:
        """Send a form with files, (name, content, media type)."""
        boundary = "--------------------------173"
        parts = []
        for name, value in values.items():
            for one in value if isinstance(value, list) else [value]:
                parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{one}'.encode())
        for name, content, kind in files:
            head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
            parts.append(head.encode() + content)
        body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts)
        body += b"--%b--\r\n" % boundary.encode()
        fields = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Origin": self.origin}
        return self.ask("POST", path, body, fields)

    def log_in(self, user: str, password: str) -> Seen:
        """Log in by the form."""
        form = self.get("/login").form("/login")
        return self.post("/login", {**form, "user": user, "password": password})
