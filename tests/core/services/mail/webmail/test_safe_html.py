"""HTML sanitiser: no scripts, no remote requests, no effect on the surrounding page."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.webmail.limits import HTML_CHARACTERS, HTML_TAGS_MAX
from lab7.services.mail.webmail.views.safe_html import (
    SafeHtml,
    TooMuchHtmlError,
    plain_text,
    remote_url,
    safe_html,
    safe_style,
)

ALLOWED_ADDRESSES = ("http://", "https://", "mailto:", "/part?")
FORBIDDEN_TAGS = {
    "script",
    "style",
    "svg",
    "math",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "button",
    "meta",
    "base",
}
FORBIDDEN_TAGS |= {"link", "textarea", "template", "noscript", "frame", "frameset", "audio", "video", "source", "html"}


class _Judge(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN_TAGS:
            self.wrong.append(tag)
        for name, value in attrs:
            self._attribute(tag, name, (value or "").strip().lower())

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name in ("id", "name", "srcset", "background", "action", "formaction", "class"):
            self.wrong.append(f"{tag} {name}")
        if name in ("href", "src"):
            if name == "src":
                self.pictures.append(value)
            if not value.startswith(ALLOWED_ADDRESSES):
                self.wrong.append(f"{name}={value}")
        if name == "style" and any(
            bad in value for bad in ("url", "expression", "import", "\\", "position", "behavior")
        ):
            self.wrong.append(f"style={value}")


def picture_of(content_id: str) -> str | None:
    return "/part?section=2" if content_id == "ring@x" else None


def cleaned(html: str) -> SafeHtml:
    safe = safe_html(html, picture_of)
    judge = _Judge()
    judge.feed(safe.html)
    assert judge.wrong == [], safe.html
    return safe


HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='cid:ring@x' onload='alert(1)'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>1</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='/logout'>x</a>",
    "<a href='//evil.example/'>x</a>",
    "<a href='cid:ring@x'>x</a>",
    "<div style='width: expression(alert(1))'>x</div>",
    "<div style='background: url(javascript:alert(1))'>x</div>",
    "<div style='background-color: red; background-image: url(http://evil.example/)'>x</div>",
    "<div style='color: re\\64; width: \\65xpression(1)'>x</div>",
    "<div style='position: fixed; top: 0; left: 0; width: 100%'>Log in again</div>",
    "<style>@import 'http://evil.example/x.css'; body { display: none }</style>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math><mtext><mglyph><svg><mtext><textarea><path id='</textarea><img onerror=alert(1) src=1>'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe src=http://evil.example/></iframe>",
    "<object data=x></object><embed src=x>",
    "<form action=/logout method=post><input name=form_token><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<body onload=alert(1) background=http://evil.example/x.png>",
    "<table background=http://evil.example/x.png><td>x</table>",
    "<img srcset='http://evil.example/x.png 2x'>",
    "<video poster=http://evil.example/x.png><source src=x></video>",
    "<div id=main class=top name=form_token>x</div>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    '<p title="a\'>" onclick=alert(1)>x',
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<img src='/message?folder=INBOX&uid=1'>",
    "</div></body><script>alert(1)</script>",
    "<template><script>alert(1)</script></template>",
    "\0<s\0cript>alert(1)</script>",
]


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_that_runs_or_fetches_is_left(html: str) -> None:
    cleaned(html)


def test_the_judge_finds_what_it_is_for() -> None:
    for html in HOSTILE[3:7]:
        judge = _Judge()
        judge.feed(html)
        assert judge.wrong, html


@given(
    st.lists(
        st.sampled_from([*HOSTILE, "<b>", "</b>", "<p ", "'", '"', ">", "x", "<!--", "-->", "&lt;", "&#x3c;"]),
        max_size=8,
    )
)
def test_no_mixture_of_them_gets_through(pieces: list[str]) -> None:
    cleaned("".join(pieces))


@given(st.text(max_size=200))
def test_nor_does_any_text(text: str) -> None:
    cleaned(text)
    plain_text(text)


def test_what_was_meant_to_be_read_is() -> None:
    html = (
        "<h1 style='color: #084; text-align: center'>Offers</h1><p>Only <b>today</b>: <a href='https://shop.example/?a=1&amp;b=2'>"
        "here</a></p><table border=1><tr><td bgcolor=red>Ring</td></tr></table><ul><li>one</li></ul>"
    )
    safe = cleaned(html)
    for kept in ('style="color: #084; text-align: center"', "<b>today</b>", '<td bgcolor="red">', "<li>one</li>"):
        assert kept in safe.html
    assert 'href="https://shop.example/?a=1&amp;b=2"' in safe.html
    assert 'target="_blank"' in safe.html
    assert 'rel="noopener noreferrer"' in safe.html


def test_its_own_pictures_are_shown_and_remote_ones_counted() -> None:
    html = "<img src='CID:ring@x' alt=Ring><img src=cid:other><img src=http://e.example/1><img src=//e.example/2>"
    html += "<img src=relative.png>"
    safe = cleaned(html)
    assert safe.html.count("src=") == 1
    assert 'src="/part?section=2"' in safe.html
    assert safe.remote_pictures == 2


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("color: red", "color: red"),
        (
            "COLOR : rgb(1, 2, 3) ; font-family: 'DejaVu Sans', serif",
            "color: rgb(1, 2, 3); font-family: 'DejaVu Sans', serif",
        ),
        ("position: fixed", None),
        ("background: url(x)", None),
        ("color: url(x)", None),
        ("color: red; width: calc(1px)", "color: red"),
        ("width: expression (1)", None),
        ("color", None),
        ("", None),
        ("color: r\\65 d", None),
        ("color: /* */ red", None),
        ("width: 800px ! IMPORTANT; color: red!important", "width: 800px; color: red"),
        ("width: 800px ! important x", None),
    ],
)
def test_styles(style: str, kept: str | None) -> None:
    assert safe_style(style) == kept


@pytest.mark.parametrize("html", ["<div>" * (HTML_TAGS_MAX + 1), "x" * (HTML_CHARACTERS + 1)], ids=["deep", "long"])
def test_more_than_can_be_cleaned_in_a_moment_is_refused(html: str) -> None:
    with pytest.raises(TooMuchHtmlError):
        safe_html(html, picture_of)
    with pytest.raises(TooMuchHtmlError):
        plain_text(html)


def test_as_much_as_is_allowed_is_cleaned() -> None:
    assert cleaned("<b>" * (HTML_TAGS_MAX // 2) + "<i>x</i>" * (HTML_TAGS_MAX // 2)).html


def test_the_text_of_html_for_a_quotation() -> None:
    html = "<style>p {}</style><p>One &amp;   two<br>three &lt;b&gt;</p>\n<div>four</div><script>five</script>"
    assert plain_text(html) == "One & two\nthree <b>\nfour"


@pytest.mark.parametrize(
    ("url", "own", "kept"),
    [
        ("http://track.example/1.gif?a=b", "mail.example", "http://track.example/1.gif?a=b"),
        ("HTTPS://Track.Example:8443", "mail.example", "HTTPS://Track.Example:8443"),
        ("//track.example/1.gif", "mail.example", "https://track.example/1.gif"),
        ("http://192.0.2.1/1.gif", "mail.example", "http://192.0.2.1/1.gif"),
        ("http://mail.example:8080/1.gif", "mail.example", None),
        ("http://MAIL.example./1.gif", "mail.example", None),
        ("http://user@mail.example/", "mail.example", None),
        ("http://mail.example\\@track.example/", "mail.example", None),
        ("http://m%61il.example/", "mail.example", None),
        ("http://127.0.0.1:9/", "127.0.0.1", None),
        ("http://2130706433/", "127.0.0.1", None),
        ("http://0x7f.1/", "127.0.0.1", None),
        ("http://127.1:9", "127.0.0.1", None),
        ("http://[::1]/", "[::1]", None),
        ("http://localhost/1.gif", "127.0.0.1", "http://localhost/1.gif"),
        ("http://track.example/a b", "mail.example", None),
        ("ftp://track.example/", "mail.example", None),
        ("http:track.example", "mail.example", None),
    ],
)
def test_remote_pictures_of_other_hosts(url: str, own: str, kept: str | None) -> None:
    assert remote_url(url, own) == kept
