"""SORT and THREAD (RFC 5256), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267)."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.imap.syntax.base_subject import BaseSubject, base_subject
from lab7.services.mail.imap.syntax.dates import sent_day, sent_time
from lab7.services.mail.imap.thread_tree import ThreadMessage, encode_threads, threads_by_references, threads_by_subject
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("lunch", "lunch", False),
        ("Re: lunch", "lunch", True),
        ("RE : [list] lunch", "lunch", True),
        ("re[2]: lunch", "lunch", True),
        ("[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)", "b", True),
        ("b (a)", "b (a)", False),
        ("Re: [FWD: c]", "c", True),
        ("[xyz]", "[xyz]", False),
        ("[a] [b] text", "text", False),
        ("  a \t b  ", "a b", False),
        ("reference: x", "reference: x", False),
        ("", "", False),
        ("Re:", "", True),
    ],
)
def test_base_subjects(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == BaseSubject(base, is_reply)


@given(st.text(alphabet="[]re:fwd() \tX", max_size=80))
def test_the_base_subject_of_a_base_subject_is_itself(subject: str) -> None:
    base = base_subject(subject).text
    assert base_subject(base).text == base


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"Thu, 1 Jan 1970 01:00:10 +0100", 10.0),
        # A zone of more than a day is invalid: UTC.
        (b"1 Jan 1970 00:00:10 +9999", 10.0),
        (b"2 Jan 1970 99:00:00 +0000", 86_400.0),
        (b"2 Jan 1970", 86_400.0),
        (b"32 Jan 1970 00:00:00 +0000", None),
        (b"tomorrow", None),
        (None, None),
    ],
)
def test_sent_dates(value: bytes | None, seconds: float | None) -> None:
    assert sent_time(value) == seconds


def client_of(tmp_path: Path, *messages: bytes) -> Client:
    """Return a client of a mailbox in which message n has internal date n."""
    maildir = Maildir(tmp_path / "maildir")
    folder = maildir.folder("INBOX")
    folder.append([NewMessage(message, date=1000.0 + place) for place, message in enumerate(messages)], ())
    client = Client(maildir)
    client.send(b"s SELECT INBOX\r\n")
    return client


SUBJECTS = (b"a", b"C", b"b", b"_", b"[foo] Re: b (fwd)", b"b (a)", b"Re: [FWD: c]", b"=?utf-8?q?=C3=A4?=")


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        # A letter with a mark is decomposed: it is behind the letter itself.
        ("SUBJECT", "9 1 8 3 5 6 2 7 4"),
        ("REVERSE SUBJECT", "4 2 7 6 3 5 8 1 9"),
        ("SUBJECT REVERSE ARRIVAL", "9 1 8 5 3 6 7 2 4"),
        ("REVERSE ARRIVAL", "9 8 7 6 5 4 3 2 1"),
    ],
)
def test_subjects_are_sorted_by_their_bases(tmp_path: Path, criteria: str, order: str) -> None:
    client = client_of(tmp_path, *(b"Subject: %b\r\n\r\nx" % subject for subject in SUBJECTS), b"\r\nno subject")
    assert client.send(b"a SORT (%b) UTF-8 ALL\r\n" % criteria.encode()).splitlines()[0].decode() == f"* SORT {order}"


ADDRESSES = (
    b"From: zoe@a.example\r\nTo: Ann <x@b.example>, b@c.example\r\n\r\n",
    b"From: Bob <yak@a.example>\r\nTo: ann2@b.example\r\n\r\n",
    b"From: =?utf-8?q?=C3=84rger?= <Xi@a.example>\r\n\r\n12345",
    b"Subject: none\r\n\r\n",
)


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ("FROM", "4 3 2 1"),
        ("DISPLAYFROM", "4 3 2 1"),
        ("TO", "3 4 2 1"),
        ("DISPLAYTO", "3 4 1 2"),
        ("CC REVERSE SIZE", "1 3 2 4"),
    ],
)
def test_addresses_are_sorted_by_mailbox_or_display_name(tmp_path: Path, criteria: str, order: str) -> None:
    client = client_of(tmp_path, *ADDRESSES)
    assert client.send(b"a SORT (%b) UTF-8 ALL\r\n" % criteria.encode()).splitlines()[0].decode() == f"* SORT {order}"


def test_sort_results_as_the_options_request(tmp_path: Path) -> None:
    dates = ("3 Feb", "1 Feb", "2 Feb")
    client = client_of(tmp_path, *(f"Date: {day} 2001 00:00:00 +0000\r\n\r\n".encode() for day in dates))
    client.play(
        """
        C: a UID SORT (DATE) UTF-8 2:*
        S: * SORT 2 3
        S: a OK Sort completed.
        C: b SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL
        S: * ESEARCH (TAG "b") MIN 2 MAX 1 ALL 2:3,1 COUNT 3
        S: b OK Sort completed.
        C: c UID SORT RETURN (PARTIAL 2:3) (REVERSE DATE) UTF-8 ALL
        S: * ESEARCH (TAG "c") UID PARTIAL (2:3 3,2)
        S: c OK Sort completed.
        C: d SORT (DATES) UTF-8 ALL
        S: d BAD Unknown sort key.
        C: e SORT (DATE) KLINGON ALL
        S: e NO [BADCHARSET (...)] Unsupported character set.
        C: f THREAD REFERENCES UTF-8 9
        S: * THREAD
        S: f OK Thread completed.
        C: g THREAD NONE UTF-8 ALL
        S: g BAD Unknown threading algorithm.
        """
    )


def message(message_id: str = "", references: str = "", subject: str = "", more: str = "") -> bytes:
    fields = {"Message-ID": message_id, "References": references, "Subject": subject}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value).encode() + more.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("messages", "threads"),
    [
        ([message("<a@x>"), message("<b@x>", "<a@x>"), message("<c@x>", "<a@x> <b@x>")], "(1 2 3)"),
        ([message("<a@x>"), message("<b@x>", "<a@x>"), message("<c@x>", "<a@x>")], "(1 (2)(3))"),
        ([message("<b@x>", "<a@x>"), message("<c@x>", "<a@x>")], "((1)(2))"),
        ([message("<b@x>", "<a@x>")], "(1)"),
        # A loop: the first link stands.
        ([message("<a@x>", "<b@x>"), message("<b@x>", "<a@x>")], "(2 1)"),
        ([message("<a@x>", "<a@x>")], "(1)"),
        # The same Message-ID twice.
        ([message("<a@x>"), message("<a@x>"), message("<b@x>", "<a@x>")], "(1 3)(2)"),
        ([message("<a@x>", more="In-Reply-To: hello <b@x> of <c@x>\r\n"), message("<b@x>")], "(2 1)"),
        # Subjects merge threads: below the original, or as siblings.
        ([message("<a@x>", subject="s"), message("<b@x>", subject="Re: s")], "(1 2)"),
        ([message("<a@x>", subject="Re: s"), message("<b@x>", subject="s")], "(2 1)"),
        ([message("<a@x>", subject="s"), message("<b@x>", subject="s")], "((1)(2))"),
        ([message("<a@x>", subject="Re: s"), message("<b@x>", subject="Re: s")], "((1)(2))"),
        ([message("<b@x>", "<a@x>", "s"), message("<c@x>", "<a@x>"), message("<d@x>", subject="s")], "((1)(2)(3))"),
        ([message(), message()], "(1)(2)"),
    ],
)
def test_threads_by_references(tmp_path: Path, messages: list[bytes], threads: str) -> None:
    client = client_of(tmp_path, *messages)
    assert client.send(b"a THREAD REFERENCES UTF-8 ALL\r\n").splitlines()[0].decode() == f"* THREAD {threads}"


def test_threads_by_subject(tmp_path: Path) -> None:
    subjects = (b"x", b"y", b"Re: x", b"X", b"Re: y", b"z")
    client = client_of(tmp_path, *(b"Subject: %b\r\n\r\n" % subject for subject in subjects))
    answer = client.send(b"a UID THREAD ORDEREDSUBJECT UTF-8 ALL\r\n").splitlines()[0]
    assert answer == b"* THREAD (1 (3)(4))(2 5)(6)"


IDS = st.sampled_from([b"<%d@x>" % number for number in range(6)])


@given(
    st.lists(
        st.tuples(st.none() | IDS, st.lists(IDS, max_size=4), st.sampled_from(["", "s", "t"]), st.booleans()),
        max_size=10,
    )
)
def test_every_message_is_in_exactly_one_thread(parts: list[tuple[bytes | None, list[bytes], str, bool]]) -> None:
    messages = [
        ThreadMessage(number, float(-number % 3), BaseSubject(subject, is_reply), message_id, references)
        for number, (message_id, references, subject, is_reply) in enumerate(parts, start=1)
    ]
    for threads in (threads_by_references(messages), threads_by_subject(messages)):
        text = encode_threads(threads)
        assert sorted(map(int, re.findall(rb"\d+", text))) == list(range(1, len(parts) + 1))
        assert text.count(b"(") == text.count(b")")


def test_a_deep_thread_is_encoded() -> None:
    ids = [b"<%d@x>" % number for number in range(5000)]
    messages = [
        ThreadMessage(number + 1, 0.0, BaseSubject("", False), ids[number], ids[max(0, number - 1) : number])
        for number in range(len(ids))
    ]
    assert encode_threads(threads_by_references(messages)) == b"(%b)" % b" ".join(b"%d" % n for n in range(1, 5001))


def test_a_date_field_of_blanks_is_read_in_linear_time() -> None:
    """With adjacent repetitions of blanks this would take longer than any test: the square of their number."""
    assert sent_day(b"Mon" + b" " * 1_000_000 + b"x") is None
    assert sent_day(b"Mon , 3 Feb 2020") == sent_day(b"Mon   3 Feb 2020") == date(2020, 2, 3)
