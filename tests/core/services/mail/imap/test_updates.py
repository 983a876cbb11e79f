"""Mailbox updates between sessions (RFC 3501 sections 5.2, 5.5 and 7.4.1; RFC 2177)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Client, Client]:
    maildir = mailbox(tmp_path, b"one", b"two", b"three")
    # Each client has a Maildir object of its own, as two processes have.
    made = Client(maildir), Client(Maildir(tmp_path / "maildir"))
    for client in made:
        client.send(b"s SELECT INBOX\r\n")
    return made


def test_no_message_loses_its_number_during_fetch_store_and_search(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(b"a STORE 1 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a FETCH 2 UID
        S: * 2 FETCH (UID 2)
        S: a OK ...
        C: b SEARCH UID 2
        S: * SEARCH 2
        S: b OK ...
        C: c STORE 2 +FLAGS.SILENT (\\\\Seen)
        S: c OK ...
        C: d FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: d OK Fetch ...
        C: d1 FETCH 1 (UID FLAGS RFC822.SIZE INTERNALDATE BODY)
        S: * 1 FETCH (UID 1 FLAGS () RFC822.SIZE 0 INTERNALDATE "01-Jan-1970 00:00:00 +0000" BODY (... 0 0))
        S: d1 OK [EXPUNGEISSUED] ...
        C: d2 FETCH 1:2 BODY.PEEK[]
        S: * 1 FETCH (BODY[] NIL)
        S: * 2 FETCH (BODY[] {84}
        S: From: ...
        S: To: ...
        S: Subject: ...
        S:
        S: The text ...
        S: )
        S: d2 OK [EXPUNGEISSUED] ...
        C: d3 STORE 1:2 +FLAGS (\\\\Flagged)
        S: * 1 FETCH (FLAGS (\\\\Flagged))
        S: * 2 FETCH (FLAGS (\\\\Seen \\\\Flagged))
        S: d3 OK [EXPUNGEISSUED] ...
        C: d4 STORE 1 FLAGS.SILENT (\\\\Seen unheard-of)
        S: d4 OK [EXPUNGEISSUED] ...
        C: d5 FETCH 1 (FLAGS ENVELOPE)
        S: * 1 FETCH (FLAGS (\\\\Seen) ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))
        S: d5 OK [EXPUNGEISSUED] ...
        C: e NOOP
        S: * 1 EXPUNGE
        S: e OK ...
        C: f FETCH 1 UID
        S: * 1 FETCH (UID 2)
        S: f OK ...
    """)


def test_an_expunged_message_has_no_data_outside_of_the_grammar(pair: tuple[Client, Client]) -> None:
    """RFC 7162 section 7: no mod-sequence is 0; RFC 8474 section 7: EMAILID is not NIL; RFC 3516: sizes are numbers."""
    one, two = pair
    two.send(b"a FETCH 2 MODSEQ\r\n")
    one.send(b"a STORE 1 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] SAVEDATE THREADID PREVIEW)
        S: * 1 FETCH (BINARY.SIZE[1] 0 BINARY[1] NIL SAVEDATE NIL THREADID NIL PREVIEW NIL)
        S: a OK [EXPUNGEISSUED] ...
        C: b FETCH 1:2 (FLAGS MODSEQ)
        S: * 2 FETCH (FLAGS () MODSEQ ({second}))
        S: b NO [EXPUNGEISSUED] ...
        C: c FETCH 1:2 EMAILID
        S: * 2 FETCH (EMAILID (M...))
        S: c NO [EXPUNGEISSUED] ...
        C: d STORE 1 +FLAGS (\\\\Seen)
        S: * 1 FETCH (FLAGS (\\\\Seen))
        S: d OK [EXPUNGEISSUED] ...
        C: e FETCH 1:2 FLAGS (CHANGEDSINCE 1)
        S: * 2 FETCH (FLAGS () MODSEQ ({again}))
        S: e OK ...
    """)


def test_a_conditional_store_lists_expunged_messages(pair: tuple[Client, Client]) -> None:
    """RFC 7162 section 3.1.3: B001 NO [MODIFIED 2] Some of the messages no longer exist."""
    one, two = pair
    one.send(b"a STORE 2 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a STORE 1:3 (UNCHANGEDSINCE 9999999999) +FLAGS.SILENT (\\\\Seen)
        S: * OK [HIGHESTMODSEQ {highest}] ...
        S: * 1 FETCH (MODSEQ ({first}))
        S: * 3 FETCH (MODSEQ ({third}))
        S: a NO [MODIFIED 2] ...
        C: b STORE 1:3 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\\\Flagged)
        S: b NO [MODIFIED 1:3] ...
        C: c UID STORE 2:3 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\\\Flagged)
        S: * 2 EXPUNGE
        S: c OK [MODIFIED 3] ...
    """)


