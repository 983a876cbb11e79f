"""Displayed text parts and attachments of a message; file names that try to leave the directory."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.agent.terminal import message_text
from lab7.services.mail.message_content.contents import HTML, PLAIN, Contents
from lab7.services.mail.message_content.file_names import parameter_text, safe_file_name
from lab7.services.mail.message_content.limits import FILE_NAME_OCTETS, LEAF_PARTS_MAX
from lab7.services.mail.mime.parameters import parse_parametric


def part(media_type: bytes, body: bytes = b"", *fields: bytes) -> bytes:
    return b"".join((b"Content-Type: ", media_type, b"\r\n", *(one + b"\r\n" for one in fields), b"\r\n", body))


def multipart(subtype: bytes, *parts: bytes, boundary: bytes = b"b") -> bytes:
    head = b"Content-Type: multipart/" + subtype + b"; boundary=" + boundary + b"\r\n\r\n"
    return head + b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + boundary + b"--\r\n"


def shown(octets: bytes, html: bool) -> list[str]:
    contents = Contents(octets)
    return [contents.text(piece) for piece in contents.texts(html)]


def test_one_of_alternatives_is_shown() -> None:
    octets = multipart(b"alternative", part(b"text/plain", b"plain"), part(b"text/html", b"<b>rich</b>"))
    assert shown(octets, html=True) == ["<b>rich</b>"]
    assert shown(octets, html=False) == ["plain"]
    assert Contents(octets).files == []


def test_html_with_its_pictures_is_one_alternative() -> None:
    picture = part(b"image/png", b"AAEC", b"Content-Transfer-Encoding: base64", b"Content-ID: <ring@x>")
    related = multipart(b"related", part(b"text/html", b"<img src=cid:ring@x>"), picture, boundary=b"r")
    octets = multipart(b"alternative", part(b"text/plain", b"plain"), related)
    contents = Contents(octets)
    assert shown(octets, html=True) == ["<img src=cid:ring@x>"]
    (file,) = contents.files
    assert (file.number, file.content_id, contents.decoded(file)) == ("2.2", "ring@x", b"\0\1\2")
    assert contents.leaf("2.2") is file
    assert contents.leaf("2.3") is None


def test_texts_in_a_row_are_all_shown_and_attached_text_is_not() -> None:
    attached = part(b"text/plain", b"notes", b"Content-Disposition: attachment; filename=notes.txt")
    octets = multipart(b"mixed", part(b"text/plain", b"one"), attached, part(b"text/html", b"two"))
    assert shown(octets, html=True) == ["one", "two"]
    assert [(file.media_type, file.file_name) for file in Contents(octets).files] == [(PLAIN, "notes.txt")]


def test_a_message_in_a_message_is_a_file() -> None:
    octets = multipart(b"mixed", part(b"text/plain", b"see"), part(b"message/rfc822", b"Subject: inner\r\n\r\nx"))
    assert [file.file_name for file in Contents(octets).files] == ["part-2.eml"]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b'attachment; filename="a b.txt"', "a b.txt"),
        (b"attachment; filename*=utf-8''%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        (b"attachment; filename*0*=iso-8859-1'de'%DC; filename*1=ber.pdf", "Über.pdf"),
        (b'attachment; filename="=?utf-8?q?=C3=9Cber?=.pdf"', "Über.pdf"),
        (b"attachment; filename*=nonsense", "nonsense"),
        (b"attachment", ""),
    ],
)
def test_names_in_every_way_they_are_written(field: bytes, name: str) -> None:
    assert parameter_text(parse_parametric(field), b"filename") == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\autoexec.bat", "autoexec.bat"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("report\u202efdp.exe", "reportfdp.exe"),
        ("", "file"),
        ("x/", "file"),
        ("a" * 300 + ".jpg", "a" * 251 + ".jpg"),
        ("ü" * 300, "ü" * 127),
    ],
)
def test_no_name_leads_out(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


@given(st.text())
def test_every_name_can_be_a_file_s(name: str) -> None:
    safe = safe_file_name(name)
    assert safe
    assert len(safe.encode("utf-8")) <= FILE_NAME_OCTETS
    assert not set(safe) & set('/\\\0\r\n"<>:|?*')
    assert not safe.startswith(".")


@given(st.binary(max_size=500))
def test_no_octets_raise(octets: bytes) -> None:
    contents = Contents(octets)
    for html in (True, False):
        for piece in contents.texts(html):
            contents.text(piece)
    for file in contents.files:
        contents.decoded(file)
    message_text(octets)


def test_a_thousand_levels_are_shown_as_far_as_they_are_read() -> None:
    octets = b"deep"
    for number in range(1000):
        octets = multipart(b"alternative", part(HTML.encode(), b"no"), octets, boundary=b"b%d" % number)
    contents = Contents(b"Subject: deep\r\n" + octets)
    assert contents.field(b"subject") == "deep"
    assert len(contents.leaf_parts) <= LEAF_PARTS_MAX
    assert contents.texts(html=True)


def test_a_bomb_of_parts_is_cut() -> None:
    octets = multipart(b"mixed", *[part(b"image/png")] * 20_000)
    assert len(Contents(octets).leaf_parts) == LEAF_PARTS_MAX


def test_as_the_standard_library_reads_it() -> None:
    message = email.message.EmailMessage(email.policy.SMTP)
    message["Subject"] = "Grüße"
    message.set_content("Schöner Text\n")
    message.add_alternative("<p>Schöner Text</p>\n", subtype="html")
    message.add_attachment(b"\0\1", maintype="image", subtype="png", filename="Ring ä.png")
    contents = Contents(bytes(message))
    assert contents.field(b"subject") == "Grüße"
    assert shown(contents.octets, html=False) == ["Schöner Text\n"]
    assert [(one.file_name, contents.decoded(one)) for one in contents.files] == [("Ring ä.png", b"\0\1")]


def test_a_terminal_is_shown_no_commands() -> None:
    octets = b"Subject: a\x1b[2Jb\r\nFrom: x\x07\r\n\r\n\x1b]0;title\x07text\x9b31m\r\n"
    text = message_text(octets)
    assert not set(text) & {chr(code) for code in [*range(9), *range(11, 32), *range(127, 160)]}
    assert "Subject: a[2Jb" in text


def test_html_alone_is_shown_without_its_marks() -> None:
    assert message_text(part(b"text/html", b"<p>Hello &uuml;<b>Bob</b>&#27;</p>")).endswith("\nHello üBob\n")
