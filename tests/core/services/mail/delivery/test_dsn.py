"""Delivery status notifications, parsed by Python's email package."""

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from lab7.services.mail.address import Mailbox
from lab7.services.mail.delivery.dsn import RETURNED_OCTETS_MAX, FailedMessage, bounce
from lab7.services.mail.queue.entry import Recipient
from lab7.services.mail.smtp.content import ContentReader, stuffed
from lab7.services.mail.smtp.syntax import Reply

ANN, BOB, EVE = Mailbox("ann", "example.net"), Mailbox("bob", "example.com"), Mailbox("e ve", "example.com")
SENT = b"Subject: hello\r\nFrom: ann@example.net\r\n\r\n.body\r\n"


def notification(content: bytes = SENT, *recipients: Recipient) -> EmailMessage:
    failed = FailedMessage(
        "1f", 1_700_000_000.0, ANN, recipients or (Recipient(BOB, last=Reply(550, "no", "5.1.1")),), content
    )
    octets = bounce(failed, "mx.example.com", 1_700_000_100.0, "b0undary")
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
    first = Recipient(BOB, last=Reply(452, "no\nroom", "4.2.2"))
    second = Recipient(EVE, original=BOB, last=Reply(554, "no"))
    blocks: Any = list(notification(SENT, first, second).iter_parts())[1].get_payload()
    assert [dict(block.items()) for block in blocks] == [
        {"Reporting-MTA": "dns; mx.example.com", "X-Queue-ID": "1f", "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000"},
        {
            "Final-Recipient": "rfc822; bob@example.com",
            "Action": "failed",
            "Status": "4.2.2",
            "Diagnostic-Code": "smtp; 452 4.2.2 no room",
        },
        {
            "Original-Recipient": "rfc822; bob@example.com",
            "Final-Recipient": 'rfc822; "e ve"@example.com',
            "Action": "failed",
            "Status": "5.0.0",
            "Diagnostic-Code": "smtp; 554 no",
        },
    ]


@pytest.mark.parametrize(("octets", "kind"), [(10, "message/rfc822"), (RETURNED_OCTETS_MAX, "text/rfc822-headers")])
def test_a_long_message_comes_back_as_its_header(octets: int, kind: str) -> None:
    parts = list(notification(SENT + b"x\r\n" * (octets // 3)).iter_parts())
    assert parts[2].get_content_type() == kind
    assert b"hello" in parts[2].as_bytes()


def test_octets_beyond_ascii_are_declared() -> None:
    parts = list(notification(SENT + b"\xc3\xa4\r\n").iter_parts())
    assert parts[2]["Content-Transfer-Encoding"] == "8bit"
