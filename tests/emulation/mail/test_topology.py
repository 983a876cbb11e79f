"""The topology of two mail domains: what a person tries in it, who takes whose mail, and what cannot be drawn."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies import mail
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.mail import ALICE, AT_BOBS, BOB, PASSWORDS, PICTURE, MailTopo, mail_names
from tests.emulation.support import eventually

NEAR = {"sender": "1ms", "between": "2ms", "receiver": "1ms", "names": "1ms"}
# What each line of TRY must have said or done; those that say nothing have sent something.
SAID = {
    "-f": b"alice@example.o",
    "dig": b"20 backup.example.com.",
    "swaks": b"250 2.0.0 Queued as",
    "pop3:": b"1 ",
    "'imap:": b"Subject: ",
    "mail.example.com/": b"<form",
}


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def lab() -> Iterator[Testbed]:
    with Testbed(MailTopo(**NEAR), links="wire") as bed:
        words = [*send_words("1"), "--header", "Subject: the first"]
        assert bed.host("alice").run(words).returncode == 0
        assert eventually(lambda: len(messages(bed.host("mail-b"), "example.com/bob")) == 1)
        yield bed


def send_words(body: str) -> list[str]:
    words = shlex.split(f"swaks {mail.SUBMITS} --auth-password {PASSWORDS['alice']} --from {ALICE} --to {BOB}")
    return [*words, "--body", body]


def messages(server: Host, user: str) -> list[Path]:
    return [one for part in ("new", "cur") for one in (server.workdir / "maildirs" / user / part).glob("*")]


def run_line(lab: Testbed, line: str) -> subprocess.CompletedProcess[bytes]:
    host, *words = shlex.split(line)
    needs(words[0])
    if "-f" in words:
        # A program for a terminal: show the list, read the first message, leave.
        typed = ["script", "-qec", shlex.join(words), "/dev/null"]
        return lab.host(host).run(typed, input=b"\rqq", env={"TERM": "vt100", "PATH": "/usr/bin:/bin"})
    return lab.host(host).run(words, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("line", mail.TRY)
def test_what_the_topology_says_to_try_works(lab: Testbed, line: str) -> None:
    before = len(messages(lab.host("mail-b"), "example.com/bob"))
    done = run_line(lab, line)
    assert done.returncode == 0, done.stderr
    expected = next((said for word, said in SAID.items() if word in line.replace("://", ": ").split()), None)
    if expected is not None:
        assert expected in done.stdout
    elif "http:" in line:
        assert (lab.host("bob").workdir / "picture.jpg").read_bytes() == PICTURE.read_bytes()
    if "--to" in line or "--mail-rcpt" in line or "smtp_url" in line:
        assert eventually(lambda: len(messages(lab.host("mail-b"), "example.com/bob")) > before)


def test_bob_answers_alice_and_each_reads_by_imap(lab: Testbed) -> None:
    words = shlex.split(f"swaks --server mail.example.com --port 587 --auth PLAIN --from {BOB} --to {ALICE}")
    done = lab.host("bob").run(
        [*words, "--auth-user", "bob", "--auth-password", PASSWORDS["bob"], "--header", "Subject: thank you"]
    )
    assert done.returncode == 0, done.stdout
    assert eventually(lambda: len(messages(lab.host("mail-a"), "example.org/alice")) == 1)
    url = f"imap://alice:{PASSWORDS['alice']}@mail.example.org/INBOX;MAILINDEX=1;SECTION=HEADER"
    assert b"Subject: thank you" in lab.host("alice").run(["curl", "-sS", url]).stdout


def test_a_server_relays_for_nobody_else(lab: Testbed) -> None:
    words = ["swaks", "--server", "mail.example.com", "--from", ALICE, "--to", "someone@example.org"]
    done = lab.host("alice").run(words)
    assert b"550 5.7.1" in done.stdout


def test_the_backup_keeps_the_mail_of_a_server_that_is_away_and_hands_it_over(lab: Testbed) -> None:
    server = lab.host("mail-b")
    before = messages(server, "example.com/bob")
    for service in lab.services["mail-b"]:
        service.stop()
    assert lab.host("alice").run(send_words("while you were away")).returncode == 0
    queue = lab.host("backup").workdir / "queue"
    assert eventually(lambda: any(b"while you were away" in one.read_bytes() for one in queue.iterdir()))
    lab.restart("mail-b")
    found = [path.name for path in before]
    assert eventually(lambda: len(messages(server, "example.com/bob")) > len(before))
    (message,) = (path for path in messages(server, "example.com/bob") if path.name not in found)
    # RFC 5321 section 4.4 has each server on the way say that it was there.
    assert b"by backup.example.com" in message.read_bytes()


def test_the_password_of_bob_opens_no_mailbox_of_alice(lab: Testbed) -> None:
    url = f"imap://{AT_BOBS.replace('bob:', 'alice:')}/INBOX"
    assert lab.host("bob").run(["curl", "-sS", url]).returncode != 0


@pytest.mark.parametrize("wrong", [{"backup": "perhaps"}, {"between": "far"}])
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MailTopo(**wrong)


@pytest.mark.skipif(shutil.which("named-checkzone") is None, reason="bind9-utils is not installed")
def test_every_zone_of_the_plan_is_one_that_bind_takes(tmp_path: Path) -> None:
    for backup in (True, False):
        names = mail_names(backup)
        for origin in names.zones:
            file = tmp_path / "zone"
            file.write_text(names.master_file(origin))
            done = subprocess.run(["named-checkzone", origin, str(file)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
        assert ("backup" in names.master_file("example.com.")) is backup
