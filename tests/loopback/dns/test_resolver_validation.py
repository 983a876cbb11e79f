"""Validating resolver with real servers, and clients of others: delv, drill and dig; beside Unbound."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback.dns.authority import run
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Internet, Resolver, resolver
from tests.loopback.dns.signed_internet import root_anchor, signed_internet

KINDS = {"nsec": [], "nsec3": ["--nsec3"], "optout": ["--nsec3", "--opt-out"]}


@pytest.fixture(scope="module", params=KINDS)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with signed_internet(tmp_path_factory.mktemp("internet"), *KINDS[request.param]) as made:
        yield made


@pytest.fixture(scope="module")
def local(net: Internet) -> Iterator[Resolver]:
    with resolver(net.folder, *net.flags, "--trust-anchor", root_anchor()) as made:
        yield made


def dig(port: int, *words: str) -> str:
    return run("dig", f"@{CLIENT_HOST}", "-p", str(port), "+tries=1", "+time=10", *words)


def header(output: str) -> tuple[str, set[str]]:
    """Return the status and the flags in the output of dig."""
    status = output.partition("status: ")[2].partition(",")[0]
    return status, set(output.partition(";; flags: ")[2].partition(";")[0].split())


QUESTIONS = {
    "www.example.com A": ("NOERROR", True),
    "alias.example.com A": ("NOERROR", True),
    "big.example.com TXT": ("NOERROR", True),
    "www.example.com MX": ("NOERROR", True),
    "down.below.example.com A": ("NOERROR", True),
    "example.com DNSKEY": ("NOERROR", True),
    "example.com DS": ("NOERROR", True),
    ". DNSKEY": ("NOERROR", True),
    "host.net A": ("NOERROR", False),
    "away.example.com A": ("NOERROR", False),
    "none.net A": ("NXDOMAIN", False),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_secure_answers_have_ad_and_insecure_ones_have_not(local: Resolver, question: str) -> None:
    status, secure = QUESTIONS[question]
    output = dig(local.port, "+dnssec", *question.split())
    assert header(output)[0] == status, output
    assert ("ad" in header(output)[1]) == secure, output
    assert ("RRSIG" in output) == secure or "away" in question


def test_ad_is_for_clients_that_know_it(local: Resolver) -> None:
    assert "ad" in header(dig(local.port, "+adflag", "www.example.com"))[1]
    assert "ad" not in header(dig(local.port, "+noadflag", "www.example.com"))[1]
    assert "RRSIG" not in dig(local.port, "+adflag", "www.example.com")


@pytest.mark.parametrize("question", ["www.example.com A", "none.example.com A", "www.example.com MX", "host.net A"])
def test_delv_validates_what_the_resolver_returns(local: Resolver, net: Internet, question: str) -> None:
    name, _, _, key_tag, algorithm, *digest = root_anchor().split()
    anchor = f'trust-anchors {{ {name} static-ds {key_tag} {algorithm} {digest[0]} "{digest[1]}"; }};\n'
    (net.folder / "bind.keys").write_text(anchor)
    output = run(
        "delv", "-p", str(local.port), f"@{CLIENT_HOST}", "-a", str(net.folder / "bind.keys"), *question.split()
    )
    if question.startswith("host.net"):
        assert "unsigned answer" in output
    else:
        assert "fully validated" in output


def test_drill_chases_the_signatures_to_the_root(local: Resolver, net: Internet) -> None:
    (net.folder / "drill.anchor").write_text(root_anchor().replace(" IN ", " 3600 IN ") + "\n")
    output = run(
        "drill",
        "-S",
        "-p",
        str(local.port),
        "-k",
        str(net.folder / "drill.anchor"),
        f"@{CLIENT_HOST}",
        "www.example.com",
    )
    assert "Existence and validity trusted" in output or "www.example.com. (A)" in output, output


def test_a_zone_with_other_keys_is_refused_with_a_reason(tmp_path: Path) -> None:
    with (
        signed_internet(tmp_path, forged=(3, 4)) as net,
        resolver(net.folder, *net.flags, "--trust-anchor", root_anchor()) as local,
    ):
        output = dig(local.port, "+dnssec", "www.example.com")
        assert header(output)[0] == "SERVFAIL"
        assert "EDE: 9 (DNSKEY Missing)" in output
        # A client that wants bogus data gets it, and a resolver that does not validate takes no notice.
        assert header(dig(local.port, "+cd", "www.example.com"))[0] == "NOERROR"
        assert header(dig(local.port, "+dnssec", "com", "SOA")) == ("NOERROR", {"qr", "rd", "ra", "ad"})
        with resolver(net.folder, *net.flags) as plain:
            assert header(dig(plain.port, "www.example.com"))[0] == "NOERROR"


def test_a_resolver_without_trust_anchors_passes_signatures_on(net: Internet) -> None:
    with (
        resolver(net.folder, *net.flags) as plain,
        resolver(
            net.folder, "--forward", CLIENT_HOST, "--upstream-port", str(plain.port), "--trust-anchor", root_anchor()
        ) as behind,
    ):
        for question, (status, secure) in QUESTIONS.items():
            output = dig(plain.port, "+dnssec", *question.split())
            assert header(output) == (status, {"qr", "rd", "ra"}), output
            assert ("RRSIG" in output) == secure or "away" in question, output
            assert "RRSIG" not in dig(plain.port, *question.split())
            output = dig(behind.port, "+dnssec", *question.split())
            assert header(output)[0] == status, output
            assert ("ad" in header(output)[1]) == secure, output


@contextmanager
def unbound(net: Internet) -> Iterator[int]:
    """Run Unbound for the same Internet, validating, and yield its port."""
    if shutil.which("unbound") is None:
        pytest.skip("unbound is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((CLIENT_HOST, 0))
        port: int = free.getsockname()[1]
    (net.folder / "unbound.conf").write_text(f"""server:
  interface: {CLIENT_HOST}@{port}
  port: {port}
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{net.folder}"
  do-daemonize: no
  use-syslog: no
  do-not-query-localhost: no
  do-ip6: no
  trust-anchor: "{root_anchor()}"
  module-config: "validator iterator"
stub-zone:
  name: "."
  stub-addr: {net.net}.1@{net.port}
stub-zone:
  name: "com."
  stub-addr: {net.net}.2@{net.port}
stub-zone:
  name: "net."
  stub-addr: {net.net}.2@{net.port}
stub-zone:
  name: "example.com."
  stub-addr: {net.net}.3@{net.port}
""")
    command = ["unbound", "-d", "-c", str(net.folder / "unbound.conf")]
    with (net.folder / "unbound.log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            for _ in range(int(PATIENCE_S)):
                if "NOERROR" in dig(port, "+time=1", ".", "SOA"):
                    break
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@pytest.mark.slow
def test_unbound_decides_the_same(local: Resolver, net: Internet) -> None:
    with unbound(net) as other:
        for question in (*QUESTIONS, "none.example.com A", "deep.down.below.example.com A", "x.www.example.com A"):
            own, theirs = (header(dig(port, "+dnssec", *question.split())) for port in (local.port, other))
            assert own == theirs, question
