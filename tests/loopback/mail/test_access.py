"""IMAP and POP3 servers with independent clients."""

from __future__ import annotations

import imaplib
import os
import poplib
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.mail.access import HOST, PATIENCE_S, access_process, maildir_of, run
from tests.loopback.mail.terminal import on_terminal

MESSAGE = b"From: ann@example.com\r\nTo: alice@example.com\r\nSubject: %d\r\nMessage-ID: <%d@x>\r\n\r\n.dot %d\r\n"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def imap(root: Path) -> Iterator[int]:
    with access_process("imap", root, "--tls") as port:
        yield port


@pytest.fixture(scope="module")
def pop3(root: Path) -> Iterator[int]:
    with access_process("pop3", root, "--tls") as port:
        yield port


def fill(root: Path, user: str, count: int) -> None:
    maildir_of(root, user).deliver_many([MESSAGE % (n, n, n) for n in range(count)])


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_imaplib_reads_flags_and_moves(root: Path, imap: int) -> None:
    fill(root, "user0", 3)
    client = imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S)
    client.starttls(trusting())
    client.login("user0@example.com", "secret")
    assert client.select() == ("OK", [b"3"])
    assert client.fetch("2", "(RFC822)")[1][0][1] == MESSAGE % (1, 1, 1)  # type: ignore[index]
    assert client.store("2", "+FLAGS", "\\Flagged")[0] == "OK"
    assert client.search(None, "FLAGGED") == ("OK", [b"2"])
    assert client.create("Archive")[0] == "OK"
    assert client.uid("MOVE", "2", "Archive")[0] == "OK"
    assert client.status("Archive", "(MESSAGES)") == ("OK", [b"Archive (MESSAGES 1)"])
    assert client.logout()[0] == "BYE"


def test_poplib_sees_the_same_mailbox(root: Path, pop3: int) -> None:
    fill(root, "user1", 3)
    client = poplib.POP3(HOST, pop3, timeout=PATIENCE_S)
    client.stls(trusting())
    client.user("user1")
    client.pass_("secret")
    assert client.stat()[0] == 3
    assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == MESSAGE % (0, 0, 0)
    client.dele(1)
    client.quit()
    client = poplib.POP3(HOST, pop3, timeout=PATIENCE_S)
    client.apop("user1", "secret")
    assert client.stat()[0] == 2
    client.close()


def test_an_idle_client_is_told_of_a_delivery(root: Path, imap: int) -> None:
    with socket.create_connection((HOST, imap), timeout=PATIENCE_S) as peer:
        stream = peer.makefile("rwb")
        stream.readline()
        stream.write(b"a LOGIN user2 secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
        stream.flush()
        while not stream.readline().startswith(b"+"):
            pass
        maildir_of(root, "user2").deliver(MESSAGE % (0, 0, 0))
        assert stream.readline() == b"* 1 EXISTS\r\n"


def test_what_is_sent_ahead_of_tls_is_not_run(imap: int) -> None:
    with socket.create_connection((HOST, imap), timeout=PATIENCE_S) as peer:
        peer.recv(1000)
        peer.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        assert peer.recv(1000).startswith(b"a OK")
        with trusting().wrap_socket(peer) as inside:
            inside.sendall(b"c NOOP\r\n")
            assert inside.recv(1000).startswith(b"c OK")


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_inside_tls_nothing_comes_unasked(request: pytest.FixtureRequest, protocol: str) -> None:
    """RFC 8446 section 4.6.1: session tickets are optional, and some clients block on them as on a response."""
    with socket.create_connection((HOST, request.getfixturevalue(protocol)), timeout=PATIENCE_S) as peer:
        peer.recv(1000)
        peer.sendall(b"a STARTTLS\r\n" if protocol == "imap" else b"STLS\r\n")
        peer.recv(1000)
        with trusting().wrap_socket(peer) as inside:
            inside.sendall(b"b NOOP\r\n")
            inside.recv(1000)
            assert inside.version() == "TLSv1.3"
            assert inside.session is None or not inside.session.has_ticket


def test_a_client_that_does_not_read_holds_up_nobody(root: Path, imap: int) -> None:
    maildir_of(root, "user3").deliver(b"Subject: large\r\n\r\n" + b"x" * 20_000_000)
    with socket.create_connection((HOST, imap), timeout=PATIENCE_S) as slow:
        slow.sendall(b"a LOGIN user3 secret\r\nb SELECT INBOX\r\n" + b"c FETCH 1 BODY[]\r\n" * 20)
        other = imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S)
        other.login("user4", "secret")
        assert other.noop()[0] == "OK"
        other.logout()


