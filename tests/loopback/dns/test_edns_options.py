"""EDNS options as dig and kdig read them: cookies, server identifier, TCP keepalive, padding."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.dns.authority import HOST, dig, run, served

SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
NAME = "www.example.com"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("zones")
    (folder / "secret").write_text(SECRET + "\n")
    flags = ("--nsid", "ns1", "--cookie-secret-file", str(folder / "secret"))
    with served(folder, *flags, "--processes", "2") as port:
        yield port


@pytest.fixture(scope="module")
def strict_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("zones"), "--require-cookie", "--processes", "2") as port:
        yield port


def test_dig_finds_the_server_cookie_good(port: int) -> None:
    output = dig(port, NAME)
    assert re.search(r"; COOKIE: [0-9a-f]{16}01000000[0-9a-f]{24} \(good\)", output)


def test_servers_with_one_secret_take_each_others_cookies(port: int) -> None:
    """A cookie that one process made is returned unchanged by each of them: it is valid and fresh there."""
    first = dig(port, "+cookie=2464c4abcf10c957", NAME)
    cookie = re.search(r"COOKIE: ([0-9a-f]{48})", first)
    assert cookie is not None
    for _ in range(8):
        assert f"COOKIE: {cookie[1]} (good)" in dig(port, f"+cookie={cookie[1]}", NAME)


def test_dig_gets_the_server_identifier(port: int) -> None:
    assert 'NSID: 6e 73 31 ("ns1")' in dig(port, "+nsid", NAME)
    assert "NSID" not in dig(port, NAME)


def test_dig_gets_the_idle_timeout_over_tcp(port: int) -> None:
    assert "TCP-KEEPALIVE: 30.0 secs" in dig(port, "+tcp", "+keepalive", NAME).replace("TCP KEEPALIVE", "TCP-KEEPALIVE")


def test_dig_repeats_its_query_with_the_cookie_that_a_strict_server_gave(strict_port: int) -> None:
    output = dig(strict_port, NAME)
    assert "status: NOERROR" in output
    assert "192.0.2" in output
    assert "BADCOOKIE, retrying" in output
    assert "status: BADCOOKIE" in dig(strict_port, "+nobadcookie", NAME)


def test_dig_without_cookies_repeats_its_query_to_a_strict_server_over_tcp(strict_port: int) -> None:
    output = dig(strict_port, "+nocookie", NAME)
    assert "retrying in TCP mode" in output
    assert "status: NOERROR" in output


@pytest.mark.skipif(shutil.which("kdig") is None, reason="kdig is not installed: make peers")
def test_kdig_gets_a_padded_response_over_tls(tmp_path: Path) -> None:
    from tests.loopback.dns.internet import internet, ready_port, start, stop
    from tests.loopback.dns.test_resolver_encrypted import free_port

    with internet(tmp_path) as net:
        dot = free_port()
        process = start(
            "lab7.services.dns.resolver", *net.flags, "--listen", HOST, "--port", "0", "--dot-port", str(dot)
        )
        try:
            ready_port(process)
            output = run("kdig", f"@{HOST}", "-p", str(dot), "+tls", "+padding", NAME)
        finally:
            stop(process)
    assert "status: NOERROR" in output
    assert re.search(r"PADDING: \d+ B", output)
    assert "Received 468 B" in output
