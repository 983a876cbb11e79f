"""Authentication of mail between running MTAs: forged senders, signatures, and what dkimpy, swaks and OpenSSL say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import dkim
import pytest

from lab7.services.eventlog import EventLog
from lab7.services.mail.address import Mailbox
from lab7.services.mail.authentication.mta_sts.policy_source import PolicySource
from lab7.services.mail.delivery.mx_lookup import Resolver
from lab7.services.mail.delivery.remote import Destination, Job, Remote
from lab7.services.mail.delivery.routes import Host
from lab7.services.mail.queue.entry import Entry, Recipient, Schedule
from lab7.services.mail.queue.journal import Journal
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.client import Timeouts
from lab7.services.mail.smtp.client_session import SessionOptions
from lab7.services.mail.smtp.syntax import Reply
from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until

LETTER = "From: Alice <alice@{domain}>\r\nTo: bob@example.com\r\nSubject: Hello\r\n\r\nHi Bob.\r\n"
SOA = "$TTL 60\n@ SOA ns hostmaster 1 2 3 4 30\n@ NS ns\nns A 127.0.0.1\n"


def keygen(path: Path, *flags: str) -> str:
    command = [sys.executable, "-m", "lab7.services.mail.dkim_keygen", "--domain", "example.org", "--selector", "s1"]
    done = subprocess.run([*command, *flags, os.fspath(path)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def name_server(folder: Path, zones: dict[str, str]) -> Iterator[str]:
    """Serve zones; returns the value of --resolver."""
    command = [sys.executable, "-m", "lab7.services.dns.authoritative", "--listen", HOST, "--port", "0"]
    for origin, text in zones.items():
        path = folder / f"{origin}.zone"
        path.write_text(f"$ORIGIN {origin}.\n{SOA}{text}")
        command += ["--zone", os.fspath(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("READY"), ready
        yield ready.split()[2]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("key") / "dkim.pem"
    return path, keygen(path)


@pytest.fixture
def resolver(tmp_path: Path, key: tuple[Path, str]) -> Iterator[str]:
    """example.org: mail from 127.0.0.1, reject; forged.test and junk.test: from nowhere, reject and quarantine."""
    zones = {
        "example.org": f'@ TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n{key[1]}',
        "forged.test": '@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n',
        "junk.test": '@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=quarantine"\n',
        "example.com": "@ MX 10 mail\nmail A 127.0.0.1\n",
    }
    with name_server(tmp_path, zones) as address:
        yield address


def send(server: Server, domain: str, extra: str = "") -> tuple[int, bytes]:
    """Send a letter of Alice to Bob; returns the reply to the mail data."""
    with server.client() as client:
        client.ehlo()
        client.mail(f"alice@{domain}")
        client.rcpt("bob@example.com")
        return client.data(extra + LETTER.format(domain=domain))


def results_of(message: object) -> str:
    return " ".join(str(message["Authentication-Results"]).split())  # type: ignore[index]


def test_a_forged_sender_is_delivered_without_the_checks_and_rejected_with_them(tmp_path: Path, resolver: str) -> None:
    with mta(tmp_path / "open", "--resolver", resolver) as server:
        assert send(server, "forged.test")[0] == 250
        (message,) = server.wait_for("bob", 1)
        assert "Authentication-Results" not in message
    with mta(tmp_path / "checked", "--resolver", resolver, "--dmarc", "enforce") as server:
        assert send(server, "forged.test") == (550, b"5.7.1 Rejected by the DMARC policy of forged.test")
        assert send(server, "example.org")[0] == 250
        (message,) = server.wait_for("bob", 1)
        assert results_of(message) == (
            "example.com; spf=pass smtp.mailfrom=example.org; dkim=none; dmarc=pass (p=reject) header.from=example.org"
        )
        assert message.keys()[:3] == ["Return-Path", "Authentication-Results", "Received"]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_is_told_why(tmp_path: Path, resolver: str) -> None:
    with mta(tmp_path / "mta", "--resolver", resolver, "--spf", "enforce") as server:
        command = ["swaks", "--server", f"{HOST}:{server.port}", "--to", "bob@example.com", "--from", "a@forged.test"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert "550 5.7.23 SPF check of forged.test failed" in done.stdout


def test_quarantine_goes_into_the_folder_junk(tmp_path: Path, resolver: str) -> None:
    with mta(tmp_path / "mta", "--resolver", resolver, "--dmarc", "enforce") as server:
        assert send(server, "junk.test")[0] == 250
        assert send(server, "example.org")[0] == 250
        junk = server.maildirs / "example.com" / "bob" / ".Junk" / "new"
        wait_until(lambda: junk.is_dir() and bool(list(junk.iterdir())))
        assert b"policy.dmarc=quarantine" in next(junk.iterdir()).read_bytes()
        (message,) = server.wait_for("bob", 1)
        assert "example.org" in str(message["From"])


def test_check_delivers_and_says_so(tmp_path: Path, resolver: str) -> None:
    forged = "Authentication-Results: example.com; dmarc=pass header.from=forged.test\r\n"
    with mta(tmp_path / "mta", "--resolver", resolver, "--dmarc", "check") as server:
        assert send(server, "forged.test", forged)[0] == 250
        (message,) = server.wait_for("bob", 1)
        assert len(message.get_all("Authentication-Results", [])) == 1
        assert "dmarc=fail (p=reject) (no aligned domain passed SPF or DKIM)" in results_of(message)


def test_a_network_that_may_relay_is_not_checked(tmp_path: Path, resolver: str) -> None:
    flags = ("--resolver", resolver, "--dmarc", "enforce", "--relay-from", "127.0.0.0/8")
    with mta(tmp_path / "mta", *flags) as server:
        assert send(server, "forged.test")[0] == 250


def submit(server: Server, content: str) -> None:
    with server.client(server.submission_port) as client:
        client.login("alice", "secret")
        client.sendmail("alice@example.org", ["bob@example.com"], content.encode())


@pytest.mark.parametrize("body", ["Hi Bob.\r\n", "x" * 1500 + "\r\n", "hidden\r\n.\r\n..\r\n", "m\u00fcde\r\n", ""])
def test_what_one_server_signs_the_other_and_dkimpy_verify(
    tmp_path: Path, resolver: str, key: tuple[Path, str], body: str
) -> None:
    record = "".join(re.findall(r'"([^"]*)"', key[1])).encode()
    with mta(tmp_path / "b", "--resolver", resolver, "--dmarc", "enforce") as receiver:
        flags = ("--resolver", resolver, "--remote-port", str(receiver.port))
        signing = ("--dkim-key", f"s1:example.org:{key[0]}")
        with mta(tmp_path / "a", *flags, *signing, domain="example.org", submission=True) as sender:
            submit(sender, (LETTER.format(domain="example.org") + body))
            (message,) = receiver.wait_for("bob", 1)
    assert "dkim=pass header.d=example.org header.s=s1" in results_of(message)
    (path,) = (receiver.maildirs / "example.com" / "bob" / "new").iterdir()
    content = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert dkim.verify(content, dnsfunc=lambda *_, **__: record)
    assert not dkim.verify(content.replace(b"Subject: Hello", b"Subject: Hallo"), dnsfunc=lambda *_, **__: record)


def test_bounces_are_signed_too(tmp_path: Path, resolver: str, key: tuple[Path, str]) -> None:
    record = "".join(re.findall(r'"([^"]*)"', key[1])).encode()
    with mta(tmp_path / "b", "--resolver", resolver) as receiver:
        flags = ("--resolver", resolver, "--remote-port", str(receiver.port), "--dkim-key", f"s1:example.org:{key[0]}")
        with mta(tmp_path / "a", *flags, domain="example.org", submission=True) as sender:
            with sender.client(sender.submission_port) as client:
                client.login("alice", "secret")
                client.sendmail("alice@example.org", ["nobody@example.com"], LETTER.format(domain="example.org"))
            sender.wait_for("alice", 1)
    (path,) = (sender.maildirs / "example.org" / "alice" / "new").iterdir()
    content = path.read_bytes().replace(b"\n", b"\r\n")
    assert b"multipart/report" in content
    assert dkim.verify(content, dnsfunc=lambda *_, **__: record)


def test_what_dkimpy_signs_verifies(tmp_path: Path, resolver: str, key: tuple[Path, str]) -> None:
    content = LETTER.format(domain="example.org").encode()
    field = dkim.sign(content, b"s1", b"example.org", key[0].read_bytes()).decode()
    with mta(tmp_path / "mta", "--resolver", resolver, "--dkim") as server:
        send(server, "example.org", field)
        (message,) = server.wait_for("bob", 1)
        assert "dkim=pass" in results_of(message)


def test_a_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    record = keygen(path, "--type", "ed25519")
    assert re.fullmatch(r's1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=ed25519; p=[\w+/]{43}=" \)\n', record)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    command = [sys.executable, "-m", "lab7.services.mail.dkim_keygen", "--domain", "example.org", "--selector", "s1"]
    again = subprocess.run([*command, os.fspath(path)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (again.returncode, again.stderr) == (2, f"dkim_keygen: {path} exists: name another file\n")


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--dkim-key", "s1:example.org"], "is not of the form SELECTOR:DOMAIN:FILE"),
        (["--dkim-key", "s1:example.org:/nowhere/k"], "cannot read the DKIM key /nowhere/k: No such file or directory"),
        (["--dkim-key", "s1:example.org:/dev/null"], "cannot use the DKIM key /dev/null: it is no private key in PEM"),
        (["--mta-sts", "--authorities", "/nowhere/ca"], "cannot read the certificates /nowhere/ca: No such file"),
        (["--mta-sts", "--authorities", "/dev/null"], "cannot read the certificates /dev/null"),
        (["--dmarc", "always"], "invalid choice: 'always'"),
    ],
)
def test_a_wrong_flag_is_one_sentence(tmp_path: Path, flags: list[str], error: str) -> None:
    (tmp_path / "accounts").write_text("")
    command = [sys.executable, "-m", "lab7.services.mail.mta", "--domain", "example.org", "--port", "0"]
    command += ["--accounts", "accounts", "--maildirs", "m", "--queue", "q", *flags]
    environment = os.environ | {"PYTHONPATH": os.fspath(Path(__file__).resolve().parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert error in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# MTA-STS.

POLICY = "version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA (ca.pem), and certificates for the policy host, the mail server and another name, by openssl."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder, timeout=PATIENCE_S)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
    for name in ("mta-sts.example.com", "mail.example.com", "other.example.com"):
        extensions = folder / f"{name}.cnf"
        extensions.write_text(f"subjectAltName=DNS:{name}\n")
        openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.cnf")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")
    return folder


class PolicyHost:
    """An HTTPS server with one response, which counts the requests."""

    def __init__(self, certificates: Path, name: str, response: bytes) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        self._response = response
        self.requests: list[bytes] = []

    async def __aenter__(self) -> PolicyHost:
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self._response)
            await writer.drain()
        writer.close()


def response(text: str, media_type: str = "text/plain", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


ZONE = {"example.com": '_mta-sts TXT "v=STSv1; id=1"\nmta-sts A 127.0.0.1\n@ MX 10 mail\nmail A 127.0.0.1\n'}


def run_with_policies(
    folder: Path,
    certificates: Path,
    host: str,
    answer: bytes,
    act: Callable[[PolicySource, PolicyHost], Awaitable[object]],
) -> object:
    """Run `act` with a policy source and the policy host that it fetches from."""

    async def body(resolver: str) -> object:
        loop = asyncio.get_running_loop()
        address, _, port = resolver.rpartition(":")
        log = EventLog(None, loop.time)
        async with PolicyHost(certificates, host, answer) as server:
            stub = Resolver(loop, Random(1), log, [address], int(port))
            return await act(
                PolicySource(stub, os.fspath(certificates / "ca.pem"), loop.time, log, server.port), server
            )

    with name_server(folder, ZONE) as resolver:
        return asyncio.run(body(resolver))


def test_a_policy_is_fetched_once_over_https(tmp_path: Path, certificates: Path) -> None:
    async def act(policies: PolicySource, server: PolicyHost) -> None:
        for _ in range(2):
            policy = await policies.policy("Example.com")
            assert policy is not None
            assert policy.is_enforced
            assert policy.matches("mail.example.com")
        (request,) = server.requests
        assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.com\r\n")
        assert await policies.policy("[127.0.0.1]") is None

    text = POLICY.format(mode="enforce", mx="mail.example.com")
    run_with_policies(tmp_path, certificates, "mta-sts.example.com", response(text), act)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("other.example.com", response(POLICY.format(mode="enforce", mx="mail.example.com"))),
        ("mta-sts.example.com", response("x", status="404 Not Found")),
        ("mta-sts.example.com", b"HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.example.com/\r\n\r\n"),
        ("mta-sts.example.com", response(POLICY.format(mode="enforce", mx="mail.example.com"), "text/html")),
        ("mta-sts.example.com", response("version: STSv9\n")),
        ("mta-sts.example.com", response("#" * 70_000)),
        ("mta-sts.example.com", b"nonsense\r\n\r\n"),
        ("mta-sts.example.com", b""),
    ],
    ids=["certificate", "404", "redirection", "html", "version", "too large", "nonsense", "nothing"],
)
def test_what_is_no_policy_changes_nothing(tmp_path: Path, certificates: Path, host: str, answer: bytes) -> None:
    async def act(policies: PolicySource, server: PolicyHost) -> None:
        for _ in range(2):
            assert await policies.policy("example.com") is None
        # A failed fetch is not repeated at once.
        assert len(server.requests) <= 1

    run_with_policies(tmp_path, certificates, host, answer, act)


@pytest.mark.parametrize(
    ("mode", "mx", "certificate", "delivered"),
    [
        ("enforce", "mail.example.com", "mail.example.com", True),
        ("enforce", "*.example.com", "mail.example.com", True),
        ("enforce", "mail.example.com", "other.example.com", False),
        ("enforce", "mail.example.com", None, False),
        ("enforce", "other.example.com", "mail.example.com", False),
        ("testing", "other.example.com", None, True),
        ("none", "mail.example.com", None, True),
    ],
)
def test_mail_is_delivered_as_the_policy_permits(
    tmp_path: Path, certificates: Path, mode: str, mx: str, certificate: str | None, delivered: bool
) -> None:
    tls = [] if certificate is None else ["--tls", *(f"{certificates / certificate}.{end}" for end in ("pem", "key"))]
    with mta(tmp_path / "mta", *tls) as server:

        async def act(policies: PolicySource, _: PolicyHost) -> Reply:
            return await deliver(tmp_path / "queue", server.port, policies)

        text = POLICY.format(mode=mode, mx=mx)
        reply = run_with_policies(tmp_path, certificates, "mta-sts.example.com", response(text), act)
        assert isinstance(reply, Reply)
        assert (reply.code == 250) is delivered, reply
        if delivered:
            (message,) = server.wait_for("bob", 1)
            assert ("with ESMTPS" in str(message["Received"])) is (mode == "enforce")
        else:
            assert str(reply).startswith("45"), reply


async def deliver(queue: Path, port: int, policies: PolicySource) -> Reply:
    """Deliver one message to example.com; returns the last reply or the reason of the delay."""
    loop = asyncio.get_running_loop()
    log = EventLog(None, loop.time)
    spool = Spool(loop, Journal(queue), log)
    outcome: asyncio.Future[Reply] = loop.create_future()

    async def route(_: str) -> list[Host]:
        return [Host("mail.example.com", HOST)]

    def report(_: Entry, replies: dict[int, Reply]) -> None:
        outcome.set_result(replies[0])

    def defer(_: Entry, __: object, reply: Reply, ___: float) -> bool:
        outcome.set_result(reply)
        return False

    options = SessionOptions("mail.example.net")
    remote = Remote(
        loop, log, spool, route, report, defer, Schedule(), options, port, Timeouts(connect_s=5.0), policies=policies
    )
    content = b"Subject: x\r\n\r\nx\r\n"
    entry = Entry("1", 0.0, None, [Recipient(Mailbox("bob", "example.com"))], len(content), content=content)
    destination = Destination(remote, "example.com")
    destination.add(Job(entry, [0]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await outcome
    finally:
        await destination.close()
        await spool.close()
