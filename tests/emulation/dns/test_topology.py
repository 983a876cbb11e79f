"""The topology dns as people use it: dig, drill, host, getent, curl in its hosts; its zones before other checkers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.dns import SERVED, SERVERS, DnsTopo, make_names, zone_file
from lab7.topologies.emulation.testbed import Testbed


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(DnsTopo(scale=0.1, clients=1)) as running:
        yield running


def said(bed: Testbed, *words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = bed.host("client").run(words)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("dig", "+short", "www.example.com"), "server1.example.com.\n10.53.4.1\n"),
        (("dig", "+short", "-x", "10.53.4.2"), "server2.example.com.\n"),
        (("dig", "+short", "example.com", "MX"), "10 server2.example.com.\n20 server3.example.com.\n"),
        (("dig", "+short", "+tcp", "www.bookshop.uk"), "10.53.4.3\n"),
        (("drill", "-Q", "www.shop.org"), "10.53.4.2\n"),
    ],
)
def test_the_local_server_answers_what_the_plan_says(bed: Testbed, words: tuple[str, ...], answer: str) -> None:
    assert sorted(said(bed, *words).splitlines()) == sorted(answer.splitlines())


def test_host_knows_alias_and_mail_servers(bed: Testbed) -> None:
    text = said(bed, "host", "www.example.com")
    assert "www.example.com is an alias for server1.example.com." in text
    assert "server1.example.com has address 10.53.4.1" in text


def test_the_c_library_resolves_through_the_local_server(bed: Testbed) -> None:
    assert said(bed, "getent", "hosts", "www.shop.org").split() == ["10.53.4.2", "www.shop.org"]


def test_a_page_is_fetched_by_a_name_of_the_hierarchy(bed: Testbed) -> None:
    assert "This is web1." in said(bed, "curl", "-s", "http://www.example.com/")


def test_dig_walks_the_hierarchy_itself(bed: Testbed) -> None:
    root = SERVERS["root"][0]
    lines = said(bed, "dig", "+trace", "+nodnssec", f"@{root}", "www.example.com").splitlines()
    came_from = [line.split("(")[0].split()[-1].split("#")[0] for line in lines if line.startswith(";; Received")]
    assert came_from == [root, root, SERVERS["com"][0], SERVERS["example"][0]]
    assert any(line.split()[-2:] == ["A", "10.53.4.1"] for line in lines if line and not line.startswith(";"))


def test_a_name_that_does_not_exist_is_said_so(bed: Testbed) -> None:
    assert "status: NXDOMAIN" in said(bed, "dig", "nobody.example.com")


def test_dnsperf_loses_no_query(bed: Testbed, tmp_path: Path) -> None:
    if shutil.which("dnsperf") is None:
        pytest.skip("dnsperf is not installed")
    queries = tmp_path / "queries"
    queries.write_text("www.example.com A\nserver2.example.com A\nexample.com MX\n")
    for server in ("10.53.9.53", SERVERS["example"][0]):
        words = ["dnsperf", "-s", server, "-d", str(queries), "-n", "700", "-Q", "1000", "-c", "4"]
        text = said(bed, *words)
        assert "Queries lost:         0" in text, text
        assert "Queries completed:    2100 " in text, text


@pytest.mark.parametrize("origin", [origin for zones in SERVED.values() for origin in zones])
@pytest.mark.parametrize("checker", ["named-checkzone", "nsd-checkzone"])
def test_the_zones_pass_other_servers_checks(checker: str, origin: str, tmp_path: Path) -> None:
    if shutil.which(checker) is None:
        pytest.skip(f"{checker} is not installed")
    file = tmp_path / zone_file(origin)
    file.write_text(make_names(changing=[0, 4]).master_file(origin))
    done = subprocess.run([checker, origin, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
