"""Webmail as a program, beside the mail server, IMAP and POP3 on one mailbox, with independent clients."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import http.client
import imaplib
import json
import poplib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path

import pytest

from lab7.services.mail.webmail import main
from lab7.services.mail.webmail.limits import BUFFERED_OCTETS, FORM_OCTETS, LOGIN_FORM_OCTETS, MESSAGE_FORM_OCTETS
from tests.loopback.mail.access import access_process
from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until
from tests.loopback.mail.webmail import ACCOUNTS, Visitor, maildir_of, webmail, webmail_process

PICTURE = bytes(range(256)) * 300
LETTER = b"From: bob@example.com\r\nTo: alice@example.com\r\nSubject: %b\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    with webmail(tmp_path_factory.mktemp("webmail") / "x") as running:
        yield running


@pytest.fixture(scope="module")
def server(both: tuple[Server, int]) -> Server:
    return both[0]


@pytest.fixture(scope="module")
def port(both: tuple[Server, int]) -> int:
    return both[1]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("secured")
    (folder / "accounts").write_text(ACCOUNTS)
    with mta(folder, "--tls", submission=True) as made:
        yield made


@pytest.fixture
def alice(port: int) -> Visitor:
    visitor = Visitor(port)
    assert visitor.log_in("alice", "secret").fields["Location"] == "/"
    return visitor


def test_a_message_with_a_picture_goes_from_browser_to_browser(server: Server, port: int, alice: Visitor) -> None:
    form = alice.get("/compose").form("/compose")
    values = {**form, "to": "bob@example.com", "subject": "Grüße", "text": "Look!"}
    sent = alice.post_files("/compose", values, [("ring.jpg", PICTURE, "image/jpeg")])
    assert (sent.status, sent.fields["Location"]) == (303, "/folder?name=INBOX")
    (message,) = server.wait_for("bob", 1)
    # The trace field records the protocol of submission (RFC 3848): ESMTPA, authenticated.
    assert "with ESMTPA id" in message["Received"]
    bob = Visitor(port)
    bob.log_in("bob", "hunter2")
    page = bob.get(bob.get("/").link("/message"))
    assert "Look!" in page.html
    part = bob.get(page.link("/part", section="2"))
    assert hashlib.sha256(part.body).digest() == hashlib.sha256(PICTURE).digest()
    assert part.fields["Content-Type"] == "image/jpeg"
    assert "Grüße" in alice.get("/folder?name=Sent").html


def test_pop3_imap_and_webmail_see_one_mailbox(server: Server, port: int, tmp_path: Path) -> None:
    (tmp_path / "mail").symlink_to(server.maildirs)
    maildir_of(server, "carol").deliver(LETTER % b"shared")
    carol = Visitor(port)
    carol.log_in("carol", "x")
    assert "shared" in carol.get("/").html
    with access_process("imap", tmp_path) as imap_port, access_process("pop3", tmp_path) as pop3_port:
        imap = imaplib.IMAP4(HOST, imap_port, timeout=PATIENCE_S)
        imap.login("carol", "secret")
        assert imap.select() == ("OK", [b"1"])
        form = carol.get("/").form("/action")
        uid = imap.uid("SEARCH", "ALL")[1][0].decode()
        assert form["v"] == imap.response("UIDVALIDITY")[1][0].decode()
        imap.store("1", "+FLAGS", "\\Flagged")
        assert "flagged" in carol.get("/").html
        assert carol.post("/action", {**form, "uid": uid, "action": "seen"}).status == 303
        assert imap.noop()[0] == "OK"
        assert b"\\Seen" in imap.fetch("1", "(FLAGS)")[1][0]  # type: ignore[operator]
        imap.logout()
        pop3 = poplib.POP3(HOST, pop3_port, timeout=PATIENCE_S)
        pop3.user("carol")
        pop3.pass_("secret")
        pop3.dele(1)
        pop3.quit()
    assert "There are no messages here." in carol.get("/").html


def test_a_quota_that_is_full_keeps_no_copy_and_says_so(port: int) -> None:
    carol = Visitor(port)
    carol.log_in("carol", "x")
    form = carol.get("/compose").form("/compose")
    values = {**form, "to": "alice@example.com", "subject": "large", "text": "x" * 3000}
    assert carol.post_files("/compose", values).status == 303
    page = carol.get("/").html
    assert "The message has been sent." in page
    assert "No copy was saved in Sent" in page


def test_a_form_from_another_origin_is_refused(server: Server, alice: Visitor) -> None:
    maildir_of(server, "alice").deliver(LETTER % b"kept")
    page = alice.get("/")
    form = {**page.form("/action"), "uid": page.link("/message").partition("uid=")[2].partition("&")[0]}
    assert alice.post("/action", {**form, "action": "delete"}, origin="http://evil.example").status == 403
    assert alice.post("/action", {**form, "action": "delete", "form_token": "0" * 64}).status == 403
    assert "kept" in alice.get("/").html


def ask_raw(port: int, octets: bytes) -> bytes:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as client:
        client.sendall(octets)
        received = b""
        while b"\r\n\r\n" not in received and (piece := client.recv(65_536)):
            received += piece
        return received


def test_a_stranger_s_content_is_refused_before_it_comes(port: int) -> None:
    """The size is declared, and the request is refused before any content is sent."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    assert ask_raw(port, head % (b"/compose", MESSAGE_FORM_OCTETS)).startswith(b"HTTP/1.1 403 ")
    assert ask_raw(port, head % (b"/login", LOGIN_FORM_OCTETS + 1)).startswith(b"HTTP/1.1 413 ")
    assert ask_raw(port, head % (b"/nowhere", 10)).startswith(b"HTTP/1.1 404 ")
    assert ask_raw(port, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").startswith(b"HTTP/1.1 303 ")


def test_a_user_s_content_has_its_bounds(port: int, alice: Visitor) -> None:
    cookie = f"session={alice.cookies['session']}".encode()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nCookie: " + cookie + b"\r\nContent-Length: %d\r\n\r\n"
    assert ask_raw(port, head % (b"/action", FORM_OCTETS + 1)).startswith(b"HTTP/1.1 415 ")
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    head = head.replace(b"Content-Length", kind + b"Content-Length")
    assert ask_raw(port, head % (b"/action", FORM_OCTETS + 1)).startswith(b"HTTP/1.1 413 ")
    assert ask_raw(port, head % (b"/compose", MESSAGE_FORM_OCTETS + 1)).startswith(b"HTTP/1.1 413 ")


def test_all_content_together_has_its_bound(port: int, alice: Visitor) -> None:
    kind = b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n"
    cookie = f"Cookie: session={alice.cookies['session']}\r\n".encode()
    head = b"POST /compose HTTP/1.1\r\nHost: x\r\n%b%bContent-Length: %d\r\n\r\n" % (cookie, kind, MESSAGE_FORM_OCTETS)
    with ExitStack() as stack:
        for _ in range(BUFFERED_OCTETS // MESSAGE_FORM_OCTETS):
            client = stack.enter_context(socket.create_connection((HOST, port), timeout=PATIENCE_S))
            client.sendall(head)
            assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask_raw(port, head).startswith(b"HTTP/1.1 503 ")
        assert alice.get("/").status == 200
    wait_until(lambda: ask_raw(port, head) == b"HTTP/1.1 100 Continue\r\n\r\n")


def test_content_in_chunks_and_with_expect(port: int, alice: Visitor) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    form = alice.get("/").form("/new-folder")
    body = f"form_token={form['form_token']}&title=Chunks".encode()
    fields = {"Cookie": f"session={alice.cookies['session']}", "Content-Type": "application/x-www-form-urlencoded"}
    pieces = iter([body[:5], body[5:]])
    connection.request("POST", "/new-folder", pieces, {**fields, "Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert connection.getresponse().status == 303
    connection.close()
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    head = b"POST /new-folder HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%bContent-Length: %d\r\n\r\n"
    assert ask_raw(port, head % (lines, len(body))) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert "Chunks" in alice.get("/").html


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_logs_in_and_sends_a_file(server: Server, port: int, tmp_path: Path) -> None:
    url, jar = f"http://{HOST}:{port}", str(tmp_path / "jar")

    def curl(*words: str) -> str:
        command = ["curl", "-sS", "--max-time", "20", "-b", jar, "-c", jar, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def token(page: str) -> str:
        return "form_token=" + page.partition('name="form_token" value="')[2].partition('"')[0]

    log_in = ["--data-urlencode", "user=alice@example.com", "--data-urlencode", "password=secret"]
    inbox = curl("-L", "-d", token(curl(f"{url}/login")), *log_in, f"{url}/login")
    assert "alice@example.com" in inbox
    (tmp_path / 'odd "name" ü.bin').write_bytes(PICTURE)
    before = len(server.messages("bob"))
    fields = ["-F", token(inbox), "-F", "to=bob@example.com", "-F", "subject=curl", "-F", "text=by curl"]
    file = str(tmp_path / 'odd "name" ü.bin').replace('"', '\\"')
    status = curl(*fields, "-F", f'file=@"{file}"', "-o", "/dev/null", "-w", "%{http_code}", f"{url}/compose")
    assert status == "303"
    message = next(one for one in server.wait_for("bob", before + 1) if one["Subject"] == "curl")
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    (attached,) = parsed.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("odd _name_ ü.bin", PICTURE)


def test_aiohttp_with_many_visitors_at_once(server: Server, port: int) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    maildir_of(server, "alice").deliver(LETTER % b"for alice alone")

    async def request(user: str, password: str) -> str:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(f"http://{HOST}:{port}", cookie_jar=jar) as session:
            async with session.get("/login") as page:
                token = (await page.text()).partition('name="form_token" value="')[2].partition('"')[0]
            form = {"form_token": token, "user": user, "password": password}
            async with session.post("/login", data=form) as page:
                return str(await page.text())

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(request(*who) for who in [("alice", "secret"), ("bob", "hunter2")] * 10))

    pages = asyncio.run(all_of_them())
    assert ["for alice alone" in page for page in pages] == [True, False] * 10
    assert ["bob@example.com" in page.partition("</header>")[0] for page in pages] == [False, True] * 10


def test_over_tls_it_speaks_http_1_and_its_cookies_are_secure(server: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with webmail_process(server, "--tls") as port:
        connection = http.client.HTTPSConnection(HOST, port, timeout=PATIENCE_S, context=context)
        connection.request("GET", "/login")
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["Set-Cookie"].endswith("; Secure")
        assert connection.sock.selected_alpn_protocol() == "http/1.1"
        connection.close()


def test_the_log_says_who_came_and_no_password(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with webmail_process(server, "--log", str(log)) as port:
        visitor = Visitor(port)
        visitor.log_in("alice", "a wrong password")
        visitor.log_in("alice", "secret")
        form = visitor.get("/compose").form("/compose")
        visitor.post_files("/compose", {**form, "to": "bob@example.com", "subject": "log", "text": "x"})
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["accepted"] for one in events if one["event"] == "login"] == [False, True]
    (submitted,) = [one for one in events if one["event"] == "submitted"]
    assert submitted["replies"][0].startswith("250 ")
    assert "secret" not in log.read_text()
    assert "wrong" not in log.read_text()
    assert visitor.cookies["session"] not in log.read_text()


def test_a_mail_server_that_is_down_is_said_and_the_message_stays(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        elsewhere = f"{HOST}:{taken.getsockname()[1]}"
        with webmail_process(server, "--submission", elsewhere) as port:
            visitor = Visitor(port)
            visitor.log_in("alice", "secret")
            form = visitor.get("/compose").form("/compose")
            answer = visitor.post_files("/compose", {**form, "to": "bob@example.com", "text": "A long letter"})
            page = visitor.get(answer.fields["Location"])
    assert "Cannot connect to" in page.html
    assert dict(page.page.forms[-1].fields)["text"].strip() == "A long letter"


@pytest.mark.parametrize(
    ("flags", "is_sent"),
    [(("--submission-tls", "--insecure"), True), ((), False), (("--submission-tls",), False)],
    ids=str,
)
def test_a_password_goes_out_inside_tls_where_the_mail_server_has_it(
    secured: Server, flags: tuple[str, ...], is_sent: bool
) -> None:
    """With --submission-tls and an unverified certificate, no password is sent."""
    before = len(secured.messages("bob"))
    with webmail_process(secured, *flags) as port:
        visitor = Visitor(port)
        visitor.log_in("alice", "secret")
        form = visitor.get("/compose").form("/compose")
        answer = visitor.post_files("/compose", {**form, "to": "bob@example.com", "text": "x"})
        assert answer.fields["Location"].startswith("/folder?" if is_sent else "/compose?id=")
    if is_sent:
        assert "with ESMTPSA id" in secured.wait_for("bob", before + 1)[-1]["Received"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--accounts", "/nowhere"], "cannot read the accounts"),
        (["--tls", "one"], "--tls takes"),
        (["--submission-tls", "--authorities", "/nowhere"], "--authorities"),
    ],
)
def test_a_mistake_is_one_sentence(
    server: Server, flags: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["--maildirs", str(server.maildirs), "--accounts", str(server.folder / "accounts"), "--submission", "x"]
    assert main([*command, "--listen", HOST, "--port", "0", *flags]) == 2
    error = capfd.readouterr().err
    assert error.startswith("webmail: ")
    assert said in error
    assert error.count("\n") == 1