def test_many_sessions_of_one_mailbox(root: Path, imap: int) -> None:
    """Ten clients append, flag and remove concurrently; no message is duplicated or lost."""
    failures: list[str] = []

    def work(number: int) -> None:
        client = imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S)
        client.login("user5", "secret")
        client.select()
        for turn in range(10):
            content = b"Subject: %d-%d\r\n\r\n" % (number, turn)
            if client.append("INBOX", "", "", content)[0] != "OK":
                failures.append("append")
        client.noop()
        (found,) = client.uid("SEARCH", "SUBJECT", f'"{number}-0"')[1]
        client.uid("STORE", found.decode(), "+FLAGS.SILENT", "(\\Deleted)")
        client.uid("EXPUNGE", found.decode())
        client.logout()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    folder = maildir_of(root, "user5").folder("INBOX")
    folder.refresh()
    subjects = sorted(folder.read(uid) for uid in folder.uids)
    assert subjects == sorted(b"Subject: %d-%d\r\n\r\n" % (a, b) for a in range(10) for b in range(1, 10))


@needs("curl")
def test_curl_by_both_protocols(root: Path, imap: int, pop3: int) -> None:
    fill(root, "user6", 2)
    login = ("-sS", "-u", "user6:secret")
    assert run("curl", *login, f"imap://{HOST}:{imap}/INBOX;MAILINDEX=2") == MESSAGE % (1, 1, 1)
    assert b"INBOX" in run("curl", *login, f"imap://{HOST}:{imap}/")
    assert run("curl", *login, f"pop3://{HOST}:{pop3}/1") == MESSAGE % (0, 0, 0)
    assert run("curl", *login, f"pop3://{HOST}:{pop3}/").split() == [b"1", b"87", b"2", b"87"]
    assert b"BODY[HEADER]" in run("curl", *login, f"imap://{HOST}:{imap}/INBOX", "-X", "FETCH 1 BODY.PEEK[HEADER]")


@needs("fetchmail")
def test_fetchmail_empties_a_maildrop(root: Path, pop3: int, tmp_path: Path) -> None:
    fill(root, "user7", 25)
    collected = tmp_path / "collected"
    control = tmp_path / "rc"
    control.write_text(
        f"poll {HOST} service {pop3} protocol pop3 user user7 password secret sslproto '' "
        f"mda \"sh -c 'cat >>{collected}'\" fetchall no rewrite\n"
    )
    control.chmod(0o600)
    run("env", f"FETCHMAILHOME={tmp_path}", f"HOME={tmp_path}", "fetchmail", "-f", str(control), "--nosyslog")
    assert collected.read_bytes().count(b"Message-ID: <") == 25
    folder = maildir_of(root, "user7").folder("INBOX")
    folder.refresh()
    assert folder.uids == []


@needs("mpop")
def test_mpop_takes_messages_home(root: Path, pop3: int, tmp_path: Path) -> None:
    fill(root, "user8", 5)
    for place in ("new", "cur", "tmp"):
        (tmp_path / "box" / place).mkdir(parents=True)
    control = tmp_path / "rc"
    control.write_text(
        f"account default\nhost {HOST}\nport {pop3}\nuser user8\npassword secret\nauth user\ntls off\nkeep on\n"
        f"delivery maildir {tmp_path / 'box'}\nuidls_file {tmp_path / 'uidls'}\n"
    )
    control.chmod(0o600)
    for _ in range(2):
        run("env", f"HOME={tmp_path}", "mpop", "-C", str(control))
    assert len(os.listdir(tmp_path / "box" / "new")) == 5


