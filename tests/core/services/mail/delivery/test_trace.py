"""Trace fields, completion of submitted messages, alias expansion, retry schedule."""

import email.utils

import pytest

from lab7.services.mail.accounts import Accounts
from lab7.services.mail.address import Mailbox
from lab7.services.mail.delivery.dispatcher import expand
from lab7.services.mail.delivery.trace import (
    complete_submission,
    date_time,
    received_field,
    return_path_field,
    without_return_path,
)
from lab7.services.mail.queue.entry import Schedule, parse_intervals
from lab7.services.mail.smtp.greylist import Greylist

BOB = Mailbox("bob", "example.com")


def test_received_has_every_clause() -> None:
    field = received_field("c.example.net", "2001:db8::1", "mx.example.com", "ESMTPS", "1f", BOB, 0.0)
    assert field == (
        b"Received: from c.example.net ([IPv6:2001:db8::1])\r\n"
        b"\tby mx.example.com with ESMTPS id 1f\r\n"
        b"\tfor <bob@example.com>; Thu, 1 Jan 1970 00:00:00 +0000\r\n"
    )
    assert b"for" not in received_field("c", "192.0.2.1", "mx", "SMTP", "1f", None, 0.0)


@pytest.mark.parametrize("seconds", [0.0, 951_782_400.0, 1_700_000_000.9, 4_102_444_799.0])
def test_dates_are_those_of_the_standard_library(seconds: float) -> None:
    assert email.utils.parsedate_to_datetime(date_time(seconds)).timestamp() == int(seconds)


def test_the_return_path_is_written_once() -> None:
    old = b"Return-Path: <x@y>\r\nA: b\r\nRETURN-PATH:\r\n <z@y>\r\nC: d\r\n\r\nReturn-Path: body\r\n"
    assert without_return_path(old) == b"A: b\r\nC: d\r\n\r\nReturn-Path: body\r\n"
    assert without_return_path(b"A: b\r\n\r\n") == b"A: b\r\n\r\n"
    assert return_path_field(None) == b"Return-Path: <>\r\n"
    assert return_path_field(BOB) == b"Return-Path: <bob@example.com>\r\n"


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (b"A: b\r\n\r\nx\r\n", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <i@h>\r\nA: b\r\n\r\nx\r\n"),
        (b"date: x\r\nMESSAGE-ID: y\r\n\r\nx\r\n", b"date: x\r\nMESSAGE-ID: y\r\n\r\nx\r\n"),
        (b"Date: x\r\n\r\nMessage-ID: no\r\n", b"Message-ID: <i@h>\r\nDate: x\r\n\r\nMessage-ID: no\r\n"),
        (b"\r\nbody\r\n", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <i@h>\r\n\r\nbody\r\n"),
        (b"just text\r\n", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <i@h>\r\n\r\njust text\r\n"),
    ],
)
def test_a_submission_gets_the_fields_that_it_lacks(content: bytes, whole: bytes) -> None:
    assert complete_submission(content, "i@h", 0.0) == whole


def test_lists_and_forwards_lead_to_each_recipient_once() -> None:
    accounts = Accounts(
        "alice:x\nbob:x\nstaff: alice, bob, all\nall: staff, out@example.net\n"
        "dave => bob@example.com\nloop => loop@example.com",
        ["example.com"],
    )
    found = expand([Mailbox("all", ""), Mailbox("dave", "EXAMPLE.com"), BOB], accounts)
    assert [(str(one.mailbox), str(one.original)) for one in found] == [
        ("alice@example.com", "all"),
        ("bob@example.com", "all"),
        ("out@example.net", "all"),
    ]
    assert [str(one.mailbox) for one in expand([Mailbox("loop", "")], accounts)] == ["loop@example.com"]


def test_no_member_of_a_long_list_is_lost() -> None:
    names = [f"u{number}@example.net" for number in range(10_001)]
    accounts = Accounts(f"all: {', '.join(names)}", ["example.com"])
    assert [str(one.mailbox) for one in expand([Mailbox("all", "example.com")], accounts)] == names


def test_names_of_other_servers_may_differ_in_case_alone() -> None:
    """RFC 5321 section 2.4."""
    accounts = Accounts("bob:x", ["example.com"])
    names = ["Bob@example.com", "bob@EXAMPLE.com", "Bob@example.net", "bob@example.net", "bob@EXAMPLE.net"]
    mailboxes = [Mailbox(*name.split("@")) for name in names]
    assert [str(one.mailbox) for one in expand(mailboxes, accounts)] == [names[0], names[2], names[3]]


def test_waits_grow_and_the_last_stays() -> None:
    schedule = Schedule(parse_intervals("1,2,4"), 10.0)
    assert [schedule.wait_s(tries) for tries in (1, 2, 3, 4, 99)] == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert not schedule.is_expired(100.0, 109.9)
    assert schedule.is_expired(100.0, 110.0)
    for text in ("", "0", "1,-2", "x", "inf"):
        with pytest.raises(ValueError, match=r"."):
            parse_intervals(text)


def test_a_greylist_forgets_who_does_not_come_again() -> None:
    now = [0.0]
    known = Greylist(60.0, lambda: now[0])
    triple = ("192.0.2.1", "a@b", "c@d")
    assert not known.passes(triple)
    now[0] = 100_000.0
    assert not known.passes(triple)
    now[0] += 60.0
    assert known.passes(triple)
    now[0] += 86_401.0
    assert known.passes(triple)
    assert not known.passes(("192.0.2.2", *triple[1:]))
