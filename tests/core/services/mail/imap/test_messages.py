"""FETCH, STORE, COPY, MOVE and EXPUNGE (RFC 3501 section 6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox

NESTED = (
    b"From: a@example.com\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--i--\r\n\r\n--o--\r\n"
)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(mailbox(tmp_path, b"one", b"two", b"three"))
    made.send(b"s SELECT INBOX\r\n")
    return made


def test_flags_sizes_and_dates(client: Client) -> None:
    client.play("""
        C: a FETCH 1:2 (UID FLAGS RFC822.SIZE)
        S: * 1 FETCH (UID 1 FLAGS (\\\\Recent) RFC822.SIZE 84)
        S: * 2 FETCH (UID 2 FLAGS (\\\\Recent) RFC822.SIZE 84)
        S: a OK ...
        C: b FETCH * INTERNALDATE
        S: * 3 FETCH (INTERNALDATE "...-...-... ...:...:... +0000")
        S: b OK ...
        C: c UID FETCH 2 FLAGS
        S: * 2 FETCH (UID 2 FLAGS (\\\\Recent))
        S: c OK ...
        C: d UID FETCH 77 FLAGS
        S: d OK ...
        C: e UID FETCH 77:* UID
        S: * 3 FETCH (UID 3)
        S: e OK ...
    """)


@pytest.mark.parametrize(
    "arguments",
    [
        "4 FLAGS",
        "0 FLAGS",
        "1:9 FLAGS",
        "1, FLAGS",
        "1",
        "1 ()",
        "1 BOGUS",
        "1 (FLAGS",
        "1 (FLAGS  UID)",
        "1 BODY[",
        "1 BODY[MIME]",
        "1 BODY[0]",
        "1 BODY[1.]",
        "1 BODY[1.BOGUS]",
        "1 BODY[]<0>",
        "1 BODY[]<0.0>",
        "1 BODY[]<9223372036854775808.1>",
        "1 BODY[HEADER.FIELDS ()]",
        "1 BODY[HEADER.FIELDS]",
        "1 (ALL)",
        "x FLAGS",
        "1 FLAGS x",
    ],
)
def test_what_cannot_be_fetched_is_bad(client: Client, arguments: str) -> None:
    client.play(f"""
        C: a FETCH {arguments}
        S: a BAD ...
    """)


def test_a_partial_range_has_numbers_of_63_bits(client: Client) -> None:
    """RFC 9051 section 9, partial."""
    client.play("""
        C: a FETCH 1 BODY.PEEK[]<4294967296.9223372036854775807>
        S: * 1 FETCH (BODY[]<4294967296> {0}
        S: )
        S: a OK ...
    """)


def said(client: Client, octets: bytes) -> Iterator[bytes]:
    """What the server says, piece by piece."""
    return (output for output in client.session.receive(octets) if isinstance(output, bytes) and output)


def test_many_sections_of_a_message_are_not_held_at_once(client: Client) -> None:
    client.maildir.deliver(b"Subject: large\r\n\r\n" + b"x" * 100_000)
    client.send(b"n NOOP\r\n")
    items = b" ".join(b"BODY.PEEK[TEXT]<%d.200000>" % first for first in range(50))
    sizes = [len(octets) for octets in said(client, b"a FETCH 4 (%b)\r\n" % items)]
    assert sum(sizes) > 4_000_000
    assert max(sizes) < 200_000


def test_a_message_that_goes_while_it_is_read_is_read_to_its_end(client: Client) -> None:
    other = Client(client.maildir)
    command = b"a FETCH 2 (UID BODY.PEEK[TEXT] BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1])\r\n"
    whole = client.send(command)
    outputs = said(client, command)
    begun = next(outputs)
    other.send(b"a SELECT INBOX\r\nb STORE 2 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n")
    assert begun.startswith(b"* 2 FETCH (")
    assert begun + b"".join(outputs) == whole


def test_reading_a_body_marks_it_and_peeking_does_not(client: Client) -> None:
    client.play("""
        C: a FETCH 1 BODY.PEEK[TEXT]
        S: * 1 FETCH (BODY[TEXT] {18}
        S: The text of one.
        S: )
        S: a OK ...
        C: b FETCH 1 BODY[TEXT]<4.4>
        S: * 1 FETCH (BODY[TEXT]<4> {4}
        S: text FLAGS (\\\\Seen \\\\Recent))
        S: b OK ...
        C: c FETCH 1 BODY[TEXT]<400.4>
        S: * 1 FETCH (BODY[TEXT]<400> {0}
        S: )
        S: c OK ...
        C: d FETCH 2 (RFC822.HEADER FLAGS)
        S: * 2 FETCH (RFC822.HEADER {66}
        S: From: Ann <ann@example.com>
        S: To: bob@example.com
        S: Subject: two
        S: ...
        S: ... FLAGS (\\\\Recent))
        S: d OK ...
    """)


def test_a_mailbox_opened_for_reading_changes_nothing(client: Client) -> None:
    client.send(b"s EXAMINE INBOX\r\n")
    client.play("""
        C: a FETCH 1 (BODY[HEADER.FIELDS (SUBJECT)])
        S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {16}
        S: Subject: one
        S: ...
        S: )
        S: a OK ...
        C: b STORE 1 +FLAGS (\\\\Deleted)
        S: b NO [READ-ONLY] ...
        C: c EXPUNGE
        S: c NO [READ-ONLY] ...
        C: d MOVE 1 INBOX
        S: d NO [READ-ONLY] ...
        C: e CLOSE
        S: e OK ...
        C: f STATUS INBOX (MESSAGES UNSEEN)
        S: * STATUS INBOX (MESSAGES 3 UNSEEN 3)
        S: f OK ...
    """)


@pytest.mark.parametrize(
    ("section", "octets"),
    [
        ("1", b"first"),
        ("1.MIME", b"Content-Type: text/plain\r\n\r\n"),
        ("2.HEADER", b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"),
        ("2.HEADER.FIELDS (Subject)", b"Subject: inner\r\n\r\n"),
        ("2.HEADER.FIELDS.NOT (subject)", b"Content-Type: multipart/alternative; boundary=i\r\n\r\n"),
        ("2.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ("2.1", b"plain"),
        ("2.2", b"<b>html</b>"),
        ("2.2.MIME", b"Content-Type: text/html\r\n\r\n"),
        ("2.TEXT", b"--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--i--\r\n"),
        ("3", b""),
        ("2.3", b""),
        ("1.HEADER", b""),
        ("HEADER", b"From: a@example.com\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"),
        ("", NESTED),
    ],
)
def test_sections_of_nested_parts(tmp_path: Path, section: str, octets: bytes) -> None:
    maildir = mailbox(tmp_path)
    maildir.deliver(NESTED)
    client = Client(maildir)
    client.send(b"s SELECT INBOX\r\n")
    answer = client.send(f"a FETCH 1 BODY.PEEK[{section}]\r\n".encode())
    assert answer == b"* 1 FETCH (BODY[%b] {%d}\r\n%b)\r\na OK Fetch completed.\r\n" % (
        section.encode(),
        len(octets),
        octets,
    )


def test_envelope_and_structure(client: Client) -> None:
    client.play("""
        C: a FETCH 1 ENVELOPE
        S: * 1 FETCH (ENVELOPE (NIL "one" (("Ann" NIL "ann" "example.com")) (("Ann" NIL "ann" "example.com")) (("Ann" NIL "ann" "example.com")) ((NIL NIL "bob" "example.com")) NIL NIL NIL NIL))
        S: a OK ...
        C: b FETCH 1 (BODY BODYSTRUCTURE)
        S: * 1 FETCH (BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 18 1) BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 18 1 NIL NIL NIL NIL))
        S: b OK ...
    """)  # noqa: E501


def test_a_folded_field_keeps_its_blanks(client: Client) -> None:
    """RFC 5322 section 2.2.3: unfolding removes line endings only; the decoded subject has one space."""
    client.maildir.deliver(
        b"Date: 1 Jan\r\n  2001\r\nSubject: one\r\n  two\r\nIn-Reply-To: <a@b>\r\n\t<c@d>\r\n"
        b"Content-Language: (spoken) en,\r\n de (written)\r\n\r\nx\r\n"
    )
    client.send(b"n NOOP\r\n")
    client.play("""
        C: a FETCH 4 (ENVELOPE BODYSTRUCTURE)
        S: * 4 FETCH (ENVELOPE ("1 Jan  2001" "one two" NIL NIL NIL NIL NIL NIL "<a@b>\\t<c@d>" NIL) BODYSTRUCTURE (... NIL NIL ("en" "de") NIL))
        S: a OK ...
        C: b SEARCH SUBJECT "one two" HEADER Date "jan  2001" HEADER Date "jan 2001" TEXT "one  two"
        S: * SEARCH 4
        S: b OK ...
    """)  # noqa: E501


@pytest.mark.parametrize(
    ("content_type", "structure"),
    [
        (b"text/html", b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (b"Text/Plain; format=flowed", b'("Text" "Plain" ("format" "flowed" "charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (b"text/plain; CHARSET=x", b'("text" "plain" ("CHARSET" "x") NIL NIL "7bit" 3 1)'),
        (b"text/plain charset=utf-8", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (b"(a) text (b) / (c) html (d)", b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (b"image/png", b'("image" "png" NIL NIL NIL "7bit" 3)'),
        (b"multipart/mixed", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (b'multipart/mixed; boundary=""', b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
    ],
)
def test_what_a_content_type_leaves_out(client: Client, content_type: bytes, structure: bytes) -> None:
    """RFC 2046 section 4.1.2: text defaults to US-ASCII; section 5.1.1: a multipart without boundary is not one."""
    client.maildir.deliver(b"Content-Type: %b\r\n\r\nx\r\n" % content_type)
    assert b"(BODY %b)\r\n" % structure in client.send(b"a NOOP\r\nb FETCH 4 BODY\r\n")


def test_store_in_its_six_forms(client: Client) -> None:
    client.play("""
        C: a STORE 1 FLAGS (\\\\Seen $Label)
        S: * FLAGS (\\\\Seen \\\\Answered \\\\Flagged \\\\Deleted \\\\Draft $Label)
        S: * OK [PERMANENTFLAGS (... $Label \\\\*)] ...
        S: * 1 FETCH (FLAGS (\\\\Seen \\\\Recent $Label))
        S: a OK ...
        C: b STORE 1 +FLAGS \\\\Flagged \\\\answered
        S: * 1 FETCH (FLAGS (\\\\Seen \\\\Answered \\\\Flagged \\\\Recent $Label))
        S: b OK ...
        C: c STORE 1 -FLAGS ($LABEL \\\\Seen)
        S: * 1 FETCH (FLAGS (\\\\Answered \\\\Flagged \\\\Recent))
        S: c OK ...
        C: d STORE 1 FLAGS.SILENT ()
        S: d OK ...
        C: e STORE 1:3 +FLAGS.SILENT (\\\\Deleted)
        S: e OK ...
        C: f UID STORE 2 -FLAGS.SILENT (\\\\Deleted)
        S: f OK ...
        C: g UID STORE 2 +FLAGS (\\\\Draft)
        S: * 2 FETCH (UID 2 FLAGS (\\\\Draft \\\\Recent))
        S: g OK ...
        C: h FETCH 1:3 FLAGS
        S: * 1 FETCH (FLAGS (\\\\Deleted \\\\Recent))
        S: * 2 FETCH (FLAGS (\\\\Draft \\\\Recent))
        S: * 3 FETCH (FLAGS (\\\\Deleted \\\\Recent))
        S: h OK ...
    """)


@pytest.mark.parametrize("flags", ["(\\\\Recent)", "(\\\\Bogus)", "(", "()x", "(a  b)", "\\\\", '"quoted"', "(a]b)"])
def test_flags_that_are_none_are_bad(client: Client, flags: str) -> None:
    client.play(f"""
        C: a STORE 1 +FLAGS {flags}
        S: a BAD ...
    """)


def test_keywords_are_bounded(client: Client) -> None:
    for number in range(26):
        assert client.send(b"a STORE 1 +FLAGS.SILENT (k%d)\r\n" % number).endswith(b"a OK Store completed.\r\n")
    client.play("""
        C: b STORE 1 +FLAGS (onemore)
        S: b NO [LIMIT] ...
        C: c STORE 1 +FLAGS.SILENT (K25)
        S: c OK ...
    """)
    assert b"\\*" not in client.send(b"d SELECT INBOX\r\n")


def test_copy_tells_the_uids_and_keeps_flags_and_dates(client: Client) -> None:
    client.play("""
        C: a COPY 1 nowhere
        S: a NO [TRYCREATE] ...
        C: b CREATE box
        S: b OK ...
        C: c STORE 2 +FLAGS.SILENT (\\\\Seen word)
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: c OK ...
        C: d COPY 1:2 box
        S: d OK [COPYUID {validity} 1:2 1:2] ...
        C: e UID COPY 3,1 box
        S: e OK [COPYUID {validity} 1,3 3:4] ...
        C: f UID COPY 77 box
        S: f OK ...
        C: g EXAMINE box
        S: * OK [CLOSED] ...
        S: * FLAGS (... word)
        S: * OK [PERMANENTFLAGS ()] ...
        S: * 4 EXISTS
        S: * 4 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY {validity}] ...
        S: * OK [UIDNEXT 5] ...
        S: * OK [MAILBOXID (...)] ...
        S: * OK [HIGHESTMODSEQ {highest}] ...
        S: g OK [READ-ONLY] ...
        C: h FETCH 2 FLAGS
        S: * 2 FETCH (FLAGS (\\\\Seen \\\\Recent word))
        S: h OK ...
    """)


def test_expunge_numbers_the_rest_anew(client: Client) -> None:
    client.play("""
        C: a STORE 1,3 +FLAGS.SILENT (\\\\Deleted)
        S: a OK ...
        C: b UID EXPUNGE 3:9
        S: * 3 EXPUNGE
        S: * 2 RECENT
        S: b OK ...
        C: c EXPUNGE
        S: * 1 EXPUNGE
        S: * 1 RECENT
        S: c OK ...
        C: d FETCH 1 UID
        S: * 1 FETCH (UID 2)
        S: d OK ...
    """)


def test_close_removes_silently_and_unselect_does_not(client: Client) -> None:
    client.play("""
        C: a STORE 1 +FLAGS.SILENT (\\\\Deleted)
        S: a OK ...
        C: b UNSELECT
        S: b OK ...
        C: c STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 3)
        S: c OK ...
    """)
    client.send(b"s SELECT INBOX\r\n")
    client.play("""
        C: d CLOSE
        S: d OK ...
        C: e STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 2)
        S: e OK ...
    """)


def test_move(client: Client) -> None:
    client.play("""
        C: a CREATE box
        S: a OK ...
        C: b MOVE 1:2 box
        S: * OK [COPYUID {validity} 1:2 1:2] ...
        S: * 2 EXPUNGE
        S: * 1 EXPUNGE
        S: * 1 RECENT
        S: b OK ...
        C: c UID MOVE 3 box
        S: * OK [COPYUID {validity} 3 3] ...
        S: * 1 EXPUNGE
        S: * 0 RECENT
        S: c OK ...
        C: d MOVE 1 box
        S: d BAD ...
        C: e UID MOVE 1:* box
        S: e OK ...
    """)


def test_a_header_without_its_last_line_end_is_completed(client: Client) -> None:
    """RFC 9051 section 6.4.5: HEADER.FIELDS ends in the empty line that separates header and body."""
    client.maildir.deliver(b"Subject: a\r\nFrom: b")
    answer = client.send(b"a NOOP\r\nb FETCH 4 BODY.PEEK[HEADER.FIELDS (From)]\r\n")
    assert b"{11}\r\nFrom: b\r\n\r\n)" in answer