MBSYNC = """
IMAPAccount far
Host {host}
Port {port}
User {user}
Pass secret
SSLType None
AuthMechs LOGIN

IMAPStore far
Account far

MaildirStore near
Path {path}/
Inbox {path}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


@needs("mbsync")
def test_mbsync_moves_nothing_the_second_time(root: Path, imap: int, tmp_path: Path) -> None:
    fill(root, "user9", 1000)
    maildir_of(root, "user9").create("Work/2026")
    (tmp_path / "near").mkdir()
    control = tmp_path / "rc"
    control.write_text(MBSYNC.format(host=HOST, port=imap, user="user9", path=tmp_path / "near"))
    command = ("mbsync", "-c", str(control), "all")
    run(*command)
    inbox = tmp_path / "near" / "INBOX"
    near = {path.name for place in ("new", "cur") for path in (inbox / place).iterdir()}
    assert len(near) == 1000
    far = sorted(os.listdir(root / "mail" / "example.com" / "user9" / "cur"))
    run(*command)
    assert {path.name for place in ("new", "cur") for path in (inbox / place).iterdir()} == near
    assert sorted(os.listdir(root / "mail" / "example.com" / "user9" / "cur")) == far
    # In the other direction: one message is flagged, one is new.
    first = next((inbox / "new").iterdir())
    first.rename(inbox / "cur" / (first.name.partition(":")[0] + ":2,FS"))
    (inbox / "new" / "1.local.host").write_bytes(b"Subject: from near\n\nx\n")
    run(*command)
    folder = maildir_of(root, "user9").folder("INBOX")
    folder.refresh()
    assert len(folder.uids) == 1001
    assert sum({"\\Seen", "\\Flagged"} <= message.flags for message in folder.messages.values()) == 1


@needs("mbsync")
def test_mbsync_accepts_every_name_that_the_server_lists(root: Path, imap: int, tmp_path: Path) -> None:
    """mbsync stops for an account whose list of mailboxes has a name with the component `..`."""
    fill(root, "user10", 1)
    client = imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S)
    client.starttls(trusting())
    client.login("user10@example.com", "secret")
    names = (".", "..", "a/./b", "a/../b", ".hidden", "a.b", "a/.b", "#x", "~x")
    assert [name for name in names if client.create(name)[0] == "NO"] == [".", "..", "a/./b", "a/../b"]
    client.logout()
    # An earlier version has created a mailbox of such a name.
    for place in ("tmp", "new", "cur"):
        (root / "mail" / "example.com" / "user10" / ".&AC4-&AC4-" / place).mkdir(parents=True)
    (tmp_path / "near").mkdir()
    control = tmp_path / "rc"
    control.write_text(MBSYNC.format(host=HOST, port=imap, user="user10", path=tmp_path / "near"))
    run("mbsync", "-c", str(control), "all")
    assert len(list((tmp_path / "near" / "INBOX" / "new").iterdir())) == 1
    assert (tmp_path / "near" / "a" / ".b" / "cur").is_dir()


@needs("mutt")
def test_mutt_flags_moves_and_deletes(root: Path, imap: int, tmp_path: Path) -> None:
    fill(root, "user10", 4)
    maildir_of(root, "user10").create("Kept")
    control = tmp_path / "rc"
    control.write_text(
        f'set folder="imap://user10:secret@{HOST}:{imap}/" spoolfile="imap://user10:secret@{HOST}:{imap}/INBOX"\n'
        "set ssl_starttls=no ssl_force_tls=no delete=yes move=no confirmappend=no quit=yes imap_check_subscribed=no\n"
        "push '1<enter><flag-message>2<enter><save-message>=Kept<enter>3<enter><delete-message><quit>'\n"
    )
    on_terminal("env", "TERM=xterm", f"HOME={tmp_path}", "mutt", "-n", "-F", str(control))
    inbox, kept = (maildir_of(root, "user10").folder(name) for name in ("INBOX", "Kept"))
    inbox.refresh()
    kept.refresh()
    assert [inbox.read(uid) for uid in inbox.uids] == [MESSAGE % (0, 0, 0), MESSAGE % (3, 3, 3)]
    assert "\\Flagged" in inbox.messages[inbox.uids[0]].flags
    assert [kept.read(uid) for uid in kept.uids] == [MESSAGE % (1, 1, 1)]


@needs("offlineimap")
def test_offlineimap_copies_a_mailbox(root: Path, imap: int, tmp_path: Path) -> None:
    fill(root, "user11", 10)
    control = tmp_path / "rc"
    control.write_text(
        f"[general]\naccounts = a\nmetadata = {tmp_path}/meta\n[Account a]\nlocalrepository = l\nremoterepository = r\n"
        f"[Repository l]\ntype = Maildir\nlocalfolders = {tmp_path}/near\n[Repository r]\ntype = IMAP\nssl = no\n"
        f"starttls = no\nremotehost = {HOST}\nremoteport = {imap}\nremoteuser = user11\nremotepass = secret\n"
    )
    for _ in range(2):
        run("env", f"HOME={tmp_path}", "offlineimap", "-o", "-c", str(control), "-u", "quiet")
        copied = [path for place in ("new", "cur") for path in (tmp_path / "near" / "INBOX" / place).iterdir()]
        assert len(copied) == 10
