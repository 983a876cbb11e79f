"""Further records of the DNS topology: each in the zone of its owner, and invalid lines as one sentence."""

from __future__ import annotations

import pytest

from lab7.topologies.dns import make_names, parse_records

LINES = """
mail.example.com. 60 MX 10 a.example.com.
shop.org. 90 TXT "one; two" three
9.9.53.10.in-addr.arpa. 5 PTR mail.example.com.
"""


def test_each_record_is_in_the_zone_of_its_owner() -> None:
    plain, plan = make_names(), make_names(further=parse_records(LINES))
    added = {origin: set(plan.records(origin)) - set(plain.records(origin)) for origin in plan.zones}
    found = {origin: {(one.owner, one.ttl, one.type, one.value) for one in some} for origin, some in added.items()}
    assert {origin: some for origin, some in found.items() if some} == {
        "example.com.": {("mail.example.com.", 60, "MX", "10 a.example.com.")},
        "shop.org.": {("shop.org.", 90, "TXT", '"one; two" three')},
        "53.10.in-addr.arpa.": {("9.9.53.10.in-addr.arpa.", 5, "PTR", "mail.example.com.")},
    }


@pytest.mark.parametrize("line", ["a.example.com. A 10.53.0.9", "a.example.com 60 A 10.53.0.9", "a.example.com. 60 A"])
def test_an_invalid_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"must be `name. TTL type value`"):
        parse_records(line)
