"""BINARY (RFC 3516), CATENATE (4469), PREVIEW (8970), SAVEDATE (8514), OBJECTID (8474), STATUS=SIZE (8438)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client, mailbox

MIXED = (
    b"Subject: s\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8g\r\nd29ybGQ=\r\n"
    b"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhel=\r\nlo=20=C3=A9\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAGEA\r\n"
    b"--x\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%\r\n"
    b"--x\r\n\r\nplain\r\n--x--\r\n"
)


def client_of(tmp_path: Path, *messages: bytes) -> Client:
    maildir = Maildir(tmp_path / "maildir")
    for message in messages:
        maildir.deliver(message)
    client = Client(maildir)
    client.send(b"s SELECT INBOX\r\n")
    return client


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("BINARY.PEEK[1]", b"BINARY[1] {11}\r\nhello world"),
        ("BINARY.PEEK[2]", b"BINARY[2] {8}\r\nhello \xc3\xa9"),
        ("BINARY.PEEK[3]", b"BINARY[3] ~{3}\r\n\0a\0"),
        ("BINARY.PEEK[3]<1.5>", b"BINARY[3]<1> ~{2}\r\na\0"),
        ("BINARY.PEEK[6]", b"BINARY[6] {5}\r\nplain"),
        ("BINARY.SIZE[1]", b"BINARY.SIZE[1] 11"),
        ("BINARY.SIZE[1.MIME]", b"BINARY.SIZE[1.MIME] 37"),
        ("BINARY.SIZE[9]", b"BINARY.SIZE[9] 0"),
        ("BINARY.SIZE[]", b"BINARY.SIZE[] %d" % len(MIXED)),
    ],
)
def test_binary_sections_are_decoded(tmp_path: Path, item: str, value: bytes) -> None:
    answer = client_of(tmp_path, MIXED).send(b"a FETCH 1 %b\r\n" % item.encode())
    assert answer == b"* 1 FETCH (" + value + b")\r\na OK Fetch completed.\r\n"


@pytest.mark.parametrize("part", [4, 5])
def test_what_cannot_be_decoded_is_refused_and_the_rest_is_fetched(tmp_path: Path, part: int) -> None:
    client = client_of(tmp_path, MIXED, b"\r\nsecond")
    answer = client.send(b"a FETCH 1:2 BINARY[%d]\r\n" % part)
    assert answer.startswith(b"* 2 FETCH (BINARY[%d] {0}\r\n" % part)
    assert answer.endswith(b"a NO [UNKNOWN-CTE] The transfer encoding cannot be decoded.\r\n")
    # The refused part of the first message has not been read.
    assert b"* SEARCH 2\r\n" in client.send(b"b SEARCH SEEN\r\n")


def test_binary_sets_seen_and_peek_does_not(tmp_path: Path) -> None:
    client = client_of(tmp_path, MIXED)
    assert b"FLAGS" not in client.send(b"a FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])\r\n")
    assert b"FLAGS (\\Seen \\Recent)" in client.send(b"b FETCH 1 BINARY[1]\r\n")


def test_a_message_with_nul_octets_is_appended_as_literal8(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    assert b"a OK [APPENDUID" in client.send(b"a APPEND INBOX ~{7+}\r\n\r\na\0b\0c\r\n")
    assert b"BINARY[] ~{7}\r\n\r\na\0b\0c)" in client.send(b"b FETCH 1 BINARY.PEEK[]\r\n")
    assert b"BODY[] {7}\r\n\r\na\x80b\x80c)" in client.send(b"c FETCH 1 BODY.PEEK[]\r\n")
    assert b"d BAD" in client.send(b"d APPEND INBOX {7+}\r\n\r\na\0b\0c\r\n")


TWO = (b"Subject: one\r\n\r\nfirst body\r\n", b"Subject: two\r\n\r\nsecond body\r\n")


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ('URL "/INBOX/;UID=1"', TWO[0]),
        ('URL "/INBOX;UIDVALIDITY=%d/;UID=1/;SECTION=HEADER" TEXT {2+}\r\nhi', b"Subject: one\r\n\r\nhi"),
        ('TEXT {4+}\r\n\r\nab URL "/INBOX/;UID=2/;SECTION=TEXT"', b"\r\nabsecond body\r\n"),
        ('URL "/inbox/;uid=2/;section=1"', b"second body\r\n"),
        ("URL ;UID=2/;SECTION=TEXT/;PARTIAL=0.6", b"second"),
        ("URL /INBOX/;UID=2/;PARTIAL=14", b"\r\nsecond body\r\n"),
        ('URL "/IN%%42OX/;UID=1/;SECTION=HEADER.FIELDS%%20(SUBJECT)"', b"Subject: one\r\n\r\n"),
        ("TEXT ~{3+}\r\na\0b", b"a\0b"),
    ],
)
def test_messages_are_put_together(tmp_path: Path, parts: str, content: bytes) -> None:
    client = client_of(tmp_path, *TWO)
    validity = client.maildir.folder("INBOX").uidvalidity
    whole = (parts % validity if "%d" in parts else parts.replace("%%", "%")).encode()
    assert b"a OK [APPENDUID" in client.send(b"a APPEND INBOX (\\Seen) CATENATE (%b)\r\n" % whole)
    assert client.maildir.folder("INBOX").read(3) == content


@pytest.mark.parametrize(
    "url",
    ["/INBOX;UIDVALIDITY=1/;UID=1", "/INBOX/;UID=9", "/nowhere/;UID=1", "imap://host/INBOX/;UID=1", "/INBOX", "x",
     "/INBOX/;UID=1/;SECTION=7", "/INBOX/;UID=1/;SECTION=NONSENSE", "/../x/;UID=1"],
)  # fmt: skip
def test_a_url_that_names_nothing_appends_nothing(tmp_path: Path, url: str) -> None:
    client = client_of(tmp_path, *TWO)
    answer = client.send(b'a APPEND INBOX CATENATE (TEXT {1+}\r\nx URL "%b") {1+}\r\ny\r\n' % url.encode())
    assert answer.startswith(b'a NO [BADURL "%b"]' % url.encode())
    client.maildir.folder("INBOX").refresh()
    assert len(client.maildir.folder("INBOX").uids) == 2


def test_a_missing_mailbox_is_reported_before_a_bad_url(tmp_path: Path) -> None:
    client = client_of(tmp_path, *TWO)
    assert b"a NO [TRYCREATE]" in client.send(b"a APPEND nowhere CATENATE (URL x)\r\n")


def test_a_message_put_together_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.mail.imap.commands.append.MESSAGE_OCTETS", 60)
    urls = b" ".join([b'URL "/INBOX/;UID=1"'] * 3)
    assert b"a NO [TOOBIG]" in client_of(tmp_path, *TWO).send(b"a APPEND INBOX CATENATE (%b)\r\n" % urls)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\r\n> quoted\r\nHello,\r\n  world\r\n", b"Hello, world"),
        (
            b"Content-Type: text/html\r\n\r\n<style>p {}</style><p>One &amp; <b>two</b></p><script>x</script>",
            b"One & two",
        ),
        (b"Content-Type: text/plain; charset=latin-1\r\n\r\n\xe9\r\n", "é".encode()),
        (b"Content-Type: image/png\r\n\r\nxxx", b""),
        (b"Content-Transfer-Encoding: (8 bit?) Base64 (no)\r\n\r\naGVsbG8=\r\n", b"hello"),
        (b"\r\n" + b"word " * 100, b"word " * 39 + b"word"),
        (MIXED, b"hello world"),
    ],
)
def test_previews(tmp_path: Path, message: bytes, text: bytes) -> None:
    answer = client_of(tmp_path, message).send(b"a FETCH 1 (PREVIEW (LAZY))\r\n")
    assert re.fullmatch(rb'\* 1 FETCH \(PREVIEW (?:"(.*)"|\{\d+\}\r\n(.*))\)\r\na OK .*\r\n', answer, re.DOTALL)
    assert (b'PREVIEW "%b")' % text in answer) or (b"}\r\n%b)" % text in answer)


def test_the_save_date_is_of_the_copy(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    maildir = Maildir(tmp_path, wall_clock=lambda: now)
    maildir.folder("INBOX").append([NewMessage(b"\r\nx", date=1000.0)], [frozenset()])
    maildir.create("Other")
    client = Client(maildir)
    client.send(b"a SELECT INBOX\r\nb COPY 1 Other\r\nc SELECT Other\r\n")
    answer = client.send(b"d FETCH 1 (SAVEDATE INTERNALDATE)\r\n")
    assert b'SAVEDATE "14-Nov-2023 22:13:20 +0000" INTERNALDATE "01-Jan-1970 00:16:40 +0000"' in answer
    for keys, found in (("SAVEDON 14-Nov-2023", b" 1"), ("SAVEDBEFORE 14-Nov-2023", b""), ("SAVEDATESUPPORTED", b" 1")):
        assert client.send(b"e SEARCH %b\r\n" % keys.encode()).startswith(b"* SEARCH%b\r\n" % found)


def test_a_name_without_a_time_has_no_save_date(tmp_path: Path) -> None:
    client = client_of(tmp_path, b"\r\nx")
    path = tmp_path / "maildir"
    os.rename(next((path / "cur").iterdir()), path / "cur" / "other:2,")
    client = Client(Maildir(path))
    client.send(b"a SELECT INBOX\r\n")
    assert b"(SAVEDATE NIL)" in client.send(b"b FETCH 1 SAVEDATE\r\n")


def test_a_copy_has_the_email_id_of_its_original(tmp_path: Path) -> None:
    client = client_of(tmp_path, *TWO)
    client.send(b"a COPY 1 INBOX\r\n")
    one, two, three = re.findall(
        rb"EMAILID \((M[0-9a-f]{32})\) THREADID NIL", client.send(b"b FETCH 1:* (EMAILID THREADID)\r\n")
    )
    assert one == three != two
    assert client.send(b"c SEARCH EMAILID %b\r\n" % one).startswith(b"* SEARCH 1 3\r\n")


def test_a_mailbox_keeps_its_id_when_it_is_renamed(tmp_path: Path) -> None:
    client = Client(mailbox(tmp_path, b"x"))
    client.play(
        """
        C: a CREATE Work
        S: a OK [MAILBOXID (F{created})] Create completed.
        C: b RENAME Work Play
        S: b OK Rename completed.
        C: c STATUS Play (MAILBOXID)
        S: * STATUS Play (MAILBOXID (F{renamed}))
        S: c OK Status completed.
        C: d STATUS INBOX (MAILBOXID SIZE DELETED MESSAGES)
        S: * STATUS INBOX (MAILBOXID (F{inbox}) SIZE {size} DELETED 0 MESSAGES 1)
        S: d OK Status completed.
        """
    )
    found = client.found
    assert found["created"] == found["renamed"] != found["inbox"]
    assert found["size"] == len(client.maildir.folder("INBOX").read(1))


@pytest.mark.parametrize(
    "items", ["PREVIEW (CHANGEDSINCE 1)", "(PREVIEW (LAZY)) (CHANGEDSINCE 1)", "PREVIEW (lazy)", "PREVIEW"]
)
def test_the_modifier_of_preview_is_no_modifier_of_fetch(tmp_path: Path, items: str) -> None:
    client = client_of(tmp_path, *TWO)
    client.send(b"e STATUS INBOX (HIGHESTMODSEQ)\r\n")
    answer = client.send(b"a FETCH 1 %b\r\n" % items.encode())
    assert answer.startswith(b'* 1 FETCH (PREVIEW "first body"')
    assert (b"MODSEQ (" in answer) == ("CHANGEDSINCE" in items)
