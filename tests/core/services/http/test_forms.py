"""Forms, valid and invalid: whole, octet by octet, and with trailing octets."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cookies import cookies, drop_cookie, set_cookie
from lab7.services.http.errors import HTTPError
from lab7.services.http.forms import (
    FIELDS_MAX,
    PADDING_OCTETS,
    PART_HEADER_OCTETS,
    PARTS_MAX,
    Form,
    FormFile,
    FormParser,
    MultipartParser,
    media_type,
    url_fields,
)

BOUNDARY = b"----WebKitFormBoundaryAbC123"
KIND = b"multipart/form-data; boundary=" + BOUNDARY
FIELD = b'Content-Disposition: form-data; name="to"\r\n\r\nbob@example.com'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x'


def body(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def read(octets: bytes, step: int = 1 << 30, kind: bytes = KIND) -> Form:
    reader = FormParser(kind)
    for begin in range(0, len(octets), step):
        reader.feed(octets[begin : begin + step])
    return reader.finish()


@pytest.mark.parametrize("step", [1, 7, 1 << 30])
@pytest.mark.parametrize("trailing", [b"", b"\r\n", b"epilogue\r\n--" + BOUNDARY + b"\r\n"])
def test_a_form_is_read_however_it_comes(step: int, trailing: bytes) -> None:
    form = read(body(FIELD, FILE) + trailing, step)
    assert form.fields == [("to", "bob@example.com")]
    assert form.files == [FormFile("file", "a.png", "image/png", b"\x89PNG\r\n--x")]


CONTENT = st.binary(max_size=60) | st.sampled_from([b"\r\n", b"\r\n--", b"\r", b"\r\n--b", b"--b", b"\r\n--bb\r\n"])


@given(parts=st.lists(CONTENT, max_size=5), cuts=st.lists(st.integers(1, 40), max_size=30))
def test_any_part_content_is_parsed(parts: list[bytes], cuts: list[int]) -> None:
    boundary = b"b-not-in-any-part"
    kind = b"multipart/form-data; boundary=" + boundary
    octets = body(
        *(b'Content-Disposition: form-data; name=f; filename="x"\r\n\r\n' + header for header in parts),
        boundary=boundary,
    )
    reader = FormParser(kind)
    for cut in cuts:
        reader.feed(octets[:cut])
        octets = octets[cut:]
    reader.feed(octets)
    assert [file.content for file in reader.finish().files] == parts


@given(st.binary(max_size=300), st.booleans())
def test_no_octets_raise_anything_else(octets: bytes, framed: bool) -> None:
    with suppress(HTTPError):
        read(body(octets) if framed else octets)


def test_a_part_may_be_empty_or_have_no_empty_line_at_all() -> None:
    head = b'Content-Disposition: form-data; name="a"\r\n'
    # RFC 2046 section 5.1.1: body-part = MIME-part-headers [CRLF *OCTET]
    octets = b"--b\r\n" + head + b"\r\n\r\n--b\r\n" + head + b"\r\n--b\r\n" + head + b"\r\n--\r\n--b--"
    for step in (1, 1 << 30):
        form = read(octets, step, b"multipart/form-data; boundary=b")
        assert form.fields == [("a", ""), ("a", ""), ("a", "--")]


def test_a_preamble_and_blanks_behind_a_boundary_are_passed_over() -> None:
    octets = b"preamble\r\n--b \t\r\n" + FIELD + b"\r\n--b--  \r\n"
    assert read(octets, 1, b'multipart/form-data; charset=x; boundary="b"').get("to") == "bob@example.com"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b'"a b.txt"', "a b.txt"),
        (b"plain.txt", "plain.txt"),
        (b'"C:\\a.txt"', "C:\\a.txt"),
        (b'"say \\"hi\\".txt"', 'say "hi".txt'),
        (b'"say %22hi%22%0D%0A.txt"', 'say "hi"\r\n.txt'),
        (b'"100%25.txt"', "100%25.txt"),
        ('"Übersicht.pdf"'.encode(), "Übersicht.pdf"),
        (b'"\xff"', "\ufffd"),
    ],
)
def test_a_file_s_name_as_browsers_and_curl_write_it(written: bytes, name: str) -> None:
    octets = body(b"Content-Disposition: form-data; name=f; filename=" + written + b"\r\n\r\nx")
    assert [file.file_name for file in read(octets).files] == [name]


def test_the_starred_name_is_not_read() -> None:
    """filename* is ignored (RFC 7578 section 4.2)."""
    octets = body(b"Content-Disposition: form-data; name=f; filename=a; filename*=utf-8''evil\r\n\r\nx")
    assert [file.file_name for file in read(octets).files] == ["a"]


def test_blanks_cost_no_more_than_their_length() -> None:
    head = b"X: " + b" " * (PART_HEADER_OCTETS - 200) + b"\0\r\n"
    with pytest.raises(HTTPError):
        read(body(head + b"\r\n"))
    padded = b"X:" + b" " * (PART_HEADER_OCTETS - 200) + b"y\r\n" + FIELD
    assert len(read(body(*[padded] * PARTS_MAX)).fields) == PARTS_MAX


def test_no_file_chosen_is_no_file() -> None:
    octets = body(
        b'Content-Disposition: form-data; name="f"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    assert read(octets) == Form()


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Disposition: attachment; name=x\r\n\r\n",
        b"Content-Disposition: form-data\r\n\r\n",
        b"Content-Disposition: form-datax; name=x\r\n\r\n",
        b'Content-Disposition: form-data; name="x\r\n\r\n',
        b"Content-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"no colon\r\n\r\n",
        b" folded: x\r\n\r\n",
        b"\r\nx",
        b"X: \0\r\n\r\n",
    ],
)
def test_a_part_that_is_none_is_refused(part: bytes) -> None:
    for step in (1, 1 << 30):
        with pytest.raises(HTTPError) as caught:
            read(body(part), step)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (body(FIELD)[:-6], 400),
        (b"", 400),
        (b"x" * (PADDING_OCTETS + 200), 400),
        (b"--" + BOUNDARY + b" " * (PADDING_OCTETS + 10), 400),
        (b"--" + BOUNDARY + b"x\r\n", 400),
        (body(b"X: " + b"y" * PART_HEADER_OCTETS + b"\r\n\r\n"), 413),
        (body(*[FIELD] * (PARTS_MAX + 1)), 413),
        (body(FIELD + b"x" * (4 * 1024 * 1024)), 413),
    ],
    ids=["breaks off", "nothing", "no boundary", "blanks", "no delimiter", "long header", "many parts", "long field"],
)
def test_bounds_hold(octets: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        read(octets, 65_536)
    assert caught.value.status == status


@pytest.mark.parametrize("boundary", [b"", b"b" * 71, b"b ", b"b\r", b"\xff"])
def test_a_boundary_that_is_none_is_refused(boundary: bytes) -> None:
    with pytest.raises(HTTPError):
        MultipartParser(boundary)


def test_buffered_input_is_bounded() -> None:
    parser = MultipartParser(b"b")
    parser.feed(b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n')
    for _ in range(100):
        parser.feed(b"\r\n--" * 1000)
        assert len(parser._buffer) <= len(b"\r\n--b")


def test_url_encoded_forms() -> None:
    form = read(
        b"to=bob%40example.com&text=a+b%0D%0A%C3%BC&uid=1&uid=2&empty=", kind=b"application/x-www-form-urlencoded"
    )
    assert (form.get("to"), form.get("text"), form.get_all("uid")) == ("bob@example.com", "a b\r\nü", ["1", "2"])
    assert form.fields[-1] == ("empty", "")
    with pytest.raises(HTTPError):
        url_fields(b"a&" * (FIELDS_MAX + 1))


@pytest.mark.parametrize("kind", [None, b"", b"text/plain", b"multipart/mixed; boundary=b", b"nonsense", b"a/b; c"])
def test_other_media_types_are_rejected(kind: bytes | None) -> None:
    with pytest.raises(HTTPError) as caught:
        FormParser(kind)
    assert caught.value.status == 415


def test_a_media_type_with_its_parameters() -> None:
    assert media_type(b'Text/HTML; Charset="utf-8" ; x=y') == (b"text/html", {b"charset": b"utf-8", b"x": b"y"})


def test_cookies_go_there_and_back() -> None:
    name, value = set_cookie("session", "abc-_1", secure=True)
    assert name == b"Set-Cookie"
    assert value == b"session=abc-_1; Path=/; HttpOnly; SameSite=Strict; Secure"
    assert cookies(b'a=1; session="abc-_1"; session=late; nonsense') == {"a": "1", "session": "abc-_1"}
    assert drop_cookie("session", False)[1].endswith(b"Max-Age=0")
    assert cookies(None) == {}
    for bad in ("a;b", "a\r\nX: y", "a,b", 'a"', "ü"):
        with pytest.raises(ValueError, match="cookie"):
            set_cookie("session", bad, secure=False)
