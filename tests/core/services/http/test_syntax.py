"""Dates, ranges, preconditions, request targets, fields, URLs and HTML links."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields, format_date, list_members, parse_date
from lab7.services.http.messages import (
    PHRASES,
    decode_unreserved,
    is_host,
    percent_decode,
    percent_encode,
    split_target,
)
from lab7.services.http.page_load.charsets import detect_charset
from lab7.services.http.page_load.html_links import find_links, find_objects
from lab7.services.http.ranges import Span, select_ranges
from lab7.services.http.urls import parse_url, resolve

NOW = 1_800_000_000.0


@given(st.integers(0, 4_000_000_000))
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    assert parse_date(format_date(seconds), NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
    ],
)
def test_three_formats_are_one_moment(value: bytes) -> None:
    assert parse_date(value, NOW) == 784_111_777


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 29 Feb 1995 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
    ],
)
def test_anything_else_is_no_date(value: bytes) -> None:
    assert parse_date(value, NOW) is None


@given(st.binary(max_size=40))
def test_no_octets_crash_the_readers(octets: bytes) -> None:
    parse_date(octets, NOW)
    select_ranges(b"bytes=" + octets, 100)
    list_members(octets)
    is_host(octets)
    find_objects(octets, "http://h/")


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=0-0", [Span(0, 0)]),
        (b"bytes=0-,-1", [Span(0, 9)]),
        (b"bytes=1-2 ,\t5-6", [Span(1, 2), Span(5, 6)]),
        (b"bytes=,1-2,,", [Span(1, 2)]),
        (b"bytes= ,1-2", [Span(1, 2)]),
        (b"bytes= 1-2", None),
        (b"bytes =1-2", None),
        (b"bytes = 1-2", None),
        (b"bytes=8-" + b"9" * 40, [Span(8, 9)]),
        (b"bytes=-" + b"9" * 40, [Span(0, 9)]),
        (b"bytes=" + b"9" * 40 + b"-", []),
        (b"bytes=" + b"0" * 40 + b"1-2", [Span(1, 2)]),
        (b"bytes=5-6,1-2", [Span(5, 6), Span(1, 2)]),
        (b"bytes=10-", []),
        (b"bytes=-0", []),
        (b"bytes=", None),
        (b"bytes=-", None),
        (b"bytes=2-1", None),
        (b"bytes 0-1", None),
        (b"bytes=0-9,0-9,0-9,0-9", None),
    ],
)
def test_which_octets_a_range_selects(value: bytes, spans: list[Span] | None) -> None:
    assert select_ranges(value, 10) == spans


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=5), st.integers(1, 20))
def test_ranges_stay_inside_and_apart(pairs: list[tuple[int, int]], size: int) -> None:
    value = b"bytes=" + b",".join(b"%d-%d" % (min(pair), max(pair)) for pair in pairs)
    taken: set[int] = set()
    for span in select_ranges(value, size) or []:
        octets = set(range(span.first, span.last + 1))
        assert octets
        assert max(octets) < size
        assert not octets & taken
        taken |= octets


@given(st.binary(max_size=20))
def test_percent_encoding_is_undone(octets: bytes) -> None:
    assert percent_decode(b"".join(b"%%%02x" % octet for octet in octets)) == octets


@pytest.mark.parametrize(
    "host",
    [
        *(b"", b"a", b"a:", b"a:80", b"a:000080", b"a:" + b"0" * 5000, b"a%20b:1"),
        *(b"[::]", b"[::1]:80", b"[::ffff:1.2.3.4]", b"[1:2:3:4:5:6:7:8]", b"[v1.a:b]", b"[V1.a:b]", b"[vF.~]"),
    ],
)
def test_valid_hosts(host: bytes) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(b"[1::2::3]", b"[12345::]", b"[127.0.0.1]", b"[::ffff:1.2.3.400]", b"[1:2:3:4:5:6:7:8:9]", b"[:]", b"[.]"),
        *(b"[]", b"[::1%25lo]", b"[v.a]", b"[v1.]", b"[::1]a", b"::1", b"a:65536", b"a:" + b"9" * 5000, b"a b"),
        *(b"a%2", b"a@b", b":", b":80", b":0"),
    ],
)
def test_invalid_hosts(host: bytes) -> None:
    assert not is_host(host)


TARGETS_BEFORE = [b"/", b"/?", b"http://h/", b"http://h?"]


@pytest.mark.parametrize("before", TARGETS_BEFORE)
@pytest.mark.parametrize("wrong", [b"%c" % octet for octet in (*range(0x21), *range(0x7F, 0x100), ord("#"))])
def test_octets_that_no_target_may_have_are_rejected(before: bytes, wrong: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        split_target(b"GET", before + wrong)
    assert caught.value.status == 400


@pytest.mark.parametrize("before", TARGETS_BEFORE)
@pytest.mark.parametrize(
    ("odd", "encoded"),
    [
        *((b"%c" % octet, b"%%%02X" % octet) for octet in b'<>"\\^{}|`[]'),
        *((b"%", b"%25"), (b"%g0", b"%25g0"), (b"%0g", b"%250g"), (b"%0", b"%250"), (b"%%37e", b"%25%37e")),
    ],
)
def test_characters_that_browsers_send_are_taken_as_they_are(before: bytes, odd: bytes, encoded: bytes) -> None:
    target = split_target(b"GET", before + odd)
    assert odd in (target.path.removeprefix(b"/"), target.query)
    assert percent_encode(odd) == encoded
    assert percent_decode(encoded) == percent_decode(odd)


@given(st.binary(max_size=20))
def test_percent_encoding_makes_a_uri_once(octets: bytes) -> None:
    encoded = percent_encode(octets)
    assert re.fullmatch(rb"(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*", encoded)
    assert percent_encode(encoded) == encoded
    assert percent_decode(encoded) == percent_decode(octets)


@pytest.mark.parametrize("path", [b"/%%37e", b"/%zz%41", b"/%4%31"])
def test_a_percent_sign_alone_keeps_its_meaning(path: bytes) -> None:
    assert decode_unreserved(path) == path


@given(st.integers(0, 255))
def test_unreserved_characters_are_decoded(octet: int) -> None:
    character = bytes((octet,))
    needs_none = character.isalnum() or character in (b"-", b".", b"_", b"~")
    for encoded in (b"%%%02x" % octet, b"%%%02X" % octet):
        assert decode_unreserved(b"/a" + encoded) == b"/a" + (character if needs_none else encoded)


def test_phrases_are_those_of_the_rfc() -> None:
    assert PHRASES[413] == b"Content Too Large"
    assert PHRASES[414] == b"URI Too Long"


def test_a_target_in_each_form() -> None:
    assert split_target(b"GET", b"/a?b?c").query == b"b?c"
    assert split_target(b"GET", b"http://h").path == b"/"
    assert split_target(b"OPTIONS", b"http://h").path == b"*"
    assert split_target(b"CONNECT", b"h:1").authority == b"h:1"
    for method, target in ((b"GET", b"*"), (b"GET", b"a"), (b"CONNECT", b"/"), (b"GET", b"/\xff")):
        with pytest.raises(HTTPError):
            split_target(method, target)


def test_fields_of_one_name_combine_in_order() -> None:
    fields = Fields(((b"A", b"1"), (b"B", b"2"), (b"a", b"3")))
    assert fields.get(b"a") == b"1, 3"
    assert fields.get_all(b"a") == [b"1", b"3"]
    assert fields.without((b"a",)).lines == ((b"B", b"2"),)
    assert fields.get(b"c") is None


def test_a_page_s_objects_are_found_as_a_browser_finds_them() -> None:
    page = b"""<base href="/x/"><IMG SRC=a.png><img src="a.png#b"><script src='//other:81/s.js'></script>
    <link rel="Shortcut ICON" href="i.ico"><link rel=canonical href="c"><video poster=p.jpg src=v.mp4></video>
    <a href="no"><img src="data:image/png;base64,xx"><img src="https://h/no"><img src="a b.png">
    <!-- <img src=comment> --><script>"<img src=inscript>"</script><iframe src="f.html">"""
    assert find_objects(page, "http://h/p") == [
        "http://h/x/a.png",
        "http://other:81/s.js",
        "http://h/x/i.ico",
        "http://h/x/v.mp4",
        "http://h/x/p.jpg",
        "http://h/x/a b.png",
        "http://h/x/f.html",
    ]


@pytest.mark.parametrize(
    ("content_type", "page", "charset"),
    [
        (b"text/html", b"plain", "utf-8"),
        (b"text/html", "\u00fc".encode(), "utf-8"),
        (b"text/html", b"\xfc", "cp1252"),
        (b"text/html; charset=ISO-8859-2", b"<meta charset=koi8-r>", "iso8859-2"),
        (b'text/html;a=b; Charset="Shift_JIS"', b"", "cp932"),
        (b"text/html; charset=unheard-of", b"<META CHARSET='KOI8-R'>", "koi8-r"),
        (b"text/html", b'<meta http-equiv=content-type content="text/html; charset=gb2312">', "gb18030"),
        (b"text/html", b"<!-- <meta charset=koi8-r> --><meta charset=big5>", "big5hkscs"),
        (b"text/html", b" " * 1024 + b"<meta charset=big5>", "utf-8"),
        (b"text/html", b"<meta charset=utf-16>", "utf-8"),
        (b"text/html; charset=big5", b"\xef\xbb\xbf<meta charset=koi8-r>", "utf-8-sig"),
        (b"text/html", b"\xff\xfea\0", "utf-16"),
        # Python codecs that are no character encodings of the web.
        (b"text/html; charset=rot13", b"", "utf-8"),
        (b"text/html; charset=utf-7", b"", "utf-8"),
    ],
)
def test_the_character_encoding_of_a_page(content_type: bytes, page: bytes, charset: str) -> None:
    assert detect_charset(page, content_type) == charset


@pytest.mark.parametrize(
    ("charset", "target"),
    [
        ("utf-8", b"/%C3%BC?q=%C3%BC&s=%E2%82%AC%C5%91"),
        ("iso-8859-1", b"/%C3%BC?q=%FC&s=%80%26%23337%3B"),
        ("iso-8859-2", b"/%C3%BC?q=%FC&s=%26%238364%3B%F5"),
        ("utf-16", b"/%C3%BC?q=%C3%BC&s=%E2%82%AC%C5%91"),
    ],
)
def test_a_path_is_sent_in_utf_8_and_a_query_in_the_page_s_encoding(charset: str, target: bytes) -> None:
    page = '<img src="\u00fc?q=\u00fc&amp;s=\u20ac\u0151">'
    octets = page.encode("utf-16") if charset == "utf-16" else page.encode("ascii", "xmlcharrefreplace")
    links = find_links(octets, "http://h/", f"text/html; charset={charset}".encode())
    assert [link.request_target for link in links] == [target]


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("a|b[1].css?x[]={y}^`", b"/p/a%7Cb%5B1%5D.css?x%5B%5D=%7By%7D%5E%60"),
        ("100%.png?50%&%zz&%20", b"/p/100%25.png?50%25&%25zz&%20"),
        ('a"<b>', b"/p/a%22%3Cb%3E"),
        ("\\x\\y?a\\b", b"/x/y?a%5Cb"),
        ("~a'!$&()*+,;=:@", b"/p/~a'!$&()*+,;=:@"),
    ],
)
def test_a_client_encodes_what_no_uri_may_have(reference: str, target: bytes) -> None:
    link = resolve("http://h/p/", reference)
    assert link is not None
    assert link.request_target == target


def test_a_url_s_parts() -> None:
    link = parse_url("http://H:8080/a b?c=d#e")
    assert (link.origin.host, link.origin.port, link.request_target) == ("h", 8080, b"/a%20b?c=d")
    assert link.origin.authority == b"h:8080"
    assert parse_url("http://[::1]/").origin.authority == b"[::1]"
    for url in ("ftp://h/", "http:///", "http://h:x/", "h", "http://a b/"):
        with pytest.raises(ValueError, match=r"no valid host|not an http"):
            parse_url(url)
