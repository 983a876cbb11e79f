"""Message composition: drafts encoded by the user agent and parsed by the standard library."""

from __future__ import annotations

import email
import email.policy
import hashlib
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.address import Mailbox
from lab7.services.mail.agent import fields
from lab7.services.mail.agent.composition import compose_message
from lab7.services.mail.agent.drafts import (
    Attachment,
    ComposeError,
    Draft,
    NameAddr,
    parse_mailbox_list,
    parse_single_mailbox,
)
from lab7.services.mail.agent.limits import ATTACHMENTS_MAX, LINE_OCTETS, RECIPIENTS_MAX, REFERENCES_MAX, TEXT_OCTETS

ALICE = NameAddr("Alice", Mailbox("alice", "example.org"))
BOB = NameAddr("", Mailbox("bob", "example.com"))
DATE_S = 1_795_442_557.0
# Text that is permitted in a header field: no controls, no lone surrogates.
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=120)


def read_back(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.default)


def written(subject: str = "Hello", text: str = "Hi.\n", **others: object) -> bytes:
    draft = Draft(ALICE, (BOB,), subject, text, **others)  # type: ignore[arg-type]
    return compose_message(draft, DATE_S, "1@example.org")


def test_a_picture_travels_as_ascii() -> None:
    picture = bytes(range(256)) * 300
    octets = written(text="Schöne Grüße!\n", attachments=[Attachment("Übersicht.jpg", picture)])
    assert octets.isascii()
    message = read_back(octets)
    assert message["MIME-Version"] == "1.0"
    assert message["Date"] == "Mon, 23 Nov 2026 14:02:37 +0000"
    text, image = message.iter_parts()
    assert text.get_content().splitlines() == ["Schöne Grüße!"]
    assert (image.get_content_type(), image["Content-Transfer-Encoding"]) == ("image/jpeg", "base64")
    assert image.get_filename() == "Übersicht.jpg"
    assert hashlib.sha256(image.get_content()).digest() == hashlib.sha256(picture).digest()


def test_the_same_draft_gives_the_same_octets() -> None:
    files = [Attachment("a.bin", b"\0")]
    assert written(attachments=files) == written(attachments=files)


def test_no_blind_copy_is_written() -> None:
    secret = NameAddr("", Mailbox("carol", "example.net"))
    draft = Draft(ALICE, (BOB,), "x", "", bcc=(secret,))
    assert b"carol" not in compose_message(draft, DATE_S, "1@x")
    assert draft.recipients == (BOB.mailbox, secret.mailbox)


@given(subject=WORDS, name=WORDS, text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_what_was_written_is_read(subject: str, name: str, text: str) -> None:
    sender = NameAddr(name.strip(), ALICE.mailbox)
    octets = compose_message(Draft(sender, (BOB,), subject, text), DATE_S, "1@x")
    assert octets.isascii()
    assert all(len(line) <= LINE_OCTETS for line in octets.split(b"\r\n"))
    assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
    message = read_back(octets)
    assert [key.lower() for key in message] == [
        "date",
        "from",
        "to",
        "message-id",
        "subject",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    ]
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert body.replace(b"\r\n", b"\n").decode("utf-8").rstrip("\n") == lines.rstrip("\n")


@given(WORDS)
def test_a_subject_comes_back(subject: str) -> None:
    header = email.header.make_header(email.header.decode_header(read_raw(fields.unstructured("Subject", subject))))
    assert str(header).split() == subject.split()


def read_raw(field: str) -> str:
    return str(email.message_from_string(field, policy=email.policy.compat32)["Subject"])


@pytest.mark.parametrize("bad", ["a\r\nBcc: eve@example.net", "a\nb", "a\rb", "a\0b", "a\x85b", "a\u2028b", "\ud800"])
def test_nobody_writes_a_field_of_his_own(bad: str) -> None:
    for draft in (
        Draft(ALICE, (BOB,), bad, ""),
        Draft(NameAddr(bad, ALICE.mailbox), (BOB,), "", ""),
        Draft(ALICE, (NameAddr(bad, BOB.mailbox),), "", ""),
        Draft(ALICE, (BOB,), "", "", attachments=[Attachment(bad, b"")]),
        Draft(ALICE, (BOB,), "", "", in_reply_to=f"<{bad}@x>"),
        Draft(ALICE, (BOB,), "", "", references=(f"<{bad}@x>",)),
    ):
        with pytest.raises(ComposeError):
            compose_message(draft, DATE_S, "1@x")
    with pytest.raises(ComposeError):
        compose_message(Draft(ALICE, (BOB,), "", ""), DATE_S, bad)
    with pytest.raises(ComposeError):
        parse_mailbox_list(f"{bad} <bob@example.com>")


def test_an_encoded_line_end_stays_encoded() -> None:
    """Some libraries decode encoded words in their input before encoding it: no line ending may get through."""
    hidden = "=?utf-8?q?a=0D=0ABcc:_eve@example.net?="
    octets = written(subject=hidden, attachments=[Attachment(hidden, b"")])
    assert b"\r\nBcc" not in octets
    assert read_back(octets)["Bcc"] is None
    assert b"=?utf-8?" in octets
    draft = Draft(NameAddr(hidden, ALICE.mailbox), (BOB,), "", "")
    assert b"\r\nBcc" not in compose_message(draft, DATE_S, "1@x")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("Grüße, mostly in ASCII\n", "quoted-printable"),
        ("東京" * 20 + "\n", "base64"),
        ("x" * 999 + "\n", "quoted-printable"),
        ("x" * 998 + "\n", "7bit"),
        ("a\0b\n", "quoted-printable"),
    ],
    ids=["ascii", "some beyond", "all beyond", "a long line", "the longest line", "a NUL"],
)
def test_a_text_is_encoded_where_it_must_be(text: str, encoding: str) -> None:
    message = read_back(written(text=text))
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_payload(decode=True) == text.encode().replace(b"\n", b"\r\n")


