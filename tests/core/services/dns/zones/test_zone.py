"""Zone validation: valid zones, and errors with their lines."""

from pathlib import Path

import pytest

from services.dns.codec.codes import RRType
from services.dns.codec.errors import MasterFileError, ZoneError
from services.dns.codec.master_file import parse_master_file, write_master_file
from services.dns.codec.name import Name
from services.dns.zones.loading import load_zones
from services.dns.zones.zone import Zone
from services.errors import ServiceError
from tests.core.services.dns.transcripts import zone

ORIGIN = Name.from_text("example.")
SOA = "@ 60 SOA ns host 1 2 3 4 5\n"
NS = "@ 60 NS ns\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SOA + NS + "a 60 CNAME b\na 60 A 192.0.2.1\n", ":4: a.example. has a CNAME and other data"),
        (SOA + NS + "a 60 A 192.0.2.1\na 60 CNAME b\n", ":4: a.example. has a CNAME and other data"),
        (SOA + NS + "@ 60 CNAME b\n", ":3: example. has a CNAME and other data"),
        (SOA + NS + "a 60 CNAME b\na 60 CNAME c\n", ":4: a.example. has a second CNAME"),
        (SOA + NS + "a 60 DNAME b\na 60 DNAME c\n", ":4: a.example. has a second DNAME"),
        (SOA + NS + "a.other. 60 A 192.0.2.1\n", ":3: a.other. is outside of the zone example."),
        (SOA + NS + "sub 60 SOA ns host 1 2 3 4 5\n", ":3: a second SOA"),
        (NS, "no SOA"),
        (SOA, "no NS record at its apex"),
        ("", "no SOA"),
        ("sub 60 SOA ns host 1 2 3 4 5\n", ":1: the owner of the SOA is sub.example., not the origin"),
    ],
)
def test_invalid_zones_are_rejected(text: str, reason: str) -> None:
    with pytest.raises((MasterFileError, ZoneError)) as caught:
        Zone.from_entries(parse_master_file(text, ORIGIN), ORIGIN)
    assert reason in str(caught.value)


def test_equal_records_are_one_and_a_set_has_its_lowest_ttl() -> None:
    made = zone("a 9 A 192.0.2.1\nA 5 A 192.0.2.1\na 7 A 192.0.2.2\n")
    found = made.nodes[Name.from_text("a.example.").folded][RRType.A]
    assert (found.ttl, len(found.rdatas)) == (5, 2)


def test_a_negative_answers_soa_lives_as_long_as_the_lesser_of_ttl_and_minimum() -> None:
    assert zone("").negative_soa.ttl == 30
    short = Zone.from_entries(parse_master_file("@ 3 SOA a b 1 2 3 4 5\n@ 60 NS ns\n", ORIGIN))
    assert short.negative_soa.ttl == 3


def test_a_zone_is_the_same_after_it_was_written_and_read() -> None:
    made = zone('*.a.b MX 1 c\nc TXT "x;y" "z"\nd TYPE65280 \\# 2 0001\n')
    again = Zone.from_entries(parse_master_file(write_master_file(made.origin, made.rrsets())))
    assert list(again.rrsets()) == list(made.rrsets())
    assert again.nodes.keys() == made.nodes.keys()


def test_zones_are_named_by_file_by_origin_and_by_list(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("$ORIGIN one.\n" + SOA + NS)
    (tmp_path / "two").write_text(SOA + NS)
    (tmp_path / "list").write_text("# zones\nthree.\ttwo\nfour\ttwo\n")
    zones = load_zones([str(tmp_path / "one"), f"two={tmp_path / 'two'}"], [str(tmp_path / "list")])
    assert [str(one.origin) for one in zones] == ["one.", "two.", "three.", "four."]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none"], "none:0: cannot read"),
        (["two"], "two:1: the owner name '@' is relative"),
        (["one", "one=one"], "the zone one. is given twice"),
        (["two.=one"], "one:2: the owner of the SOA is one., not the origin two."),
        (["a..b=one"], "empty label"),
    ],
)
def test_a_zone_that_cannot_be_loaded_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one").write_text("$ORIGIN one.\n" + SOA + NS)
    Path("two").write_text(SOA + NS)
    with pytest.raises(ServiceError) as caught:
        load_zones(arguments, [])
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_has_an_origin_and_a_file_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\nexample.com zone\n")
    with pytest.raises(ServiceError, match=r"list:2: expected"):
        load_zones([], [str(tmp_path / "list")])
    with pytest.raises(ServiceError, match="cannot read the list"):
        load_zones([], [str(tmp_path / "none")])
