"""DNS over TLS and over HTTPS at the resolver: dig, curl, and raw octets."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.message import Message, Question
from lab7.services.dns.codec.name import Name
from tests.loopback.dns.authority import framed, read_message, run
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Internet, internet, ready_port, start, stop

QUERY = Message(id=7, rd=True, questions=(Question(Name.from_text("www.example.com."), RRType.A),)).to_wire()


@dataclass
class Ports:
    """The ports of a resolver: DNS over TLS and over HTTPS, and its certificate."""

    dot: int
    doh: int
    certificate: Path


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
        free.bind((CLIENT_HOST, 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with internet(tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture(scope="module")
def ports(net: Internet) -> Iterator[Ports]:
    certificate, key = net.folder / "certificate.pem", net.folder / "key.pem"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = f"subjectAltName=DNS:resolver.test,IP:{CLIENT_HOST}"
    run(
        "openssl",
        *command,
        "-subj",
        "/CN=resolver.test",
        "-addext",
        names,
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    )
    dot, doh = free_port(), free_port()
    flags = ["--listen", CLIENT_HOST, "--port", "0", "--dot-port", str(dot), "--doh-port", str(doh)]
    process = start("lab7.services.dns.resolver", *net.flags, *flags, "--tls", str(certificate), str(key))
    try:
        ready_port(process)
        yield Ports(dot, doh, certificate)
    finally:
        stop(process)


def tls(port: int, ports: Ports, *protocols: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=os.fspath(ports.certificate))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    raw = socket.create_connection((CLIENT_HOST, port), PATIENCE_S)
    return context.wrap_socket(raw, server_hostname="resolver.test")


def test_dns_over_tls_answers_pipelined_queries_with_its_protocol(ports: Ports) -> None:
    with tls(ports.dot, ports, "dot") as peer:
        assert peer.selected_alpn_protocol() == "dot"
        peer.sendall(framed(QUERY, b"\0\x08" + QUERY[2:]))
        found = {message.id: message for message in (Message.from_wire(read_message(peer)) for _ in range(2))}
    assert set(found) == {7, 8}
    assert {str(record.rdata.to_text()) for record in found[7].answers} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}


def test_a_client_without_tls_gets_nothing_and_others_are_served(ports: Ports) -> None:
    with socket.create_connection((CLIENT_HOST, ports.dot), PATIENCE_S) as plain:
        plain.sendall(framed(QUERY))
        try:
            received = plain.recv(100)
        except ConnectionResetError:
            received = b""
        # An alert of TLS at most, and no DNS message.
        assert received[:1] in (b"", b"\x15")
    with tls(ports.dot, ports) as peer:
        peer.sendall(framed(QUERY))
        assert Message.from_wire(read_message(peer)).answers


def test_dig_asks_over_tls_and_https(ports: Ports) -> None:
    for port, flag in ((ports.dot, "+tls"), (ports.doh, "+https"), (ports.doh, "+https-get")):
        output = run("dig", f"@{CLIENT_HOST}", "-p", str(port), flag, "+tries=1", "+short", "www.example.com")
        assert set(output.split()) == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}, output


def curl(ports: Ports, *words: str) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--max-time", "15", "--cacert", str(ports.certificate), *words]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)


def test_curl_resolves_by_https(ports: Ports) -> None:
    """The name resolves to an address without a server, so that the connection fails and the lookup does not."""
    url = f"https://{CLIENT_HOST}:{ports.doh}/dns-query"
    done = curl(ports, "-v", "--doh-url", url, "--connect-timeout", "2", "http://mail.example.com:9/")
    assert b"192.0.2.8" in done.stderr, done.stderr


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_post_of_a_message_gets_a_message_that_may_be_stored_for_its_ttl(ports: Ports, version: str) -> None:
    url = f"https://{CLIENT_HOST}:{ports.doh}/dns-query"
    (ports.certificate.parent / "query").write_bytes(QUERY)
    body = f"@{ports.certificate.parent / 'query'}"
    words = [version, "-i", "-H", "content-type: application/dns-message", "--data-binary", body, url]
    head, _, content = curl(ports, *words).stdout.partition(b"\r\n\r\n")
    lines = head.decode().lower().splitlines()
    assert lines[0].split()[1] == "200"
    assert "content-type: application/dns-message" in lines
    message = Message.from_wire(content)
    assert message.id == 7
    assert f"cache-control: max-age={message.answers[0].ttl}" in lines


def test_other_requests_get_an_error_of_http(ports: Ports) -> None:
    url = f"https://{CLIENT_HOST}:{ports.doh}"
    for words, status in (
        ([f"{url}/"], b"404"),
        ([f"{url}/dns-query?dns=*"], b"400"),
        (["-X", "PUT", f"{url}/dns-query"], b"405"),
        (["-d", "x", f"{url}/dns-query"], b"415"),
        (["--http1.1", "-H", "content-type: application/dns-message", "-d", "x" * 70_000, f"{url}/dns-query"], b"413"),
        (["-H", "content-type: application/dns-message", "-d", "x", f"{url}/dns-query"], b"400"),
    ):
        found = curl(ports, "-o", "/dev/null", "-w", "%{http_code}", *words)
        assert found.stdout == status, (words, found.stderr)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--tls", "a.pem", "b.pem"], "--tls needs --dot-port or --doh-port"),
        (["--dot-port", "0", "--tls", "a.pem", "b.pem"], "cannot load a.pem and b.pem"),
    ],
)
def test_a_wrong_flag_is_one_sentence(flags: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "lab7.services.dns.resolver", "--root", "a.test=127.0.0.1", "--port", "0"]
    done = subprocess.run(
        [*command, "--listen", CLIENT_HOST, *flags], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr
