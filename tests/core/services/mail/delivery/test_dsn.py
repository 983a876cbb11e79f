"""Delivery status notifications, parsed by Python's email package."""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from lab7.services.mail.address import Mailbox
from lab7.services.mail.delivery.dsn import RETURNED_OCTETS_MAX, ReportedMessage
from lab7.services.mail.delivery.dsn import notification as encoded
from lab7.services.mail.queue.entry import Recipient
from lab7.services.mail.smtp.content import ContentReader, stuffed
from lab7.services.mail.smtp.syntax import NO_MESSAGE_REQUEST, MessageRequest, RecipientRequest, Reply

ANN, BOB, EVE = Mailbox("ann", "example.net"), Mailbox("bob", "example.com"), Mailbox("e ve", "example.com")
SENT = b"Subject: hello\r\nFrom: ann@example.net\r\n\r\n.body\r\n"


def notification(
    content: bytes = SENT, *recipients: Recipient, request: MessageRequest = NO_MESSAGE_REQUEST
) -> EmailMessage:
    failed = ReportedMessage(
        "1f", 1_700_000_000.0, ANN, recipients or (Recipient(BOB, last=Reply(550, "no", "5.1.1")),), content, request
    )
    octets = encoded(failed, "mx.example.com", 1_700_000_100.0, "b0undary")
    reader = ContentReader(1_000_000)
    assert reader.feed(stuffed(octets)) == b""
    assert reader.finish() == octets
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_it_is_a_report_of_three_parts_for_the_sender() -> None:
    message = notification()
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["To"] == "ann@example.net"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Date"].datetime.timestamp() == 1_700_000_100.0
    people, programs, returned = message.iter_parts()
    assert "bob@example.com" in people.get_content()
    assert "550 5.1.1 no" in people.get_content()
    assert programs.get_content_type() == "message/delivery-status"
    assert returned.get_content()["Subject"] == "hello"


def test_the_status_has_a_block_of_the_message_and_one_a_recipient() -> None:
    first = Recipient(BOB, last=Reply(452, "no\nroom", "4.2.2", "mx.example.net"))
    second = Recipient(EVE, original=BOB, last=Reply(554, "no"))
    blocks: Any = list(notification(SENT, first, second).iter_parts())[1].get_payload()
    assert [dict(block.items()) for block in blocks] == [
        {"Reporting-MTA": "dns; mx.example.com", "X-Queue-ID": "1f", "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000"},
        {
            "Final-Recipient": "rfc822; bob@example.com",
            "Action": "failed",
            "Status": "4.2.2",
            "Remote-MTA": "dns; mx.example.net",
            "Diagnostic-Code": "smtp; 452-4.2.2 no 452 4.2.2 room",
        },
        {
            "Original-Recipient": "rfc822; bob@example.com",
            "Final-Recipient": 'rfc822; "e ve"@example.com',
            "Action": "failed",
            "Status": "5.0.0",
            "Diagnostic-Code": "X-Lab7; 554 no",
        },
    ]


