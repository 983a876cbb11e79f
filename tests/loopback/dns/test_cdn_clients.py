"""CDN name server queried by dig and dnspython, with and without client subnets; and start-up errors."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.loopback.dns.authority import dig, served
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S
from tests.loopback.dns.replicas import CDN, MAP, ZONE, cdn, well


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CDN]:
    with cdn(tmp_path_factory.mktemp("cdn"), {1: well(), 2: well(), 3: well()}) as server:
        yield server


def numbers(output: str) -> list[str]:
    return sorted(re.findall(r"\sA\s+127[.\d]+\.(\d+)", output))


@pytest.mark.parametrize(
    ("words", "expected", "subnet"),
    [
        (("www.cdn.net",), ["1", "2"], None),
        (("www.cdn.net", "+noedns"), ["1", "2"], None),
        (("www.cdn.net", "+tcp", "+subnet=10.8.200.0/24"), ["3"], "10.8.200.0/24/17"),
        (("www.cdn.net", "+subnet=10.8.200.0/24"), ["3"], "10.8.200.0/24/17"),
        (("www.cdn.net", "+subnet=10.8.1.77/32"), ["1", "2"], "10.8.1.77/32/17"),
        (("www.cdn.net", "+subnet=0.0.0.0/0"), ["1", "2"], "0.0.0.0/0/0"),
        (("www.cdn.net", "+subnet=0"), ["1", "2"], "0.0.0.0/0/0"),
        (("www.cdn.net", "+subnet=2001:db8::/56"), ["1", "2"], "2001:db8::/56/0"),
        (("WWW.cdn.NET", "ANY", "+notcp", "+subnet=10.8.200.0/24"), ["3"], "10.8.200.0/24/17"),
    ],
)
def test_dig_gets_the_replicas_of_a_region(
    server: CDN, words: tuple[str, ...], expected: list[str], subnet: str | None
) -> None:
    output = dig(server.port, "+norecurse", *words)
    assert "status: NOERROR" in output
    assert re.search(r";; flags: qr aa[^;]*;", output)
    assert numbers(output) == expected
    assert re.findall(r"CLIENT-SUBNET: (\S+)", output) == ([] if subnet is None else [subnet])


@pytest.mark.parametrize(
    ("words", "status", "answers"),
    [
        (("www.cdn.net", "TXT"), "NOERROR", 1),
        (("www.cdn.net", "AAAA"), "NOERROR", 0),
        (("no.cdn.net",), "NXDOMAIN", 0),
        (("alias.cdn.net",), "NOERROR", 1),
        (("cdn.net", "SOA"), "NOERROR", 1),
    ],
)
def test_dig_gets_other_names_from_the_zone(server: CDN, words: tuple[str, ...], status: str, answers: int) -> None:
    output = dig(server.port, "+norecurse", "+subnet=10.8.200.0/24", *words)
    assert f"status: {status}" in output
    assert f"ANSWER: {answers}," in output
    assert "CLIENT-SUBNET: 10.8.200.0/24/0" in output


@pytest.mark.parametrize("data", ["", "000118", "0001 18 00 0a0801ff", "0001 17 00 0a0801", "0009 08 00 0a"])
def test_an_option_of_a_wrong_form_is_formerr(server: CDN, data: str) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.ECS, bytes.fromhex(data))
    query = dns.message.make_query("www.cdn.net", "A", use_edns=0, options=[option])
    reply = dns.query.udp(query, CLIENT_HOST, timeout=PATIENCE_S, port=server.port)
    assert (dns.rcode.to_text(reply.rcode()), list(reply.answer), list(reply.options)) == ("FORMERR", [], [])


def test_each_answer_is_one_line_of_the_log(server: CDN) -> None:
    before = len(server.events("tailored"))
    server.ask("10.8.130.0/24")
    server.ask()
    server.ask(name="alias.cdn.net")
    first, second = server.events("tailored")[before:]
    assert (first["subnet"], first["region"], first["scope"], first["served_by"]) == (
        "10.8.130.0/24",
        "asia",
        17,
        ["asia"],
    )
    assert (second["subnet"], second["peer"], second["region"]) == (None, CLIENT_HOST, "europe")


def test_a_server_without_support_does_not_echo_the_option(tmp_path: Path) -> None:
    with served(tmp_path) as port:
        output = dig(port, "www.example.com", "+subnet=10.8.1.0/24", "+norecurse")
        assert "status: NOERROR" in output
        assert "CLIENT-SUBNET" not in output


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        ("region asia 10.8.128.0/17", "region asia 10.8.0.0/16", "regions:5: 10.8.0.0/16 of asia overlaps"),
        ("region asia 10.8.128.0/17", "region asia 10.8.128.0/18", "regions:3: no region contains 10.8.192.0/18"),
        ("ttl 1", "tl 1", "regions:2: unknown statement 'tl'"),
        ("name www.cdn.net", "name www.cdn.org", "regions:1: www.cdn.org. is outside of the zones"),
        ("name www.cdn.net", "name alias.cdn.net", "regions:1: alias.cdn.net. has a record CNAME"),
    ],
)
def test_a_map_that_is_wrong_is_one_sentence(tmp_path: Path, find: str, put: str, reason: str) -> None:
    (tmp_path / "cdn.zone").write_text(ZONE)
    (tmp_path / "regions").write_text(MAP.format(net="127.9.9", otherwise="servfail").replace(find, put))
    flags = ["--zone", str(tmp_path / "cdn.zone"), "--map", str(tmp_path / "regions"), "--port", "0"]
    code, output = started(*flags)
    assert code == 2
    assert reason in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--map", "none"), "no zone: use --zone"),
        (("--map", "m", "--zone", "z", "--interval", "0"), "invalid value '0'"),
        (("--map", "m", "--zone", "z", "--interval", "nan"), "invalid value 'nan'"),
        (("--map", "m", "--zone", "z", "--failures", "0"), "invalid value '0'"),
        (("--map", "m", "--zone", "z", "--check-path", "a b"), "invalid path 'a b'"),
        (("--map", "m", "--zone", "z", "--check-port", "0"), "invalid value '0'"),
        ((), "--map"),
    ],
)
def test_invalid_flags_are_errors(flags: tuple[str, ...], reason: str) -> None:
    code, output = started(*flags)
    assert code == 2
    assert reason in output


def started(*flags: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "lab7.services.dns.cdn", "--listen", CLIENT_HOST, *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr
