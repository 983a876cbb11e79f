"""The mail server with independent clients: smtplib, swaks, curl, msmtp."""

import os
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mta(tmp_path_factory.mktemp("mta"), "--tls", submission=True) as made:
        yield made


def run(program: str, *arguments: str, data: bytes = b"") -> str:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    command = [program, *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def picture(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.net", "alice@example.com", subject
    message.set_content(".\n.hidden\n..two\nEnd.\n")
    message.add_attachment(bytes(range(256)) * 40, maintype="image", subtype="jpeg", filename="picture.jpg")
    return message


def test_smtplib_sends_several_messages_on_one_connection(server: Server) -> None:
    with server.client() as client:
        for number in range(3):
            assert client.send_message(picture(f"smtplib {number}")) == {}
    subjects = [message["Subject"] for message in server.wait_for("alice", 3)]
    assert sorted(subject for subject in subjects if subject.startswith("smtplib")) == [
        "smtplib 0",
        "smtplib 1",
        "smtplib 2",
    ]
    message = next(one for one in server.messages("alice") if one["Subject"] == "smtplib 0")
    parts: Any = message.get_payload()
    text, image = parts
    assert text.get_payload(decode=True) == b".\n.hidden\n..two\nEnd.\n"
    assert image.get_payload(decode=True) == bytes(range(256)) * 40
    assert message["Return-Path"] == "<ann@example.net>"
    assert "with ESMTP id" in message["Received"]


def test_smtplib_learns_which_recipients_are_refused(server: Server) -> None:
    with server.client() as client:
        recipients = ["alice@example.com", "no@example.com", "x@example.net"]
        refused = client.sendmail("a@example.net", recipients, "Subject: x\r\n\r\n")
        assert {name: code for name, (code, _) in refused.items()} == {"no@example.com": 550, "x@example.net": 550}
        assert client.verify("alice")[0] == 250
        assert client.expn("staff")[0] == 250


def test_smtplib_logs_in_inside_tls_only(server: Server) -> None:
    context = ssl._create_unverified_context()
    with server.client(server.submission_port) as client:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login("alice", "secret")
        client.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("alice", "wrong")
        client.login("alice", "secret")
        client.sendmail("alice@example.com", ["bob@example.com"], "Subject: submitted\r\n\r\n")
    message = server.wait_for("bob", 1)[-1]
    assert "with ESMTPSA id" in message["Received"]
    assert message["Date"]
    assert message["Message-ID"]


@pytest.mark.parametrize("flags", [(), ("--pipeline",), ("--tls",), ("--protocol", "SMTP")], ids=str)
def test_swaks_sends(server: Server, flags: tuple[str, ...]) -> None:
    if "--tls" in flags and subprocess.run(["perl", "-MNet::SSLeay", "-e1"], capture_output=True).returncode:
        pytest.skip("needs Net::SSLeay")
    before = len(server.messages("bob"))
    run("swaks", "--server", f"{HOST}:{server.port}", "--from", "a@example.net", "--to", "bob@example.com", *flags)
    server.wait_for("bob", before + 1)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
def test_curl_sends_a_file_as_it_is(server: Server, tmp_path: Path, line_end: bytes) -> None:
    name = f"curl {len(line_end)}"
    file = tmp_path / "message"
    file.write_bytes(line_end.join([b"Subject: " + name.encode(), b"", b".x", b"..", b"end", b""]))
    url = f"smtp://{HOST}:{server.port}/client.example.net"
    envelope = ["--mail-from", "a@example.net", "--mail-rcpt", "alice@example.com"]
    run("curl", "-sS", "--url", url, *envelope, "-T", str(file))
    wait_until(lambda: any(one["Subject"] == name for one in server.messages("alice")))
    (message,) = [one for one in server.messages("alice") if one["Subject"] == name]
    body = file.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
    # curl appends CRLF to a file whose last line ends in LF.
    assert message.get_payload(decode=True) in (body, body + b"\n")


@pytest.mark.parametrize("auth", ["plain", "login"])
def test_msmtp_submits(server: Server, auth: str) -> None:
    before = len(server.messages("bob"))
    flags = [f"--host={HOST}", f"--port={server.submission_port}", "--tls=on", "--tls-certcheck=off"]
    command = [
        "--file=/dev/null",
        *flags,
        "--read-envelope-from",
        f"--auth={auth}",
        "--user=alice",
        "--passwordeval=echo secret",
    ]
    run("msmtp", *command, "bob@example.com", data=b"From: alice@example.com\nSubject: msmtp\n\n.\nhello\n")
    server.wait_for("bob", before + 1)


def test_the_queue_is_empty_in_the_end(server: Server) -> None:
    wait_until(lambda: server.queued() == "")
    assert os.listdir(server.queue)


def test_long_lines_and_loose_addresses_reach_a_strict_server(tmp_path: Path) -> None:
    text = "x" * 5_000 + "\n.\n" + "\u00e9 = " * 1_000 + "\n"
    content = "Subject: " + "word " * 500 + "end\nContent-Type: text/plain; charset=utf-8\n\n" + text
    data = content.replace("\n", "\r\n").encode()
    with mta(tmp_path / "there", "--strict-syntax") as there:
        flags = ("--smarthost", f"{HOST}:{there.port}", "--relay-from", "127.0.0.0/8")
        with mta(tmp_path / "here", *flags, domain="here.test") as here, here.client() as client:
            client.ehlo()
            for command in ("MAIL FROM:ann@here.test", "RCPT TO: < alice@example.com >"):
                assert client.docmd(command)[0] == 250
            assert client.data(data)[0] == 250
            (message,) = there.wait_for("alice", 1)
        with there.client() as client:
            client.ehlo()
            assert client.docmd("MAIL FROM:ann@here.test")[0] == 501
            assert client.docmd("MAIL FROM:<ann@here.test>")[0] == 250
            assert client.docmd("RCPT TO:<alice@example.com>")[0] == 250
            assert client.data(data)[0] == 500
    assert max(map(len, message.as_bytes().splitlines())) <= 998
    assert bytes(message.get_payload(decode=True)).decode() == text
    assert str(message["Subject"]).split() == ["word"] * 500 + ["end"]