@pytest.mark.parametrize(("octets", "kind"), [(10, "message/rfc822"), (RETURNED_OCTETS_MAX, "text/rfc822-headers")])
def test_a_long_message_comes_back_as_its_header(octets: int, kind: str) -> None:
    parts = list(notification(SENT + b"x\r\n" * (octets // 3)).iter_parts())
    assert parts[2].get_content_type() == kind
    assert b"hello" in parts[2].as_bytes()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (SENT + b"\xc3\xa4\r\n", None),
        (SENT + b"x" * 999 + b"\r\n", None),
        (b"X-A: \xc3\xa4\r\n" + SENT, "quoted-printable"),
        (b"X-A: \xe4\r\n" + SENT, "quoted-printable"),
        (b"X-A: " + b"x" * 1500 + b"\r\n" + SENT, "quoted-printable"),
        (b"\xc3\xa4" * 40_000, None),
    ],
    ids=["8-bit body", "long line", "UTF-8 header", "8-bit header", "long header line", "no header"],
)
def test_a_message_that_is_not_7_bit_comes_back_as_its_header_in_7_bit(content: bytes, encoding: str | None) -> None:
    message = notification(content)
    assert max(map(len, message.as_bytes().split(b"\n"))) <= 998
    assert message.as_bytes().isascii()
    people, _, returned = message.iter_parts()
    assert "The header of your message" in people.get_content()
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned["Content-Transfer-Encoding"] == encoding
    decoded = returned.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    header = content[: content.find(b"\r\n\r\n") + 2] if b":" in content else b""
    # The line end before the boundary belongs to the boundary.
    assert decoded.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r").strip() == header.strip()
    if b"\xe4" in content:
        assert returned.get_content_charset() == "unknown-8bit"


def test_a_status_is_that_of_the_last_failure_and_4_4_7_if_it_has_none() -> None:
    """RFC 3463 section 3.5, X.4.7."""
    known, unknown = Recipient(BOB, last=Reply(451, "busy", "4.4.4")), Recipient(EVE, last=Reply(451, "busy"))
    people, programs, _ = notification(SENT, known, unknown).iter_parts()
    assert people.get_content().count("Delivery time expired") == 2
    blocks: Any = programs.get_payload()
    assert [block["Status"] for block in blocks[1:]] == ["4.4.4", "4.4.7"]
    assert [block["Remote-MTA"] for block in blocks[1:]] == [None, None]


def test_a_server_without_a_name_is_an_address_literal() -> None:
    blocks: Any = list(notification(SENT, Recipient(BOB, last=Reply(550, "no", "", "192.0.2.1"))).iter_parts())[1]
    assert blocks.get_payload()[1]["Remote-MTA"] == "dns; [192.0.2.1]"


def test_a_reply_is_quoted_as_printable_lines_and_not_endless() -> None:
    text = "\n".join(["a\rb\0c\xe4" + "x" * 2_000] * 250)
    octets = notification(SENT, Recipient(BOB, last=Reply(550, text, "", "mx.example.net"))).as_bytes()
    assert octets.isascii()
    assert b"\0" not in octets
    assert len(octets) < 20_000
    assert max(map(len, octets.split(b"\n"))) <= 998


def test_a_delivery_is_reported_with_what_the_envelope_named() -> None:
    """RFC 3461 section 6.3: Original-Envelope-Id and Original-Recipient are decoded, only the header is returned."""
    request = RecipientRequest("SUCCESS", "rfc822;Bob+2BX@Example.com")
    here = Recipient(BOB, request=request, last=Reply(250, "Delivered", "2.1.5"))
    there = Recipient(EVE, last=Reply(250, "Queued", "2.0.0", "mx.example.net"))
    message = notification(SENT, here, there, request=MessageRequest("FULL", "QQ+2B1"))
    people, programs, returned = message.iter_parts()
    assert "was delivered" in people.get_content()
    assert returned.get_content_type() == "text/rfc822-headers"
    blocks: Any = programs.get_payload()
    assert blocks[0]["Original-Envelope-Id"] == "QQ+1"
    assert dict(blocks[1].items()) == {
        "Original-Recipient": "rfc822; Bob+X@Example.com",
        "Final-Recipient": "rfc822; bob@example.com",
        "Action": "delivered",
        "Status": "2.1.5",
    }
    assert (blocks[2]["Action"], blocks[2]["Remote-MTA"]) == ("relayed", "dns; mx.example.net")


def test_of_a_failed_message_only_the_header_is_returned_on_request() -> None:
    kinds = [
        list(notification(request=MessageRequest(returned)).iter_parts())[2].get_content_type()
        for returned in ("", "FULL", "HDRS")
    ]
    assert kinds == ["message/rfc822", "message/rfc822", "text/rfc822-headers"]
