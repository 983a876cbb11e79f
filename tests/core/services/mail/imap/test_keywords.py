"""Keywords of messages (RFC 9051 sections 2.3.2, 6.3.12 and 6.4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab7.services.mail.maildir.delivery import NewMessage, deliver_files
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(mailbox(tmp_path, b"one", b"two"))
    made.send(b"s SELECT INBOX\r\n")
    return made


def many_keywords(letter: str, count: int) -> str:
    return " ".join(f"{letter}{number}" for number in range(count))


def test_a_refused_command_adds_no_keyword(client: Client) -> None:
    """RFC 9051 sections 6.3.12 and 6.4.7: the mailbox is as it was before a command that failed."""
    client.play(f"""
        C: a STORE 1 +FLAGS ({many_keywords("k", 30)})
        S: a NO [LIMIT] ...
        C: b STORE 1 +FLAGS (short {"x" * 200})
        S: b NO [LIMIT] ...
        C: c CREATE box
        S: c OK ...
    """)
    appended = f"d APPEND INBOX ({many_keywords('m', 20)}) {{1+}}\r\nx ({many_keywords('n', 20)}) {{1+}}\r\ny\r\n"
    assert client.send(appended.encode()).startswith(b"d NO [LIMIT] ")
    assert client.maildir.folder("INBOX").keywords.names == []
    for number, letter in ((1, "o"), (2, "p")):
        client.send(f"e STORE {number} +FLAGS.SILENT ({many_keywords(letter, 13)})\r\n".encode())
    client.send(b"f APPEND box (one) {1+}\r\nx\r\n")
    client.play("""
        C: g COPY 1:2 box
        S: g NO [LIMIT] ...
        C: h MOVE 1:2 box
        S: h NO [LIMIT] ...
        C: i COPY 1 box
        S: i OK ...
    """)
    assert client.maildir.folder("box").keywords.names == ["one", *sorted(many_keywords("o", 13).split())]


def test_letters_of_keywords_that_no_message_has_are_assigned_again(client: Client, tmp_path: Path) -> None:
    other = Client(Maildir(tmp_path / "maildir"))
    other.send(b"e ENABLE CONDSTORE\r\ns SELECT INBOX\r\n")
    client.send(f"a STORE 1 +FLAGS.SILENT ({many_keywords('k', 25)})\r\n".encode())
    client.send(b"b STORE 2 +FLAGS.SILENT (kept)\r\n")
    assert b"\\*" not in client.send(b"c SELECT INBOX\r\n")
    assert b"MODSEQ" in other.send(b"a NOOP\r\n")
    client.send(b"d STORE 1 FLAGS.SILENT (k3)\r\n")
    assert b"\\*" in client.send(b"e SELECT INBOX\r\n")
    client.play("""
        C: f STORE 2 +FLAGS (new)
        S: * FLAGS (... new)
        S: * OK [PERMANENTFLAGS (... new \\\\*)] ...
        S: * 2 FETCH (FLAGS (kept new))
        S: f OK ...
        C: g FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS (k3))
        S: * 2 FETCH (FLAGS (kept new))
        S: g OK ...
    """)
    other.play("""
        C: b NOOP
        S: * FLAGS (... new)
        S: * OK [PERMANENTFLAGS (... new \\\\*)] ...
        S: * 1 FETCH (FLAGS (k3) MODSEQ ({first}))
        S: * 2 FETCH (FLAGS (kept new) MODSEQ ({second}))
        S: b OK ...
    """)
    answer = client.send(f"h STORE 1 +FLAGS ({many_keywords('m', 24)})\r\n".encode())
    assert answer.startswith(b"h NO [LIMIT] A mailbox has 26 keywords at most, and this one has room for 23 more.")


def test_a_session_that_does_not_know_new_letters_sets_the_right_keyword(client: Client, tmp_path: Path) -> None:
    folder = Maildir(tmp_path / "maildir").folder("INBOX")
    client.send(f"a STORE 1 +FLAGS.SILENT ({many_keywords('k', 26)})\r\n".encode())
    folder.refresh()
    client.send(b"b STORE 1 FLAGS.SILENT ()\r\nc STORE 1 FLAGS.SILENT (new)\r\n")
    # The folder has not been read again: for it, the letter of `new` still stands for `k0`.
    folder.set_flags(2, frozenset(("k0",)))
    folder.refresh()
    assert [message.flags for message in folder.messages.values()] == [{"new"}, {"k0"}]


def test_letters_are_confirmed_after_the_files_of_new_messages_appeared(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Maildir(tmp_path / "maildir").folder("INBOX")
    client.send(f"a STORE 1 +FLAGS.SILENT ({many_keywords('k', 26)})\r\nb STORE 1 FLAGS.SILENT ()\r\n".encode())
    folder.refresh()

    def deliver_late(path: str, messages: Sequence[NewMessage]) -> list[str]:
        client.send(b"c STORE 1 FLAGS.SILENT (new)\r\n")
        return deliver_files(path, messages)

    monkeypatch.setattr("lab7.services.mail.maildir.folder.deliver_files", deliver_late)
    (uid,) = folder.append([NewMessage(b"x")], [frozenset(("k0",))])
    assert folder.messages[uid].flags == {"k0"}
    assert folder.messages[1].flags == {"new"}


def test_replaced_keywords_give_their_letters_to_the_new_ones(client: Client) -> None:
    """RFC 9051 section 6.4.6: STORE FLAGS replaces the flags, so letters that only these messages have become free."""
    client.send(f"a STORE 1:2 FLAGS.SILENT ({many_keywords('k', 26)})\r\n".encode())
    client.play("""
        C: b STORE 1 FLAGS (new)
        S: b NO [LIMIT] ...
        C: c STORE 1 +FLAGS (new)
        S: c NO [LIMIT] ...
        C: d FETCH 1 UID
        S: * 1 FETCH (UID 1)
        S: d OK ...
    """)
    assert b"k25" in client.send(b"e FETCH 1 FLAGS\r\n")
    answer = client.send(b"f STORE 1:2 FLAGS (new \\Seen)\r\n")
    assert b"* 1 FETCH (FLAGS (\\Seen \\Recent new))" in answer
    assert b"* 2 FETCH (FLAGS (\\Seen \\Recent new))" in answer
    client.send(f"g STORE 1 FLAGS.SILENT ({many_keywords('k', 25)})\r\n".encode())
    assert b"h NO [LIMIT]" in client.send(f"h STORE 1 FLAGS ({many_keywords('m', 26)})\r\n".encode())
    assert b"k24" in client.send(b"i FETCH 1 FLAGS\r\n")
    assert b"* 1 FETCH (FLAGS (\\Recent other))" in client.send(b"j STORE 1 FLAGS (other)\r\n")
    assert b"* 2 FETCH (FLAGS (\\Seen \\Recent new))" in client.send(b"k FETCH 2 FLAGS\r\n")
