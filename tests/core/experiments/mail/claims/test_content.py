"""S8, S9 and S11 hold on messages that show them, and fail on those that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.mail.claims.content import decide_dot_stuffing, decide_mime_picture, decide_multipart
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.mail.smtp_wire import (
    BODY,
    HEADER,
    PAGE,
    PICTURE,
    PLAIN,
    SmtpWire,
    Way,
    stuffed,
    with_picture,
)

OBJECTS = {"page.html": PAGE, "picture.jpg": PICTURE}


def test_a_picture_in_base64_comes_through_seven_bits(tmp_path: Path) -> None:
    verdict = said(
        decide_mime_picture(Way(with_picture()).legs(tmp_path), PICTURE), "shown", "384 of them above 127", "768 octets"
    )
    assert "of them above 127) is transferred as Content-Type: image/jpeg in base64" in verdict.evidence


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (with_picture(page=b"caf\xe9"), "Octet 200 of the message in frame"),
        (with_picture(PICTURE[::-1]), "The relayed picture has the SHA-256"),
        (with_picture(encoding=b"7bit"), "The picture has no MIME-Version field, or is not encoded in base64"),
        (with_picture().replace(b"MIME-Version: 1.0\r\n", b""), "has no MIME-Version"),
        (PLAIN, "No message has a part of the type image/jpeg"),
        (
            with_picture().replace(b"AAECAwQFBgcICQ", b"AAECAwQFBgcICQ" + b"A" * 80),
            "A line of the picture is not base64, or longer than 76 characters",
        ),
    ],
)
def test_s8_wants_seven_bits_and_the_same_picture(tmp_path: Path, content: bytes, why: str) -> None:
    said(decide_mime_picture(Way(content, relayed=content).legs(tmp_path), PICTURE), "failed", why)


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (with_picture(PICTURE[::-1]), "The picture retrieved in frame"),
        (PLAIN, "The receiver's agent retrieves no picture"),
        (with_picture(page=b"caf\xe9"), "has octets above 127"),
    ],
)
def test_s8_wants_the_picture_read_as_it_was_sent(tmp_path: Path, read: bytes, why: str) -> None:
    said(decide_mime_picture(Way(with_picture(), read=read).legs(tmp_path), PICTURE), "failed", why)
    assert decide_mime_picture(Way(with_picture()).legs(tmp_path / "d", dropped=1), PICTURE).verdict == "undecided"


def test_s9_wants_the_objects_also_in_what_is_read(tmp_path: Path) -> None:
    way = Way(with_picture(), read=with_picture(page=b"other"), objects=tuple(OBJECTS.values()))
    said(
        decide_multipart(way.legs(tmp_path), OBJECTS),
        "failed",
        "No message that the receiver's agent retrieves contains all objects",
    )


def test_s11_wants_dots_doubled_by_pop3_and_not_by_imap(tmp_path: Path) -> None:
    text = PLAIN.replace(b"\r\n.\r\n", b"\r\n")
    body, edge = text.partition(b"\r\n\r\n")[2], len(HEADER) + 2 + len(b"Dear Bob,\r\n")
    said(decide_dot_stuffing(Way(text, piece=edge).legs(tmp_path / "a"), body), "shown")
    bare = Way(text, piece=edge, stuffed=False).legs(tmp_path / "b")
    said(decide_dot_stuffing(bare, body), "failed", "The receiver's agent does not retrieve the text of the message")
    kept = text.replace(b"\r\n.", b"\r\n..")
    doubled = Way(text, read=kept, piece=edge, by_pop3=False).legs(tmp_path / "c")
    said(decide_dot_stuffing(doubled, body), "failed", "The receiver's agent does not retrieve the text of the message")


def test_s9_sets_one_message_beside_a_response_for_each_object(tmp_path: Path) -> None:
    way = Way(content=with_picture(), objects=tuple(OBJECTS.values()))
    said(
        decide_multipart(way.legs(tmp_path), OBJECTS),
        "shown",
        "One message with a single end-of-data line and a single 250 (frame 36) contains page.html, picture.jpg",
        "each with its own status line and header (frames 22",
    )


def test_s9_fails_where_objects_are_missing(tmp_path: Path) -> None:
    web = tuple(OBJECTS.values())
    alone = Way(content=with_picture(page=b"other"), objects=web).legs(tmp_path / "a")
    said(
        decide_multipart(alone, OBJECTS),
        "failed",
        "No message contains all objects; the most complete one lacks page.html",
    )
    joined = Way(content=with_picture(), objects=(PAGE + PICTURE,)).legs(tmp_path / "b")
    said(decide_multipart(joined, OBJECTS), "failed", "0 HTTP responses contain page.html")
    twice = Way(content=with_picture(), objects=(*web, PAGE)).legs(tmp_path / "c")
    said(decide_multipart(twice, OBJECTS), "failed", "2 HTTP responses contain page.html")


def test_s9_needs_both_sides(tmp_path: Path) -> None:
    legs = Way(content=with_picture()).legs(tmp_path / "a")
    assert decide_multipart(legs, OBJECTS).verdict == "undecided"
    assert decide_multipart(Way(objects=(PAGE,)).legs(tmp_path / "b"), {"page.html": PAGE}).verdict == "undecided"
    assert decide_multipart(Way(objects=(PAGE,)).legs(tmp_path / "c", dropped=1), OBJECTS).verdict == "undecided"


def test_dots_survive_also_at_the_edges_of_segments(tmp_path: Path) -> None:
    edge = len(HEADER) + 2 + len(b"Dear Bob,\r\n")
    verdict = said(decide_dot_stuffing(Way(piece=edge).legs(tmp_path), BODY), "shown", "3 lines begin with a dot")
    assert ", 0 of these" not in verdict.evidence


def test_s11_is_undecided_where_no_dot_is_at_an_edge(tmp_path: Path) -> None:
    said(
        decide_dot_stuffing(Way(piece=1400).legs(tmp_path), BODY),
        "undecided",
        "No dot at the beginning of a line is at the edge of a TCP segment",
    )
    assert decide_dot_stuffing(Way(piece=1400).legs(tmp_path / "d", dropped=2), BODY).verdict == "undecided"


def test_s11_wants_the_same_text_on_every_leg(tmp_path: Path) -> None:
    other = PLAIN.replace(b"\r\n.hidden", b"\r\nhidden")
    said(
        decide_dot_stuffing(Way(relayed=other).legs(tmp_path / "a"), BODY),
        "failed",
        "No message contains the text with the SHA-256",
    )
    said(
        decide_dot_stuffing(Way(read=other).legs(tmp_path / "b"), BODY),
        "failed",
        "The receiver's agent does not retrieve the text of the message",
    )


def test_s11_wants_every_dot_doubled(tmp_path: Path) -> None:
    legs = Way().legs(tmp_path)
    bare = stuffed(PLAIN).replace(b"\r\n..hidden", b"\r\n.hidden")
    one = SmtpWire().begin().hello().say("MAIL FROM:<a@x>", 250).say("RCPT TO:<b@x>", 250).say("DATA", 354)
    relayed = one.data(bare).quit().traffic(tmp_path / "bare")
    # Whose reader takes a dot away finds another text in it.
    said(
        decide_dot_stuffing(replace(legs, at_sender=relayed), BODY),
        "failed",
        "No message contains the text with the SHA-256",
    )


def test_s11_wants_lines_that_begin_with_dots(tmp_path: Path) -> None:
    body = b"no dots\r\n"
    said(
        decide_dot_stuffing(Way(content=HEADER + b"\r\n" + body).legs(tmp_path), body),
        "failed",
        "no line that begins with a dot",
    )
