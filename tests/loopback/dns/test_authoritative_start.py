"""Authoritative server start: invalid zones, many zones, and named-checkzone on our master files."""

import subprocess
import sys
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from lab7.services.dns.codec.master_file import parse_master_file, write_master_file
from lab7.services.dns.zones.zone import Zone
from tests.loopback.dns.authority import HOST, PATIENCE_S, ZONE, run, served


def start(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "lab7.services.dns.authoritative", "--port", "0", "--listen", HOST, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$ORIGIN a.\n@ 60 SOA a b 1 2 3 4\n", "broken.zone:2: minimum is missing"),
        (
            "$ORIGIN a.\n@ 60 SOA a b 1 2 3 4 5\n@ 60 NS b\nc 60 CNAME d\nc 60 A 192.0.2.1\n",
            "broken.zone:5: c.a. has a CNAME",
        ),
        ("", "broken.zone: no SOA record"),
    ],
)
def test_a_broken_zone_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "broken.zone").write_text(text)
    code, output = start("--zone", str(tmp_path / "broken.zone"))
    assert code == 2
    assert reason in output
    assert output.count("\n") == 1


def test_a_broken_zone_is_servfail_and_the_others_are_served(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("@ 60 SOA ns\n")
    command = [sys.executable, "-m", "lab7.services.dns.authoritative", "--port", "0", "--listen", HOST]
    command += ["--zone", f"example.com={tmp_path / 'good'}", "--zone", f"example.net={tmp_path / 'broken'}"]
    (tmp_path / "good").write_text(ZONE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        found = [
            dns.query.udp(dns.message.make_query(name, "A"), HOST, port=port, timeout=PATIENCE_S).rcode()
            for name in ("www.example.com", "www.example.net", "www.example.org")
        ]
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == f"dns: {tmp_path / 'broken'}:1: rname is missing\n"
    assert found == [dns.rcode.NOERROR, dns.rcode.SERVFAIL, dns.rcode.REFUSED]


def test_no_zone_is_one_sentence() -> None:
    assert start() == (2, "dns: no zone: use --zone FILE\n")


def test_a_list_of_many_zones(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("@ 60 SOA ns host 1 2 3 4 5\n  60 NS ns\nns 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n")
    (tmp_path / "list").write_text("".join(f"z{number}.test\tsmall\n" for number in range(2000)))
    with served(tmp_path, "--zones", str(tmp_path / "list")) as port:
        query = dns.message.make_query("www.z1999.test", "A")
        response = dns.query.udp(query, HOST, port=port, timeout=PATIENCE_S)
        assert response.answer[0].to_text() == "www.z1999.test. 60 IN A 192.0.2.2"


def test_named_checkzone_accepts_written_files(tmp_path: Path) -> None:
    zone = Zone.from_entries(
        parse_master_file(ZONE + 'q\\.r TXT "a;b" "\\"" "\\255"\n\\@ A 192.0.2.9\nx\\032y A 192.0.2.9\n')
    )
    (tmp_path / "written").write_text(write_master_file(zone.origin, zone.rrsets()))
    output = run("named-checkzone", "-k", "ignore", "example.com", str(tmp_path / "written"))
    assert output.rstrip().endswith("OK"), output
