"""Faults of the HTTP origin and proxy: each violates its message rule and no other; without a fault there is none."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from lab7.services.http.faults import PROXY_FAULTS, SERVER_FAULTS
from tests.loopback.faults.support import HOST, PATIENCE_S, fault_flags, service, violated
from tests.loopback.recorder import Ends, Recorder

RULES = {
    "body-in-304": "http-no-content",
    "wrong-content-length": "http-content-length",
    "silent-close": "http-persistence",
    "decimal-chunks": "http-chunk-size",
    "lf-in-head": "http-line-end",
}


def test_every_fault_has_a_rule() -> None:
    assert RULES.keys() == SERVER_FAULTS.keys()
    assert PROXY_FAULTS.keys() == {"wrong-condition"}


def load(port: int, *requests: bytes) -> bytes:
    """Send requests at once on one connection, the last with Connection: close, and read to the end."""
    host = b"\r\nHost: www.example.com\r\n"
    with socket.create_connection((HOST, port), PATIENCE_S) as peer:
        closing = b"Connection: close\r\n"
        for place, request in enumerate(requests):
            peer.sendall(request + host + (closing if place == len(requests) - 1 else b"") + b"\r\n")
        octets = b""
        while piece := peer.recv(65_536):
            octets += piece
        return octets


@pytest.mark.parametrize("fault", [None, *RULES])
def test_a_fault_of_the_origin(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>Hello, world.</p>\n" * 20)
    (tmp_path / "www" / "large.bin").write_bytes(bytes(range(256)) * 2000)
    with service("http.origin", "--root", str(tmp_path / "www"), *fault_flags(fault)) as port, Recorder() as recorder:
        tag = re.search(rb'ETag: ("[^"]*")', load(port, b"GET / HTTP/1.1"))
        assert tag is not None
        condition = b"GET / HTTP/1.1\r\nIf-None-Match: " + tag[1]
        relay = recorder.tcp((HOST, port), Ends(80))
        load(relay, b"GET / HTTP/1.1", condition, b"GET /large.bin HTTP/1.1")
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({RULES[fault]} if fault else set())


@pytest.mark.parametrize("fault", [None, "wrong-condition"])
def test_a_condition_with_the_wrong_date(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>Hello, world.</p>\n")
    # A Last-Modified of this very second would be the current date.
    os.utime(tmp_path / "www" / "index.html", (1_700_000_000, 1_700_000_000))
    flags = ("--root", str(tmp_path / "www"), "--cache-control", "*=no-cache")
    with service("http.origin", *flags) as port, Recorder() as recorder:
        relay = recorder.tcp((HOST, port), Ends(80))
        with service("http.proxy", "--origin", f"http://{HOST}:{relay}", *fault_flags(fault)) as proxy:
            answers = load(proxy, b"GET / HTTP/1.1"), load(proxy, b"GET / HTTP/1.1")
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({"http-validator"} if fault else set())