def test_what_holds_parts_goes_as_octets() -> None:
    """RFC 2046 section 5.2.1: message/rfc822 must not be encoded in base64."""
    octets = written(
        attachments=[Attachment("a.eml", b"\xff", "message/rfc822"), Attachment("b", b"", "multipart/mixed")]
    )
    assert [part.get_content_type() for part in read_back(octets).iter_attachments()] == [
        "application/octet-stream"
    ] * 2


@pytest.mark.parametrize("kind", ["text/html\r\nX: y", "nonsense", "a/b/c", "", "text/ html"])
def test_a_media_type_that_is_none_is_not_written(kind: str) -> None:
    octets = written(attachments=[Attachment("a.png", b"", kind)])
    assert next(read_back(octets).iter_attachments()).get_content_type() == "image/png"


def test_people_are_read_as_they_are_typed() -> None:
    assert parse_mailbox_list('"Example, Bob" <bob@example.com>,carol@example.net') == (
        NameAddr("Example, Bob", Mailbox("bob", "example.com")),
        NameAddr("", Mailbox("carol", "example.net")),
    )
    assert parse_mailbox_list("  ") == ()


@pytest.mark.parametrize("text", ["bob", "bob@", "@example.com", "bob@-.com", "<>", ", ".join(["a@b"] * 1001)])
def test_who_is_no_mailbox_is_named(text: str) -> None:
    with pytest.raises(ComposeError, match=r"\.$"):
        parse_mailbox_list(text)


def test_bounds_are_said_in_a_sentence() -> None:
    many = tuple(NameAddr("", Mailbox(f"u{number}", "example.com")) for number in range(RECIPIENTS_MAX + 1))
    drafts = [
        Draft(ALICE, (), "x", ""),
        Draft(ALICE, many, "x", ""),
        Draft(ALICE, (BOB,), "x" * (TEXT_OCTETS + 1), ""),
        Draft(ALICE, (BOB,), "x", "", attachments=[Attachment("a", b"")] * (ATTACHMENTS_MAX + 1)),
        Draft(ALICE, (BOB,), "x", "", attachments=[Attachment("a" * 256, b"")]),
        Draft(ALICE, (BOB,), "x", "\ud800"),
    ]
    for draft in drafts:
        with pytest.raises(ComposeError, match=r"\.$"):
            compose_message(draft, DATE_S, "1@x")
    with pytest.raises(ComposeError):
        parse_single_mailbox("a@example.com, b@example.com", "sender")


def test_many_references_are_cut_in_the_middle() -> None:
    references = tuple(f"<{number}@example.com>" for number in range(100))
    kept = read_back(written(in_reply_to="<99@example.com>", references=references))["References"].split()
    assert (len(kept), kept[0], kept[-1]) == (REFERENCES_MAX, "<0@example.com>", "<99@example.com>")
