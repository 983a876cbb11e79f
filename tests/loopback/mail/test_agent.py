"""The mail user agent as a program: a picture is sent and saved again unchanged."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.services.mail.agent import mailbox_client, submission
from lab7.services.mail.agent.command import main
from lab7.services.mail.agent.composition import compose_message
from lab7.services.mail.agent.drafts import Draft, parse_mailbox_list, parse_single_mailbox
from lab7.services.mail.agent.errors import AgentError
from tests.loopback.mail.access import HOST, PATIENCE_S, access_process, maildir_of
from tests.loopback.mail.support import ScriptedServer, Server, mta, wait_until

PICTURE = bytes(range(256)) * 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mta(tmp_path_factory.mktemp("agent"), "--tls", "--auth-in-clear", submission=True) as made:
        yield made


@pytest.fixture(scope="module")
def root(server: Server) -> Path:
    """Return the MTA's mailboxes for the access servers."""
    (server.folder / "mail").symlink_to(server.maildirs)
    return server.folder


@pytest.fixture(scope="module", params=["imap", "pop3"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def access(root: Path, protocol: str) -> Iterator[int]:
    with access_process(protocol, root) as port:
        yield port


def agent(*arguments: object, data: bytes = b"", expected: int = 0) -> tuple[str, str]:
    """Run one command in this process; return its standard output and standard error."""
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", error)
        status = main([*map(str, arguments)])
    for stream in (out, error):
        stream.flush()
    said = error.buffer.getvalue().decode()
    assert status == expected, said
    return out.buffer.getvalue().decode(), said


def test_it_is_a_program() -> None:
    words = ["--from", "a@example.org", "--to", "b@example.com", "--date", "0", "--message-id", "1@x"]
    command = [sys.executable, "-m", "lab7.services.mail.agent", "compose", *words]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)
    assert done.stdout.startswith(b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nFrom: a@example.org\r\n")
    assert subprocess.run([*command, "--to"], capture_output=True, timeout=PATIENCE_S, check=False).returncode == 2


def test_alice_sends_bob_a_picture(server: Server, protocol: str, access: int, tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(PICTURE)
    words = ["--from", "Alice <alice@example.com>", "--to", "bob@example.com", "--subject", "Grüße"]
    written, _ = agent("compose", *words, "--text", "Look!", "--attach", tmp_path / "picture.jpg")
    before = len(server.messages("bob"))
    log_in = ["--user", "alice", "--password", "secret", "--starttls", "--insecure"]
    agent("send", "--server", HOST, "--port", server.submission_port, *log_in, "-", data=written.encode())
    assert server.wait_for("bob", before + 1)[-1]["MIME-Version"] == "1.0"

    read = ["read", f"--{protocol}", HOST, "--port", access, "--user", "bob", "--password", "secret"]
    listed, _ = agent(*read, "list")
    (line,) = listed.splitlines()
    assert line.split()[0] == "1"
    assert "Grüße" in line
    text, _ = agent(*read, "show", "1")
    assert "Subject: Grüße\n\nLook!\n" in text
    assert "[2 image/jpeg picture.jpg 25600 octets]" in text
    agent(*read, "save", "1", tmp_path / "saved", "--part", "2")
    agent(*read, "save", "1", tmp_path / "saved", "--delete")
    agent("compose", *words)
    for name in ("picture.jpg", "message-1-part-2"):
        saved = (tmp_path / "saved" / name).read_bytes()
        assert hashlib.sha256(saved).digest() == hashlib.sha256(PICTURE).digest()
    assert agent(*read, "list")[0] == ""


def test_several_messages_go_over_one_connection(tmp_path: Path) -> None:
    replies = ["220 hi", "250 hi", *(["250 ok", "250 ok", "354 go", "250 taken"] * 2), "221 bye!"]
    paths = []
    for number in range(2):
        written, _ = agent("compose", "--from", "a@example.org", "--to", "b@example.com", "--subject", number)
        paths.append(tmp_path / f"{number}.eml")
        paths[-1].write_text(written, newline="")
    with ScriptedServer(replies) as scripted:
        agent("send", "--server", HOST, "--port", scripted.port, *paths)
    (heard,) = scripted.heard
    verbs = [line[:4].upper() for line in heard]
    assert [verb for verb in verbs if verb in ("MAIL", "QUIT")] == ["MAIL", "MAIL", "QUIT"]


def test_functions_do_what_the_program_does(server: Server, root: Path) -> None:
    people = parse_mailbox_list("carol@example.com, alice@example.com")
    draft = Draft(parse_single_mailbox("bob@example.com", "sender"), people[1:], "By hand", "x", bcc=people[1:])
    content = compose_message(draft, 1_795_442_557.0, "by-hand@example.com")
    before = len(server.messages("alice"))
    assert submission.send(submission.Server(HOST, server.port), [submission.prepare(content)]) == {}
    server.wait_for("alice", before + 1)
    with access_process("imap", root) as port:
        access = mailbox_client.Access("imap", HOST, port, "alice", "secret")
        fetched = mailbox_client.fetch_messages(access, delete=True)
    assert fetched[-1].endswith(content)
    wait_until(lambda: server.messages("alice") == [])


def test_a_blind_copy_is_sent_and_not_shown() -> None:
    sent = submission.prepare(
        b"From: a@example.org\nTo: b@example.com\nBCC: c@example.com,\n d@example.com\n\nBcc: x\n"
    )
    assert sent.forward_paths == ("b@example.com", "c@example.com", "d@example.com")
    assert sent.content == b"From: a@example.org\r\nTo: b@example.com\r\n\r\nBcc: x\r\n"


def test_a_recipient_who_is_refused_is_named(server: Server) -> None:
    message = b"From: a@example.net\nTo: no@example.com, alice@example.com\nSubject: x\n\nx\n"
    _, error = agent("send", "--server", HOST, "--port", server.port, "-", data=message, expected=1)
    assert error == "agent: no@example.com was refused by the server: 550 5.1.1 User unknown\n" or "550" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send", "--server", HOST, "--port", "1", "-"], "Cannot use"),
        (["compose", "--from", "a", "--to", "b@c.example"], "not a mailbox"),
        (["compose", "--from", "a@example.com", "--to", "b@c.example", "--attach", "/nowhere/x"], "No such file"),
        (["compose", "--from", "a@example.com", "--to", "b@c.example", "--subject", "a\nBcc: x@y"], "line ending"),
        (["read", "--pop3", HOST, "--port", "1", "--user", "x", "--password", "x", "list"], "Cannot use"),
        (["read", "--imap", HOST, "--port", "1", "--user", "x", "list"], "give --password or --password-file"),
        (["send", "--server", HOST, "--port", "1", "--user", "x", "-"], "give --password or --password-file"),
        (["send", "--server", HOST, "/nowhere/message"], "No such file"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], said: str) -> None:
    _, error = agent(*arguments, data=b"From: a@b.example\nTo: c@d.example\n\n", expected=1)
    assert error.startswith("agent: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_wrong_password_is_one_sentence(protocol: str, access: int) -> None:
    words = ["--user", "bob", "--password", "wrong"]
    _, error = agent("read", f"--{protocol}", HOST, "--port", access, *words, "list", expected=1)
    assert error.startswith(f"agent: {HOST} said: ")
    assert error.count("\n") == 1


def test_a_message_that_is_not_there_is_one_sentence(protocol: str, access: int) -> None:
    words = ["--user", "carol", "--password", "secret"]
    _, error = agent("read", f"--{protocol}", HOST, "--port", access, *words, "show", "7", expected=1)
    assert error == "agent: There is no message 7: the mailbox has 0.\n"


@pytest.mark.parametrize(("asked", "greeting"), [("imap", "+OK ready"), ("imap", "220 mail"), ("pop3", "* OK ready")])
def test_a_server_of_another_protocol_is_told(asked: str, greeting: str) -> None:
    with ScriptedServer([f"{greeting}!"]) as scripted:
        words = ["--port", scripted.port, "--user", "bob", "--password", "secret"]
        _, error = agent("read", f"--{asked}", HOST, *words, "list", expected=1)
    assert error == f"agent: {HOST} port {scripted.port} does not respond as a {asked.upper()} server.\n"


def test_a_server_that_takes_nobody_is_heard() -> None:
    for asked, greeting in (("imap", "* BYE too many"), ("pop3", "-ERR too many")):
        with ScriptedServer([f"{greeting}!"]) as scripted:
            words = ["--port", scripted.port, "--user", "bob", "--password", "secret"]
            _, error = agent("read", f"--{asked}", HOST, *words, "list", expected=1)
        assert error == f"agent: {HOST} said: {greeting}\n"


def test_octets_beyond_ascii_go_only_where_they_are_taken() -> None:
    message = submission.Submission("a@example.org", ("b@example.com",), "Subject: x\r\n\r\nÜ\r\n".encode())
    with ScriptedServer(["220 hi", "250 hi", "221 bye!"]) as scripted, pytest.raises(AgentError, match="ASCII"):
        submission.send(submission.Server(HOST, scripted.port), [message])


def test_what_is_saved_replaces_nothing(root: Path, tmp_path: Path) -> None:
    head = b"Content-Type: application/x-sh\r\nContent-Disposition: attachment; filename=../../evil.sh\r\n"
    maildir_of(root, "carol").deliver(head + b"\r\n#!\r\n")
    with access_process("pop3", root) as port:
        words = ["read", "--pop3", HOST, "--port", port, "--user", "carol", "--password", "secret"]
        for _ in range(2):
            agent(*words, "save", "1", tmp_path / "in")
        for folder in ("/proc/out", "/proc"):
            _, error = agent(*words, "save", "1", folder, expected=1)
            assert error.startswith(f"agent: cannot write to {folder}: ")
            assert error.count("\n") == 1
        _, error = agent(*words, "save", "2", tmp_path / "in", expected=1)
        assert error.count("\n") == 1
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"message-1.eml", "message-1-2.eml", "evil.sh", "evil-2.sh"}


def test_long_lines_are_read_by_either_protocol(root: Path, protocol: str, access: int) -> None:
    long = b"x" * 3000
    maildir_of(root, "user7").deliver_many(
        [
            b"Subject: body\r\n\r\n" + long,
            b"Subject: head\r\nX-Long: " + long + b"\r\n\r\nb",
            b"Subject: third\r\n\r\nc",
        ]
    )
    words = ["read", f"--{protocol}", HOST, "--port", access, "--user", "user7", "--password", "secret"]
    listed, _ = agent(*words, "list")
    assert [line.split()[-1] for line in listed.splitlines()][:3] == ["body", "head", "third"]
    shown, _ = agent(*words, "show", "1")
    assert long.decode() in shown
