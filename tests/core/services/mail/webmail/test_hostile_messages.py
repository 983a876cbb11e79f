"""Hostile and malformed messages: every page displays something, and nothing of it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab7.services.http.messages import Response
from lab7.services.mail.webmail.limits import HTML_TAGS_MAX
from lab7.services.mail.webmail.views import message_page
from lab7.services.mail.webmail.views.attachments import disposition
from tests.core.services.mail.webmail.sites import World, text, value_of
from tests.core.services.mail.webmail.test_safe_html import HOSTILE

HTML_HEAD = b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
VIEWS = ("", "text", "source")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.log_in()
    return made


def deliver(world: World, octets: bytes) -> dict[str, object]:
    inbox = world.alice().folder("INBOX")
    inbox.refresh()
    world.alice().deliver(octets)
    inbox.refresh()
    return {"folder": "INBOX", "uid": inbox.uids[-1], "v": inbox.uidvalidity}


def all_pages(world: World, octets: bytes) -> list[Response]:
    """Return every page that displays part of a message."""
    named = deliver(world, octets)
    pages = [world.get("/folder", name="INBOX")]
    pages += [world.get("/message", **named, **{"as": view}) for view in VIEWS]
    pages += [world.compose(**named, way=way) for way in ("reply", "all", "forward")]
    for page in pages:
        assert page.status == 200, text(page)
    return pages


@pytest.mark.parametrize("html", HOSTILE)
def test_html_that_means_harm_does_none(world: World, html: str) -> None:
    pages = all_pages(world, HTML_HEAD + html.encode())
    for page in pages:
        assert not re.search(
            r"<[^<>]*\son\w+=|<script|javascript:[^\"<>]*\">|<svg|<base", text(page).replace("\n", " "), re.I
        )


def test_a_page_with_html_is_in_a_sandbox(world: World) -> None:
    named = deliver(world, HTML_HEAD + b"<p style='color: red'>x</p>")
    policy = value_of(world.get("/message", **named), b"content-security-policy")
    directives = dict(one.strip().partition(" ")[::2] for one in policy.split(";"))
    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert directives["style-src"] == directives["img-src"] == directives["form-action"] == "'self'"
    # Style attributes, but no style elements.
    assert directives["style-src-attr"] == "'unsafe-inline'"
    assert set(directives["sandbox"].split()) == {
        "allow-same-origin",
        "allow-forms",
        "allow-downloads",
        "allow-popups",
        "allow-popups-to-escape-sandbox",
    }
    assert not directives.keys() & {"script-src", "script-src-elem", "script-src-attr", "connect-src", "frame-src"}
    # A page without a message's HTML permits no style attributes.
    for page in (world.get("/message", **named, **{"as": "text"}), world.get("/folder")):
        assert "unsafe-inline" not in value_of(page, b"content-security-policy")


def test_remote_pictures_are_named_as_blocked(world: World) -> None:
    named = deliver(world, HTML_HEAD + b"<img src=http://track.example/1.gif><img src=https://track.example/2.gif>")
    page = text(world.get("/message", **named))
    assert "2 remote pictures were blocked" in page
    assert "track.example" not in page


def test_remote_pictures_are_loaded_on_request_for_that_message_only(world: World) -> None:
    html = HTML_HEAD + b"<img src=http://track.example/1.gif><img src=//track.example/2.gif><img src='ftp://x/3.gif'>"
    named, other = deliver(world, html), deliver(world, html)
    response = world.post("/pictures", **named)
    page = world.follow(response)
    assert "was blocked" not in text(page)
    assert "were blocked" not in text(page)
    assert re.findall(r'<img src="([^"]*)"', text(page)) == [
        "http://track.example/1.gif",
        "https://track.example/2.gif",
    ]
    assert "img-src 'self' http: https:;" in value_of(page, b"content-security-policy")
    assert value_of(page, b"referrer-policy") == "same-origin"
    assert "track.example" not in text(world.get("/message", **other))
    assert "img-src 'self';" in value_of(world.get("/message", **other), b"content-security-policy")
    # A link cannot permit them, nor another site's form; a new session has forgotten it.
    assert world.get("/pictures", **other).status == 405
    assert world.post("/pictures", origin="http://evil.example", **other).status == 403
    world.log_in()
    assert "track.example" not in text(world.get("/message", **named))


def test_html_beyond_measure_is_shown_as_it_is_written(world: World) -> None:
    page = text(world.get("/message", **deliver(world, HTML_HEAD + b"<div>" * (HTML_TAGS_MAX + 1))))
    assert "exceeds the limits of the sanitiser" in page
    assert "&lt;div&gt;" in page


def deep(levels: int, kind: bytes = b"mixed") -> bytes:
    octets = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script>deep\r\n"
    for number in range(levels):
        boundary = b"b%d" % number
        octets = b"Content-Type: multipart/%b; boundary=%b\r\n\r\n--%b\r\n%b\r\n--%b--\r\n" % (
            kind,
            boundary,
            boundary,
            octets,
            boundary,
        )
    return b"Subject: deep\r\n" + octets


BOMBS: dict[str, Callable[[], bytes]] = {
    "a thousand levels": lambda: deep(1000),
    "a thousand alternatives": lambda: deep(1000, b"alternative"),
    "as deep as it is read": lambda: deep(90),
    "messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Subject: x\r\n\r\nx",
    "parts without number": lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 20_000,
    "a boundary that is everywhere": lambda: b'Content-Type: multipart/mixed; boundary="-"\r\n\r\n' + b"---\r\n" * 5000,
    "no header": lambda: b"\r\nbody",
    "nothing": lambda: b"",
    "NULs": lambda: b"\0" * 1000,
    "octets": lambda: bytes(range(256)) * 20,
    "one long line": lambda: b"Subject: " + b"x" * 200_000 + b"\r\n\r\n" + b"y" * 200_000,
    "fields without end": lambda: b"To: a@example.com\r\n" * 20_000 + b"\r\n",
    "recipients without end": lambda: b"From: " + b"a@example.com, " * 20_000 + b"\r\n\r\n",
    "comments without end": lambda: b"From: " + b"(" * 50_000 + b"\r\n\r\n",
    "quotes without end": lambda: b'From: "' + b'\\"' * 50_000 + b"\r\n\r\n",
    "a character set that is none": lambda: b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-b9" * 50_000,
    "UTF-7": lambda: b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "half characters": lambda: (
        b"Subject: =?utf-16?b?2AA=?=\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\xd8\x00\xd8"
    ),
    "broken base64": lambda: b"Content-Transfer-Encoding: base64\r\n\r\n!!!!A",
    "broken quoted-printable": lambda: b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=ZZ=3",
    "a script in a field": lambda: (
        b"Subject: =?utf-8?q?=3Cscript=3Ealert=281=29=3C/script=3E?=\r\nFrom: <script>@x\r\n\r\n"
    ),
    "a field in a field": lambda: (
        b"Subject: =?utf-8?q?a=0D=0ABcc:_eve=40example.net?=\r\nFrom: =?utf-8?q?a=0D=0AX:?= <a@x>\r\n\r\n"
    ),
    "dates of no calendar": lambda: b"Date: Wed, 99 Foo 99999 99:99:99 +9999\r\n\r\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_message_breaks_a_page(world: World, name: str) -> None:
    for page in all_pages(world, BOMBS[name]()):
        assert "<script" not in text(page)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_nor_do_any_octets(world: World, octets: bytes) -> None:
    all_pages(world, octets)
    all_pages(world, HTML_HEAD + octets)


def test_what_cannot_be_read_as_a_message_is_shown_as_text(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> None:
        raise RecursionError

    named = deliver(world, b"Subject: odd\r\n\r\n<b>The text</b>")
    monkeypatch.setattr(message_page, "Contents", broken)
    page = text(world.get("/message", **named))
    assert "This message cannot be parsed" in page
    assert "&lt;b&gt;The text&lt;/b&gt;" in page


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf", "x"]
)
def test_what_could_run_is_only_to_be_saved(world: World, kind: str) -> None:
    head = f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename=x.html\r\n\r\n"
    response = world.get("/part", **deliver(world, head.encode() + b"<script>alert(1)</script>"), section="1")
    assert value_of(response, b"content-type") == "application/octet-stream"
    assert value_of(response, b"content-disposition").startswith("attachment;")
    assert value_of(response, b"x-content-type-options") == "nosniff"
    assert value_of(response, b"content-security-policy").startswith("default-src 'none'; sandbox;")


def test_a_message_of_nothing_says_so(world: World) -> None:
    assert "The message has no text." in text(world.get("/message", **deliver(world, b"Subject: x\r\n\r\n")))
    assert "The message has no text." not in text(world.get("/message", **deliver(world, b"Subject: x\r\n\r\ny")))


def test_a_picture_is_a_picture_and_still_to_be_saved(world: World) -> None:
    head = b"Content-Type: image/PNG; name=x.html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    named = deliver(world, head + b"iVBORw==")
    response = world.get("/part", **named, section="1")
    assert (value_of(response, b"content-type"), response.body) == ("image/png", b"\x89PNG")
    assert value_of(response, b"content-disposition").startswith("attachment;")
    assert '<img src="/part?' in text(world.get("/message", **named))
    assert world.get("/part", **named, section="2").status == 404
    assert world.get("/part", **named, section="../1").status == 404


def test_the_source_is_every_octet(world: World) -> None:
    octets = b"Subject: x\r\n\r\n\xff\0 <script>\r\n"
    response = world.get("/source", **deliver(world, octets))
    assert response.body == octets
    assert value_of(response, b"content-type") == "application/octet-stream"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("Übersicht.pdf", "attachment; filename=\"_bersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"),
        (
            'a"; filename=b\r\nX: y.html',
            "attachment; filename=\"a__ filename=bX_ y.html\"; filename*=UTF-8''a_%3B%20filename%3DbX_%20y.html",
        ),
        ("../../etc/passwd", "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"),
        ("100%25.txt", "attachment; filename=\"100_25.txt\"; filename*=UTF-8''100%2525.txt"),
    ],
)
def test_a_file_s_name_in_the_response(name: str, written: str) -> None:
    assert disposition(name) == written


@given(st.text())
def test_no_name_makes_another_field(name: str) -> None:
    value = disposition(name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