def test_a_uid_that_is_no_more_is_no_error(pair: tuple[Client, Client]) -> None:
    """RFC 3501 section 6.4.8: a UID that does not exist is ignored."""
    one, two = pair
    one.send(b"a STORE 2 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a UID FETCH 2 RFC822.SIZE
        S: * 2 EXPUNGE
        S: a OK ...
    """)
    one.send(b"a STORE 1 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a UID STORE 1:3 FLAGS (\\\\Seen)
        S: * 2 FETCH (UID 3 FLAGS (\\\\Seen))
        S: * 1 EXPUNGE
        S: a OK ...
    """)


def test_commands_by_uid_may_tell_of_messages_that_are_gone(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(b"a STORE 3 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
    two.play("""
        C: a UID SEARCH ALL
        S: * SEARCH 1 2
        S: * 3 EXPUNGE
        S: a OK ...
    """)


def test_flags_that_another_changed(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(b"a STORE 2 FLAGS (\\Flagged new)\r\n")
    two.play("""
        C: a NOOP
        S: * FLAGS (... new)
        S: * OK [PERMANENTFLAGS (... new \\\\*)] ...
        S: * 2 FETCH (FLAGS (\\\\Flagged new))
        S: a OK ...
        C: b NOOP
        S: b OK ...
    """)


def test_a_keyword_of_another_session_is_announced_before_a_message_has_it(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(b"a STORE 2 FLAGS (new)\r\n")
    two.play("""
        C: a FETCH 1:2 FLAGS
        S: * FLAGS (... new)
        S: * OK [PERMANENTFLAGS (... new \\\\*)] ...
        S: * 1 FETCH (FLAGS ())
        S: * 2 FETCH (FLAGS (new))
        S: a OK ...
    """)
    one.send(b"b STORE 2 FLAGS (newer)\r\n")
    two.play("""
        C: b STORE 2 +FLAGS (\\\\Seen)
        S: * FLAGS (... newer)
        S: * OK [PERMANENTFLAGS (... newer \\\\*)] ...
        S: * 2 FETCH (FLAGS (\\\\Seen newer))
        S: b OK ...
    """)


def test_every_octet_of_a_message_with_cr_cr_lf_is_kept_and_counted(pair: tuple[Client, Client]) -> None:
    content = b"Subject: x\r\r\n\r\n\r\r\na\r\r\r\n\r\nb\r\n"
    client, _ = pair
    client.send(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(content), content))
    # The size first: it is that of the file's name, before the file is read.
    assert b"RFC822.SIZE %d)" % len(content) in client.send(b"b FETCH 4 RFC822.SIZE\r\n")
    assert b"BODY[] {%d}\r\n%b)" % (len(content), content) in client.send(b"c FETCH 4 BODY.PEEK[]\r\n")


def test_a_silent_store_still_tells_what_another_changed(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(b"a STORE 2 +FLAGS (\\Flagged)\r\n")
    two.play("""
        C: a STORE 2 +FLAGS.SILENT (\\\\Seen)
        S: * 2 FETCH (FLAGS (\\\\Seen \\\\Flagged))
        S: a OK ...
    """)


def test_messages_that_come_belong_to_one_session_as_recent(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.maildir.deliver(b"Subject: new\r\n\r\n")
    two.play("""
        C: a NOOP
        S: * 4 EXISTS
        S: * 1 RECENT
        S: a OK ...
    """)
    one.play("""
        C: a NOOP
        S: * 4 EXISTS
        S: a OK ...
    """)


def test_an_idle_client_hears_at_once(pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.play("""
        C: a IDLE
        S: + ...
    """)
    assert two.session.waits
    assert two.poll() == b""
    one.send(b"a APPEND INBOX {3+}\r\nabc\r\n")
    assert two.poll() == b"* 4 EXISTS\r\n"
    one.send(b"b STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n")
    assert two.poll() == b"* 1 EXPUNGE\r\n"
    two.play("""
        C: done
        S: a OK ...
        C: b IDLE
        S: + ...
        C: c NOOP
        S: b BAD ...
    """)
    assert not two.session.waits


def test_another_program_flags_adds_and_removes(pair: tuple[Client, Client], tmp_path: Path) -> None:
    one, _ = pair
    cur = tmp_path / "maildir" / "cur"
    first, second, _third = sorted(os.listdir(cur))
    os.rename(cur / first, cur / (first + "F"))
    (cur / second).unlink()
    (tmp_path / "maildir" / "new" / "9999999999.other.host").write_bytes(b"Subject: put here\n\nx\n")
    one.play("""
        C: a NOOP
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * 1 FETCH (FLAGS (\\\\Flagged \\\\Recent))
        S: a OK ...
        C: b FETCH 3 (UID RFC822.SIZE)
        S: * 3 FETCH (UID 4 RFC822.SIZE 24)
        S: b OK ...
    """)


def test_append_to_the_selected_mailbox_is_seen_before_its_end(pair: tuple[Client, Client]) -> None:
    one, _ = pair
    one.play("""
        C: a APPEND INBOX (\\\\Seen) "01-Feb-2001 12:00:00 +0100" {4}
        S: + ...
        C: x: y
        S: * 4 EXISTS
        S: * 4 RECENT
        S: a OK [APPENDUID {validity} 4] ...
        C: b FETCH 4 (FLAGS INTERNALDATE)
        S: * 4 FETCH (FLAGS (\\\\Seen \\\\Recent) INTERNALDATE "01-Feb-2001 11:00:00 +0000")
        S: b OK ...
    """)


def test_several_messages_are_appended_at_once_or_none(pair: tuple[Client, Client]) -> None:
    one, _ = pair
    one.play("""
        C: a APPEND INBOX {1+}\\r\\nx (\\\\Flagged) {1+}\\r\\ny
        S: * 5 EXISTS
        S: * 5 RECENT
        S: a OK [APPENDUID {validity} 4:5] ...
        C: b APPEND INBOX {1+}\\r\\nx {0+}\\r\\n
        S: b NO ...
        C: c APPEND nowhere {1+}\\r\\nx
        S: c NO [TRYCREATE] ...
        C: d APPEND INBOX
        S: d BAD ...
        C: e APPEND INBOX "quoted"
        S: e BAD ...
        C: f APPEND INBOX {1+}\\r\\n\\x00
        S: f BAD ...
        C: g APPEND INBOX {99999999999}
        S: g BAD ...
        C: h APPEND INBOX {4294967295}
        S: h NO [TOOBIG] ...
        C: i STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 5)
        S: i OK ...
    """)


def test_what_would_not_be_taken_is_refused_before_it_is_sent(pair: tuple[Client, Client]) -> None:
    pair[0].play("""
        C: a APPEND nowhere (\\\\Seen) {100}
        S: a NO [TRYCREATE] ...
        C: b APPEND "../x" {100}
        S: b NO ...
        C: c NOOP
        S: c OK ...
        C: d APPEND {5}
        S: + ...
        C: INBOX {1}
        S: + ...
        C: x
        S: * 4 EXISTS
        S: * 4 RECENT
        S: d OK ...
    """)


def test_a_mailbox_that_is_renamed_stays_selected(pair: tuple[Client, Client]) -> None:
    one, _ = pair
    one.send(b"a CREATE box\r\nb COPY 1 box\r\nc SELECT box\r\n")
    one.play("""
        C: d RENAME box other
        S: d OK ...
        C: e FETCH 1 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT)] {16}
        S: Subject: one
        S: ...
        S: )
        S: e OK ...
        C: f STORE 1 FLAGS (\\\\Seen)
        S: * 1 FETCH (FLAGS (\\\\Seen \\\\Recent))
        S: f OK ...
    """)


def test_commands_may_be_sent_ahead(pair: tuple[Client, Client]) -> None:
    answer = pair[0].send(b"a NOOP\r\nb FETCH 1 UID\r\nc UNSELECT\r\nd NOOP\r\n")
    assert answer.splitlines() == [
        b"a OK NOOP completed.",
        b"* 1 FETCH (UID 1)",
        b"b OK Fetch completed.",
        b"c OK Unselect completed.",
        b"d OK NOOP completed.",
    ]


def test_a_quota_that_is_reached_is_no(tmp_path: Path) -> None:
    client = Client(Maildir(tmp_path / "small", quota_octets=100))
    client.play("""
        C: a APPEND INBOX {60+}\\r\\n------------------------------------------------------------
        S: a OK ...
        C: b APPEND INBOX {60+}\\r\\n------------------------------------------------------------
        S: b NO [OVERQUOTA] ...
    """)
