"""Stub resolver with a real server: output and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab7.services.dns.resolv_conf import servers_of
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Resolver, free_net, internet, resolver


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resolver]:
    folder = tmp_path_factory.mktemp("stub")
    with internet(folder) as net, resolver(folder, *net.flags) as local_resolver:
        yield local_resolver


def stub(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab7.services.dns.stub", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def at(local: Resolver, *words: str) -> str:
    done = stub(f"@{CLIENT_HOST}", "--port", str(local.port), *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_output_equals_that_of_dig(local: Resolver) -> None:
    lines = at(local, "alias.example.com").splitlines()
    assert lines[0].startswith(";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: ")
    assert lines[1] == ";; flags: qr rd ra; QUERY: 1, ANSWER: 4, AUTHORITY: 0, ADDITIONAL: 1"
    assert "; EDNS: version: 0, flags:; udp: 1232" in lines
    assert ";alias.example.com.\t\tIN\tA" in lines
    assert any(line.startswith("alias.example.com.\t") and line.endswith("CNAME\twww.example.com.") for line in lines)
    assert lines[-2] == f";; SERVER: {CLIENT_HOST}#{local.port} (UDP)"
    assert lines[-1].startswith(";; MSG SIZE  rcvd: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("www.example.com", "--short"), {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        (("--short", "example.com", "MX"), {"10 mail.example.com."}),
        (("-x", "192.0.2.1", "--short"), {"www.example.com."}),
        (("www.example.com", "--tcp", "--short", "a"), {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        (("nope.example.com", "--short"), set()),
    ],
)
def test_short(local: Resolver, words: tuple[str, ...], expected: set[str]) -> None:
    assert set(at(local, *words).splitlines()) == expected


def test_json(local: Resolver) -> None:
    said = json.loads(at(local, "example.com", "MX", "--json", "--bufsize", "0"))
    assert (said["rcode"], said["flags"], said["edns"], said["over"]) == ("NOERROR", ["qr", "rd", "ra"], None, "udp")
    assert [(one["type"], one["data"]) for one in said["answer"]] == [("MX", "10 mail.example.com.")]
    assert said["size"] > 12


def test_truncated_responses_are_retried_over_tcp(local: Resolver) -> None:
    assert json.loads(at(local, "big.example.com", "TXT", "--json"))["over"] == "tcp"


def test_norecurse(local: Resolver) -> None:
    assert json.loads(at(local, "www.example.com", "--json", "--norecurse"))["flags"] == ["qr", "ra"]


def test_no_reply_is_9() -> None:
    net, port = free_net()
    done = stub(f"@{net}.1", "--port", str(port), "www.example.com", "--tries", "1")
    assert (done.returncode, done.stdout) == (9, "")
    assert "no servers could be reached" in done.stderr


@pytest.mark.parametrize("words", [("a..b",), ("a", "NOTYPE"), ("a", "A", "b"), ("-x", "www"), ("a", "--port", "0")])
def test_a_wrong_command_line_is_1(words: tuple[str, ...]) -> None:
    done = stub("@127.0.0.1", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "stub: " in done.stderr


def test_resolv_conf() -> None:
    text = "# a\nnameserver 192.0.2.1 # b\n  nameserver ::1\nnameserver\nnameserver x\nsearch a b\n"
    assert servers_of(text) == ["192.0.2.1", "::1"]
    assert servers_of("nameserver 192.0.2.1\n" * 9) == ["192.0.2.1"] * 3
