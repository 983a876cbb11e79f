"""SEARCH (RFC 3501 section 6.4.4) and ESEARCH (RFC 4731)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.imap.syntax.dates import read_date_time
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client

FIRST = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nCc: Eve <eve@example.com>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus_K=C3=B6ln?=\r\nDate: 1 Feb 2001 23:59:59 -1200\r\n"
    b"X-Thing: a\r\n b\r\nX-Empty:\r\n\r\nNothing special.\r\n"
)
SECOND = (
    b"From: bob@example.com\r\nBcc: ann@example.com\r\nSubject: picture\r\nDate: Fri, 2 Mar 2001 10:00:00 +0000\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Die Stra=DFe ist f=\r\nrei.\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nPGI+d2l0aGluPC9iPg==\r\n--x\r\n"
    b"Content-Type: image/jpeg; name=cat.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--x--\r\n"
)
THIRD = b"Subject: third\r\n\r\n" + b"long " * 100 + b"\r\n"
FLAGS = (frozenset(("\\Seen", "\\Answered")), frozenset(("\\Flagged", "word")), frozenset(("\\Draft", "\\Deleted")))
DAYS = (b'"01-Jan-2001 23:59:59 +0000"', b'"02-Jan-2001 00:00:00 +0000"', b'"03-Jan-2001 12:00:00 +0000"')


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    path: Path = tmp_path_factory.mktemp("search")
    maildir = Maildir(path)
    folder = maildir.folder("INBOX")
    dates = [read_date_time(Reader(day)) for day in DAYS]
    folder.append([NewMessage(one, date=day) for one, day in zip((FIRST, SECOND, THIRD), dates, strict=True)], FLAGS)
    made = Client(maildir)
    made.send(b"s SELECT INBOX\r\n")
    return made


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALL", "1 2 3"),
        ("1", "1"),
        ("2:*", "2 3"),
        ("9", ""),
        ("UID 2,9", "2"),
        ("ANSWERED", "1"),
        ("UNANSWERED", "2 3"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3"),
        ("FLAGGED", "2"),
        ("UNFLAGGED", "1 3"),
        ("DELETED", "3"),
        ("UNDELETED", "1 2"),
        ("DRAFT", "3"),
        ("UNDRAFT", "1 2"),
        ("KEYWORD WORD", "2"),
        ("UNKEYWORD word", "1 3"),
        ("NEW", "2 3"),
        ("RECENT", "1 2 3"),
        ("OLD", ""),
        ("NOT SEEN", "2 3"),
        ("OR SEEN DRAFT", "1 3"),
        ("(UNSEEN FLAGGED)", "2"),
        ("NOT (OR SEEN (DRAFT UNSEEN))", "2"),
        ("UNSEEN UNFLAGGED", "3"),
        ("SUBJECT picture", "2"),
        ("SUBJECT PICT", "2"),
        ('SUBJECT ""', "1 2 3"),
        ("FROM ann@", "1"),
        ('FROM "<bob@example.com>"', "2"),
        ('BCC "<ann@"', "2"),
        ('HEADER FROM "<bob@"', ""),
        ("TO bob", "1"),
        ("CC eve", "1"),
        ("BCC ann", "2"),
        ('HEADER X-Thing "a b"', "1"),
        ('HEADER x-empty ""', "1"),
        ("HEADER X-Empty x", ""),
        ('HEADER X-None ""', ""),
        ("LARGER 400", "2 3"),
        ("SMALLER 400", "1"),
        ("LARGER 4294967296", ""),
        ("SMALLER 9223372036854775807", "1 2 3"),
        ("BEFORE 2-Jan-2001", "1"),
        ('ON "2-jan-2001"', "2"),
        ("SINCE 02-Jan-2001", "2 3"),
        ("SENTON 1-Feb-2001", "1"),
        ("SENTBEFORE 2-Mar-2001", "1"),
        ("SENTSINCE 2-Mar-2001", "2"),
        ("BODY nothing", "1"),
        ("BODY ann@", ""),
        ("BODY within", "2"),
        ("BODY frei", "2"),
        ("BODY secret", ""),
        ("BODY jpeg", ""),
        ("TEXT cat.jpg", "2"),
        ("TEXT ann@", "1 2"),
        ("BODY preamble", ""),
    ],
)
def test_keys(client: Client, keys: str, found: str) -> None:
    assert client.send(f"a SEARCH {keys}\r\n".encode()).splitlines()[0] == f"* SEARCH {found}".rstrip().encode()


@pytest.mark.parametrize(
    ("charset", "key", "octets", "found"),
    [
        ("UTF-8", "SUBJECT", "GRÜßE aus köln".encode(), b"* SEARCH 1"),
        ("utf-8", "SUBJECT", "Gru\u0308ße".encode(), b"* SEARCH 1"),
        ("ISO-8859-1", "BODY", b"Stra\xdfe", b"* SEARCH 2"),
        ('"UTF-8"', "TEXT", "Straße ist frei".encode(), b"* SEARCH 2"),
    ],
)
def test_text_beyond_ascii(client: Client, charset: str, key: str, octets: bytes, found: bytes) -> None:
    command = f"a SEARCH CHARSET {charset} {key} {{{len(octets)}+}}\r\n".encode() + octets + b"\r\n"
    assert client.send(command).splitlines()[0] == found


def test_an_unknown_charset_is_no_with_those_that_are_known(client: Client) -> None:
    client.play("""
        C: a SEARCH CHARSET x-none ALL
        S: a NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1)] ...
        C: b SEARCH CHARSET US-ASCII SUBJECT {1+}\\r\\n\\xff
        S: b BAD ...
    """)


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "BOGUS",
        "NOT",
        "OR SEEN",
        "()",
        "(SEEN",
        "SEEN)",
        "SUBJECT",
        "HEADER x",
        "ON 32-Jan-2001",
        "ON 2001-01-01",
        "ON 1-Foo-2001",
        "LARGER x",
        "LARGER 9223372036854775808",
        "UID",
        "UID x",
        "KEYWORD \\Seen",
        "SEEN  DRAFT",
        "RETURN (BOGUS) ALL",
        "CHARSET UTF-8",
        "1,,2",
    ],
)
def test_what_is_not_well_formed_is_bad(client: Client, keys: str) -> None:
    client.send(b"z NOOP\r\n")
    assert client.send(f"a SEARCH {keys}\r\n".encode()).startswith(b"a BAD")


@pytest.mark.parametrize("nest", [b"NOT " * 10_000 + b"SEEN", b"(" * 10_000, b"OR " * 9_000 + b"SEEN " * 9_000])
def test_nesting_is_bounded(client: Client, nest: bytes) -> None:
    client.send(b"z NOOP\r\n")
    assert client.send(b"a SEARCH " + nest + b"\r\n").startswith(b"a BAD")


def test_whole_messages_are_read_a_bounded_number_of_times(client: Client) -> None:
    keys = " ".join(["TEXT nothing"] * 32)
    client.play(f"""
        C: a SEARCH {keys}
        S: * SEARCH 1
        S: a OK ...
        C: b SEARCH {keys} BODY nothing
        S: b NO [LIMIT] ...
    """)


def test_extended_results(client: Client) -> None:
    client.play("""
        C: a SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN
        S: * ESEARCH (TAG "a") MIN 2 MAX 3 ALL 2:3 COUNT 2
        S: a OK ...
        C: b UID SEARCH RETURN () ALL
        S: * ESEARCH (TAG "b") UID ALL 1:3
        S: b OK ...
        C: c SEARCH RETURN (MIN COUNT) OLD
        S: * ESEARCH (TAG "c") COUNT 0
        S: c OK ...
    """)
