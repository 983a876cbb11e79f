"""MIME structure: well-formed, malformed and hostile messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.imap.syntax.structures import body_structure, envelope
from lab7.services.mail.mime.addresses import Address, parse_addresses
from lab7.services.mail.mime.header import parse_header
from lab7.services.mail.mime.lexer import Lexer
from lab7.services.mail.mime.limits import DEPTH_MAX, PARTS_MAX
from lab7.services.mail.mime.parameters import parse_parametric
from lab7.services.mail.mime.structure import Part, find, parse
from lab7.services.mail.mime.words import decode_transfer, decode_words, text_of


def multipart(boundary: bytes, *parts: bytes, end: bytes = b"--\r\n") -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n"
    return head + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + end


def bodies(octets: bytes) -> list[bytes]:
    """Return the bodies of the leaves, in order."""
    found: list[bytes] = []
    pending = [parse(octets)]
    while pending:
        part = pending.pop()
        inside = [*part.children, *([part.message] if part.message else [])]
        pending += reversed(inside)
        if not inside:
            found.append(octets[part.body_begin : part.body_end])
    return found


def test_the_line_end_before_a_delimiter_belongs_to_it() -> None:
    octets = multipart(b"x", b"\r\none", b"\r\ntwo\r\n", b"A: b\r\n\r\n")
    assert bodies(octets) == [b"one", b"two\r\n", b""]


def test_an_empty_line_that_belongs_to_a_delimiter_is_not_part_of_a_header() -> None:
    octets = multipart(b"x", b"A: b\r\n", b"A: b\r\n\r\n", b"", b"Content-Type: message/rfc822\r\n\r\nB: c\r\n")
    parts = parse(octets).children
    assert [octets[part.header_begin : part.body_begin] for part in parts[:3]] == [b"A: b\r\n", b"A: b\r\n\r\n", b""]
    inner = parts[3].message
    assert inner is not None
    assert octets[inner.header_begin : inner.body_begin] == b"B: c\r\n"


@pytest.mark.parametrize(
    ("field", "boxes"),
    [
        (b"a@b <c@d>", b'((NIL NIL "a" "b"))'),
        (b"[X] Name <a@b>", b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
        (b"a@b, [X] Name <c@d>, e@f", b'((NIL NIL "a" "b")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
        (b"Name <a@b> x, c@d", b'(("Name" NIL "a" "b"))'),
        (b"a@b; c@d", b'((NIL NIL "a" "b"))'),
        (b"x: [Y] Z <a@b>;", b'((NIL NIL "x" NIL)(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL NIL NIL))'),
        (b"x: a@b; c@d", b'((NIL NIL "x" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))'),
        (b"a b, c", b'(("a b" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "c" "MISSING_DOMAIN"))'),
        (b"a@b <x>\r\nFrom: c@d", b'((NIL NIL "a" "b")(NIL NIL "c" "d"))'),
    ],
)
def test_an_address_list_of_an_envelope_ends_at_an_error_as_dovecots(field: bytes, boxes: bytes) -> None:
    assert envelope(parse_header(b"From: " + field + b"\r\n\r\n")).startswith(b"(NIL NIL " + boxes + b" ")


def test_a_boundary_that_begins_like_another_is_another() -> None:
    inner = multipart(b"xy", b"\r\ninner")
    assert bodies(multipart(b"x", inner, b"\r\nouter")) == [b"inner", b"outer"]


def test_an_inner_multipart_without_an_end_ends_with_the_outer() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ninner"
    assert bodies(multipart(b"o", inner, b"\r\nouter")) == [b"inner", b"outer"]


def test_what_is_before_and_after_the_parts_belongs_to_none() -> None:
    head = b"Content-Type: multipart/mixed; boundary=x\r\n\r\nbefore\r\n"
    assert bodies(head + b"--x\r\n\r\none\r\n--x--\r\nafter\r\n--x\r\n\r\nno\r\n") == [b"one"]


def test_parts_of_a_digest_are_messages() -> None:
    octets = b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: a\r\n\r\nbody\r\n--x--\r\n"
    (part,) = parse(octets).children
    assert part.message is not None
    assert part.message.header.first(b"subject") == b"a"


def test_a_message_of_nothing() -> None:
    for octets in (b"", b"\r\n", b"x", b"A: b"):
        assert body_structure(parse(octets), extended=True).startswith(b'("text" "plain"')


def test_nesting_beyond_the_bound_is_one_part() -> None:
    octets = b"\r\nin the middle\r\n"
    for level in range(1000):
        octets = multipart(b"b%d." % level, octets)
    part, depth = parse(octets), 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == DEPTH_MAX
    assert body_structure(parse(octets), extended=True).count(b'"mixed"') == DEPTH_MAX + 1


def test_messages_in_messages_are_bounded() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Subject: x\r\n\r\n"
    part: Part | None = parse(octets)
    depth = 0
    while part is not None:
        part, depth = part.message, depth + 1
    assert depth == DEPTH_MAX + 1


def test_parts_are_bounded() -> None:
    assert len(parse(multipart(b"x", *[b"\r\n"] * (PARTS_MAX + 10))).children) < PARTS_MAX + 1


def test_lines_that_look_like_delimiters_take_no_time() -> None:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(90))
    parse(head + b"--\r\n" * 1_000_000)


@pytest.mark.parametrize("numbers", [[2], [1, 2], [1, 1, 1], [0x7FFFFFFF]])
def test_parts_that_are_not_there(numbers: list[int]) -> None:
    octets = multipart(b"x", b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody")
    assert find(parse(octets), numbers) is None


PIECES = st.lists(
    st.sampled_from(
        [
            *(b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: message/rfc822\r\n", b"--a", b"--b"),
            *(b"Content-Type: multipart/digest; boundary=b\r\n", b"\r\n", b"--", b"From: (", b'"', b"<", b"@", b"x"),
            *(b"Content-Disposition: a; b*0=", b"Subject: =?utf-8?b?", b"?=", b"\\", b"\xff", b"\0", b"\n", b"\r"),
            *(b" ", b",", b";"),
        ]
    ),
    max_size=40,
).map(b"".join)


@given(st.one_of(PIECES, st.binary(max_size=200)))
def test_any_octets_have_a_structure(octets: bytes) -> None:
    root = parse(octets)
    for extended in (True, False):
        assert body_structure(root, extended).count(b"(") > 0
    assert envelope(root.header).startswith(b"(")
    pending = [root]
    while pending:
        part = pending.pop()
        assert 0 <= part.header_begin <= part.body_begin <= part.body_end <= len(octets)
        pending += [*part.children, *([part.message] if part.message else [])]


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        (b"ann@example.com", [(None, None, b"ann", b"example.com")]),
        (b"Ann <ann@example.com>", [(b"Ann", None, b"ann", b"example.com")]),
        (b'"Doe, Jane" <j@x>, b@y', [(b"Doe, Jane", None, b"j", b"x"), (None, None, b"b", b"y")]),
        (b"ann@example.com (Ann (the) One)", [(b"Ann (the) One", None, b"ann", b"example.com")]),
        (b"J. R. Smith <j@x>", [(b"J. R. Smith", None, b"j", b"x")]),
        (b"<@a,@b:c@d>", [(None, b"@a,@b", b"c", b"d")]),
        (b'"odd one"@x', [(None, None, b"odd one", b"x")]),
        (b"a@[192.0.2.1]", [(None, None, b"a", b"[192.0.2.1]")]),
        (b"a . b @ c . d", [(None, None, b"a.b", b"c.d")]),
        (
            b"us: a@b, c@d;",
            [(None, None, b"us", None), (None, None, b"a", b"b"), (None, None, b"c", b"d"), (None,) * 4],
        ),
        (b"nobody:;", [(None, None, b"nobody", None), (None,) * 4]),
        (b"", []),
        (b" , ,", []),
    ],
)
def test_addresses(field: bytes, parts: list[tuple[bytes | None, ...]]) -> None:
    assert parse_addresses(field) == [Address(*one) for one in parts]


@given(st.one_of(st.binary(max_size=60), st.text('a@<>(),:;"\\[]. ', max_size=40).map(str.encode)))
def test_any_octets_are_read_as_addresses_in_the_end(octets: bytes) -> None:
    parse_addresses(octets)


@pytest.mark.parametrize("piece", [b'"', b"a ", b'"a"(b)', b"a.", b"a:", b"<", b"(", b"a@[", b"@", b"a<b "])
def test_no_word_of_an_address_field_is_read_often(monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    """A quadratic parser would block all sessions for minutes on such a field."""
    read = 0
    word = Lexer.word

    def counted(lexer: Lexer) -> bytes | None:
        nonlocal read
        read += 1
        assert read <= 4 * 5_000
        return word(lexer)

    monkeypatch.setattr(Lexer, "word", counted)
    parse_addresses(piece * 5_000)


@pytest.mark.parametrize(
    ("field", "value", "parameters"),
    [
        (b"text/plain", b"text/plain", []),
        (b'text/plain; charset="utf-8"; x=y', b"text/plain", [(b"charset", b"utf-8"), (b"x", b"y")]),
        (b"a/b;c=d (comment) ; e=f", b"a/b", [(b"c", b"d"), (b"e", b"f")]),
        (b"a/b; n*0=x; n*1=y; m*0*=utf-8''%41; m*1=z", b"a/b", [(b"n", b"xy"), (b"m*", b"utf-8''%41z")]),
        (b"a/b; x; y=z;;", b"a/b", [(b"y", b"z")]),
        (b'a/b; x="open', b"a/b", [(b"x", b"open")]),
        (b"", b"", []),
    ],
)
def test_parameters(field: bytes, value: bytes, parameters: list[tuple[bytes, bytes]]) -> None:
    found = parse_parametric(field)
    assert (found.value, found.parameters) == (value, parameters)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= x", "Grüße x"),
        (b"=?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?q?_K=F6ln?=", "Grüße Köln"),
        (b"=?x-none?q?a=FF?=", "a\ufffd"),
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        ("Grüße".encode(), "Grüße"),
        (b"=?utf-8*de?q?ja?=", "ja"),
        (b"=?base64?q?x?=", "x"),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


def test_base64_that_is_not_whole() -> None:
    assert decode_transfer(b"YWJj\r\nZGVm\r\nZ", b"base64") == b"abcdef"
    assert decode_transfer(b"!!YWJj", b" Base64 ") == b"abc"
    assert decode_transfer(b"x=3D=\r\ny", b"quoted-printable") == b"x=y"
    assert decode_transfer(b"x=3D", b"8bit") == b"x=3D"


def test_headers_are_unfolded_and_found_in_any_case() -> None:
    header = parse_header(b"SUBJECT: one\r\n\t two\r\nno field\r\nX : y\r\n\r\nBody: z\r\n")
    assert header.first(b"subject") == b"one two"
    assert header.first(b"x") == b"y"
    assert header.first(b"body") is None
    assert header.chosen([b"Subject"]) == b"SUBJECT: one\r\n\t two\r\n"
    assert header.chosen([b"subject"], inverted=True) == b"no field\r\nX : y\r\n"


@pytest.mark.parametrize("charset", [b"punycode", b"IDNA", b"unicode-escape", b"raw_unicode_escape", b"hex", b"\xff"])
def test_a_codec_that_is_no_character_set_is_not_used(charset: bytes) -> None:
    """Python's punycode codec takes quadratic time: ten seconds for this text, hours for a large message."""
    octets = b"abc-" + b"a9b8c7" * 100_000 + b"\\u0041"
    assert text_of(octets, charset) == octets.decode("ascii")


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        (b"iso-8859-1", b"\x93a\x94", "\u201ca\u201d"),
        (b"Latin1", b"\x80", "\u20ac"),
        (b"ISO-8859-9", b"\x80\xfd", "\u20ac\u0131"),
        (b"gb2312", "\u9555".encode("gbk"), "\u9555"),
        (b"x-gbk", "\u9555".encode("gbk"), "\u9555"),
        (b"ks_c_5601-1987", "\ub620".encode("cp949"), "\ub620"),
        (b"EUC-KR", "\ub620".encode("cp949"), "\ub620"),
        (b"x-windows-949", "\ub620".encode("cp949"), "\ub620"),
        (b"Windows-31J", "\u2460".encode("cp932"), "\u2460"),
        (b"shift_jis", "\u2460".encode("cp932"), "\u2460"),
        (b"x-sjis", "\u2460".encode("cp932"), "\u2460"),
        (b"iso-8859-8-i", "\u05e9".encode("iso8859_8"), "\u05e9"),
        (b"windows-874", "\u0e44".encode("cp874"), "\u0e44"),
        (b"TIS-620", "\u0e44".encode("cp874"), "\u0e44"),
        (b"koi8-r", "\u044f".encode("koi8_r"), "\u044f"),
        (b"x-mac-cyrillic", "\u044f".encode("mac_cyrillic"), "\u044f"),
        (b"no-such-charset", "\u044f".encode(), "\u044f"),
        (b"\xff", "\u044f".encode(), "\u044f"),
        (b"x-idna", b"a", "a"),
    ],
)
def test_character_sets_as_mail_programs_name_them(charset: bytes, octets: bytes, text: str) -> None:
    assert text_of(octets, charset) == text
