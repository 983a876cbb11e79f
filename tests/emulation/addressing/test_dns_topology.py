"""The topology dns with IPv6: AAAA records, their reverse mapping, and name servers that answer by both families."""

from __future__ import annotations

from lab7.topologies.dns import DnsTopo
from lab7.topologies.emulation.testbed import Testbed


def test_with_ipv6_names_have_addresses_of_both_families_and_servers_answer_by_both() -> None:
    with Testbed(DnsTopo(scale=0.1, ipv6="yes"), links="wire") as bed:
        asked = {
            words: str(bed.host("client").run(["dig", "+short", *words.split()]).stdout.decode()).split()
            for words in (
                "www.example.com AAAA",
                "server1.example.com A",
                "-x 2001:db8:a35::402",
                "www.shop.org AAAA @2001:db8:a35::935",
                "com NS @2001:db8:a35::101",
            )
        }
        page = bed.host("client").run(["curl", "-s", "-6", "--noproxy", "*", "http://www.example.com/"])
    assert list(asked.values()) == [
        ["server1.example.com.", "2001:db8:a35::401"],
        ["10.53.4.1"],
        ["server2.example.com."],
        ["2001:db8:a35::402"],
        ["ns.com."],
    ]
    assert b"This is web1" in page.stdout
