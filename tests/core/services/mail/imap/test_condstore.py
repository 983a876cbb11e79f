"""CONDSTORE and QRESYNC (RFC 7162)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


def selected(tmp_path: Path, enabled: str = "", count: int = 4) -> Client:
    client = Client(mailbox(tmp_path, *(b"n%d" % number for number in range(count))))
    if enabled:
        client.send(b"e ENABLE %b\r\n" % enabled.encode())
    client.play(
        """
        C: s EXAMINE INBOX
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 4 EXISTS
        S: * 4 RECENT
        S: * OK [UNSEEN ...
        S: * OK [UIDVALIDITY {validity}] ...
        S: * OK [UIDNEXT 5] ...
        S: * OK [MAILBOXID (...)] ...
        S: * OK [HIGHESTMODSEQ {start}] ...
        S: s OK [READ-ONLY] Examined.
        """
    )
    client.send(b"s SELECT INBOX\r\n")
    return client


def test_a_command_that_uses_mod_sequences_enables_them(tmp_path: Path) -> None:
    client = selected(tmp_path)
    assert client.send(b"a STORE 1 +FLAGS \\Seen\r\n").count(b"MODSEQ") == 0
    assert client.send(b"b FETCH 1 MODSEQ\r\n").startswith(b"* OK [HIGHESTMODSEQ ")
    client.play(
        r"""
        C: c STORE 2 +FLAGS.SILENT \\Seen
        S: * 2 FETCH (MODSEQ ({second}))
        S: c OK Store completed.
        C: d STORE 3 +FLAGS \\Seen
        S: * 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ({third}))
        S: d OK Store completed.
        C: e FETCH 1:3 MODSEQ
        S: * 1 FETCH (MODSEQ ({first}))
        S: * 2 FETCH (MODSEQ ({again}))
        S: * 3 FETCH (MODSEQ ({once_more}))
        S: e OK Fetch completed.
        """
    )
    found = client.found
    assert found["start"] < found["first"] < found["second"] == found["again"] < found["third"] == found["once_more"]
    assert b" MODSEQ (" in client.send(b"f FETCH 4 BODY[TEXT]\r\n")


@pytest.mark.parametrize(
    "command",
    ["SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)", "SEARCH MODSEQ 1", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
     "STORE 1 (UNCHANGEDSINCE 9999999999) FLAGS ()"],
)  # fmt: skip
def test_every_command_that_enables_condstore(tmp_path: Path, command: str) -> None:
    client = selected(tmp_path)
    assert b"a OK" in client.send(b"a %b\r\n" % command.encode())
    assert b"MODSEQ (" in client.send(b"b STORE 2 +FLAGS \\Seen\r\n")


def test_changed_messages_are_fetched_and_searched(tmp_path: Path) -> None:
    client = selected(tmp_path, "CONDSTORE")
    client.play(
        r"""
        C: a STORE 2 +FLAGS.SILENT \\Seen
        S: * 2 FETCH (MODSEQ ({second}))
        S: a OK Store completed.
        C: b STORE 4 +FLAGS.SILENT \\Seen
        S: * 4 FETCH (MODSEQ ({fourth}))
        S: b OK Store completed.
        """
    )
    start, second, fourth = (client.found[name] for name in ("start", "second", "fourth"))
    client.play(
        f"""
        C: c UID FETCH 1:* (FLAGS) (CHANGEDSINCE {start})
        S: * 2 FETCH (UID 2 FLAGS (\\\\Seen \\\\Recent) MODSEQ ({second}))
        S: * 4 FETCH (UID 4 FLAGS (\\\\Seen \\\\Recent) MODSEQ ({fourth}))
        S: c OK Fetch completed.
        C: d SEARCH MODSEQ {second}
        S: * SEARCH 2 4 (MODSEQ {fourth})
        S: d OK Search completed.
        C: e SEARCH MODSEQ "/flags/\\\\\\\\Seen" all {fourth + 1}
        S: * SEARCH
        S: e OK Search completed.
        C: f SEARCH RETURN (MIN COUNT) MODSEQ {second}
        S: * ESEARCH (TAG "f") MIN 2 COUNT 2 MODSEQ {fourth}
        S: f OK Search completed.
        C: g SEARCH RETURN (MIN) MODSEQ {second}
        S: * ESEARCH (TAG "g") MIN 2 MODSEQ {second}
        S: g OK Search completed.
        C: h SORT (REVERSE ARRIVAL) UTF-8 MODSEQ {second} UID 2
        S: * SORT 2 (MODSEQ {second})
        S: h OK Sort completed.
        C: i FETCH 1 (FLAGS) (CHANGEDSINCE 99999999999999999999)
        S: i BAD The mod-sequence is too large.
        C: j STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ {fourth})
        S: j OK Status completed.
        """
    )


def test_a_message_that_changed_since_is_not_stored(tmp_path: Path) -> None:
    one = selected(tmp_path, "CONDSTORE")
    two = Client(one.maildir)
    two.send(b"a SELECT INBOX\r\nb STORE 2 +FLAGS \\Flagged\r\n")
    one.play(
        f"""
        C: a STORE 1:3 (UNCHANGEDSINCE {one.found["start"]}) +FLAGS.SILENT (\\\\Seen)
        S: * 1 FETCH (MODSEQ ({{first}}))
        S: * 3 FETCH (MODSEQ ({{third}}))
        S: * 2 FETCH (FLAGS (\\\\Flagged \\\\Recent) MODSEQ ({{second}}))
        S: a OK [MODIFIED 2] Store completed.
        C: b UID STORE 2:3 (UNCHANGEDSINCE 1) FLAGS (\\\\Seen)
        S: b OK [MODIFIED 2:3] Store completed.
        """
    )
    assert one.found["first"] == one.found["third"] > one.found["second"]


def test_vanished_replaces_expunge(tmp_path: Path) -> None:
    client = selected(tmp_path, "QRESYNC")
    client.play(
        r"""
        C: a STORE 2:3 +FLAGS.SILENT \\Deleted
        S: * 2 FETCH (UID 2 MODSEQ ({deleted}))
        S: * 3 FETCH (UID 3 MODSEQ ({deleted_too}))
        S: a OK Store completed.
        C: b EXPUNGE
        S: * VANISHED 2:3
        S: * 2 RECENT
        S: b OK [HIGHESTMODSEQ {highest}] Expunge completed.
        C: c STORE 1:2 +FLAGS.SILENT \\Deleted
        S: * 1 FETCH (UID 1 MODSEQ ({a}))
        S: * 2 FETCH (UID 4 MODSEQ ({b}))
        S: c OK Store completed.
        C: d CLOSE
        S: d OK [HIGHESTMODSEQ {closed}] Close completed.
        """
    )
    found = client.found
    assert found["start"] < found["deleted"] < found["highest"] < found["a"] < found["closed"]


def test_a_mailbox_is_resynchronised(tmp_path: Path) -> None:
    one = selected(tmp_path, "QRESYNC")
    two = Client(one.maildir)
    two.send(b"a SELECT INBOX\r\nb STORE 1 +FLAGS \\Deleted\r\nc EXPUNGE\r\nd STORE 2 +FLAGS \\Seen\r\n")
    validity, start = one.found["validity"], one.found["start"]
    client = Client(one.maildir)
    client.send(b"e ENABLE QRESYNC\r\n")
    tail = client.send(b"a SELECT INBOX (QRESYNC (%d %d))\r\n" % (validity, start)).splitlines()[-3:]
    assert tail[0] == b"* VANISHED (EARLIER) 1"
    assert tail[1].startswith(b"* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (")
    assert tail[2] == b"a OK [READ-WRITE] Selected."
    for arguments, count in (
        (b"%d %d 2:9" % (validity, start), 1),
        (b"%d %d 1:2 (1:2 1:2)" % (validity, start), 1),
        (b"%d %d (1 1)" % (validity, start), 2),
        (b"%d %d 4" % (validity, start), 0),
        (b"%d %d" % (validity + 1, start), 0),
        (b"%d %d" % (validity, start + 1000), 0),
    ):
        answer = client.send(b"b SELECT INBOX (QRESYNC (%b))\r\n" % arguments)
        assert answer.count(b"VANISHED") + answer.count(b" FETCH ") == count
        assert answer.startswith(b"* OK [CLOSED] ")
    answer = client.send(b"c UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)\r\n" % start)
    assert answer.splitlines()[0] == b"* VANISHED (EARLIER) 1"
    # Removals before the record began are unknown: all UIDs that do not exist are reported.
    assert b"* VANISHED (EARLIER) 1\r\n" in client.send(b"d SELECT INBOX (QRESYNC (%d 1 1:8))\r\n" % validity)


@pytest.mark.parametrize(
    "command",
    ["SELECT INBOX (QRESYNC (1 1))", "SELECT INBOX (NONSENSE)", "SELECT INBOX (QRESYNC (0 1))",
     "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "FETCH 1 FLAGS (NONSENSE)", "STORE 1 (NONSENSE 1) FLAGS ()"],
)  # fmt: skip
def test_what_is_bad_without_enable_or_unknown(tmp_path: Path, command: str) -> None:
    assert b"a BAD" in selected(tmp_path).send(b"a %b\r\n" % command.encode())


def test_enable_lists_what_it_enabled(tmp_path: Path) -> None:
    client = Client(mailbox(tmp_path))
    client.play(
        """
        C: a ENABLE X-NONE QRESYNC
        S: * ENABLED QRESYNC
        S: a OK Enable completed.
        C: b ENABLE CONDSTORE
        S: * ENABLED
        S: b OK Enable completed.
        C: c ENABLE
        S: c BAD ...
        """
    )


def test_a_mailbox_on_a_full_disk_is_read_without_mod_sequences(tmp_path: Path) -> None:
    maildir = mailbox(tmp_path, b"one")
    Client(maildir).send(b"a SELECT INBOX\r\n")
    (tmp_path / "maildir" / "lab7-modseq").unlink()
    os.mkdir(tmp_path / "maildir" / "lab7-modseq.new")
    client = Client(type(maildir)(tmp_path / "maildir"))
    client.send(b"e ENABLE CONDSTORE\r\n")
    assert b"* OK [NOMODSEQ] " in client.send(b"a SELECT INBOX\r\n")
    assert client.send(b"b STORE 1 +FLAGS \\Seen\r\n") == b"* 1 FETCH (FLAGS (\\Seen))\r\nb OK Store completed.\r\n"
    assert b"c NO" in client.send(b"c FETCH 1 MODSEQ\r\n")
