"""Zone validation: valid zones, and errors with their lines."""

from pathlib import Path

import pytest

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import MasterFileError, ZoneError
from lab7.services.dns.codec.master_file import parse_master_file, write_master_file
from lab7.services.dns.codec.name import Name
from lab7.services.dns.zones.loading import WARNINGS_MAX, ZoneFiles
from lab7.services.dns.zones.zone import Zone
from lab7.services.errors import ServiceError
from tests.core.services.dns.transcripts import zone

ORIGIN = Name.from_text("example.")
SOA = "@ 60 SOA ns host 1 2 3 4 5\n"
NS = "@ 60 NS ns\nns 60 A 192.0.2.53\n"
Reports = list[tuple[str, str]]


def zone_files(arguments: list[str], lists: list[str] | None = None, reports: Reports | None = None) -> ZoneFiles:
    """Zones whose reports are collected in a list."""
    collected: Reports = [] if reports is None else reports
    return ZoneFiles(arguments, lists or [], lambda event, sentence: collected.append((event, sentence)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SOA + NS + "a 60 CNAME b\na 60 A 192.0.2.1\n", ":5: a.example. has a CNAME and other data"),
        (SOA + NS + "a 60 A 192.0.2.1\na 60 CNAME b\n", ":5: a.example. has a CNAME and other data"),
        (SOA + NS + "@ 60 CNAME b\n", ":4: example. has a CNAME and other data"),
        (SOA + NS + "a 60 CNAME b\na 60 CNAME c\n", ":5: a.example. has a second CNAME"),
        (SOA + NS + "a 60 DNAME b\na 60 DNAME c\n", ":5: a.example. has a second DNAME"),
        (SOA + NS + "sub 60 SOA ns host 1 2 3 4 5\n", ":4: duplicate SOA"),
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
    zones = zone_files([str(tmp_path / "one"), f"two={tmp_path / 'two'}"], [str(tmp_path / "list")]).load()
    assert [str(one.origin) for one in zones] == ["one.", "two.", "three.", "four."]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none"], "none:0: cannot read"),
        (["two"], "two:1: the owner name '@' is relative"),
        (["one", "one=one"], "duplicate zone one."),
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
        zone_files(arguments).load()
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_has_an_origin_and_a_file_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\nexample.com zone\n")
    with pytest.raises(ServiceError, match=r"list:2: expected"):
        zone_files([], [str(tmp_path / "list")]).load()
    with pytest.raises(ServiceError, match="cannot read the list"):
        zone_files([], [str(tmp_path / "none")]).load()


def test_records_outside_of_the_zone_are_left_out_with_a_warning() -> None:
    warnings: list[str] = []
    entries = parse_master_file(SOA + NS + "a.other. 60 A 192.0.2.1\nb 60 A 192.0.2.2\n", ORIGIN)
    made = Zone.from_entries(entries, ORIGIN, warnings.append)
    assert [str(rrset.name) for rrset in made.rrsets()] == ["example.", "example.", "b.example.", "ns.example."]
    assert warnings == ["zone:4: a.other. is outside of the zone example.: record left out"]


def warnings_of(tmp_path: Path, text: str) -> Reports:
    """What is reported about a zone with the name server ns.example. and these records in addition."""
    reports: Reports = []
    (tmp_path / "zone").write_text("$TTL 60\n" + SOA + NS + text)
    zone_files([f"example={tmp_path / 'zone'}"], reports=reports).load()
    return [(event, sentence.removeprefix(f"{tmp_path}/")) for event, sentence in reports]


@pytest.mark.parametrize(
    ("text", "line", "warning"),
    [
        ("a CNAME ns\n@ MX 1 a\n", 6, "the MX record of example. names a.example., which is an alias"),
        ("a CNAME ns\n@ NS a\n", 6, "the NS record of example. names a.example., which is an alias"),
        ("a CNAME ns\nsub NS a\n", 6, "the NS record of sub.example. names a.example., which is an alias"),
        ("a CNAME ns\n_s SRV 1 1 1 a\n", 6, "the SRV record of _s.example. names a.example., which is an alias"),
        ("d DNAME e\n@ MX 1 x.d\n", 6, "names x.d.example., which is an alias"),
        ("*.w CNAME ns\n@ MX 1 x.w\n", 6, "names x.w.example., which is an alias"),
        ("@ NS none\n", 5, "the NS record of example. names none.example., which has no address"),
        ("@ MX 1 b\nb TXT x\n", 5, "names b.example., which has no address"),
        ("a 5 A 192.0.2.1\na 9 A 192.0.2.2\n", 6, "a.example. A has the TTL 9 after 5: all get 5"),
        ("x.test. A 192.0.2.1\n", 5, "x.test. is outside of the zone example."),
        ("d DNAME x\nw.d A 192.0.2.1\n", 6, "the A record of w.d.example. is below the DNAME of d.example."),
        ("*.d A 192.0.2.1\nd DNAME x\n", 5, "the A record of *.d.example. is below the DNAME of d.example."),
        ("s NS ns\nw.s A 192.0.2.1\n", 6, "w.s.example. is no glue, and belongs to the delegated zone s.example."),
        ("s NS ns\ns A 192.0.2.1\n", 6, "the A record of s.example. is no glue"),
        ("s NS ns.s\nns.s A 192.0.2.1\nns.s TXT x\n", 7, "the TXT record of ns.s.example. is no glue"),
        ("s NS ns\nt.s NS ns\n", 6, "the NS record of t.s.example. is no glue"),
        ("s NS ns\ns DS 1 8 2 ABCD\n", 6, "s.example. has a digest of 2 octets, and digest type 2 has 32"),
        ("@ CDS 1 8 4 ABCD\n", 5, "the CDS record of example. has a digest of 2 octets, and digest type 4 has 48"),
        ("h SSHFP 4 2 ABCD\n", 5, "has a digest of 2 octets, and fingerprint type 2 has 32"),
        ("_25._tcp.h TLSA 3 1 1 ABCD\n", 5, "has a digest of 2 octets, and matching type 1 has 32"),
        ("@ ZONEMD 1 1 1 ABCD\n", 5, "has a digest of 2 octets, and hash algorithm 1 has 48"),
    ],
)
def test_doubtful_records_are_loaded_with_a_warning(tmp_path: Path, text: str, line: int, warning: str) -> None:
    ((event, sentence),) = warnings_of(tmp_path, text)
    assert event == "zone_warning"
    assert sentence.startswith(f"zone:{line}: ")
    assert warning in sentence


@pytest.mark.parametrize(
    "text",
    [
        "@ MX 0 .\n",
        "_s SRV 0 0 0 .\n",
        "@ MX 1 mail.other.\n",
        "sub NS ns.sub\nns.sub A 192.0.2.1\n@ MX 1 x.sub\n",
        "*.w A 192.0.2.1\n@ MX 1 x.w\n",
        "m AAAA 2001:db8::1\n@ MX 1 m\n",
        "a 5 A 192.0.2.1\na 5 A 192.0.2.1\n",
        "s NS s\ns AAAA 2001:db8::1\n",
        "s NS ns.t\nns.t A 192.0.2.1\nt NS ns.s\nns.s A 192.0.2.2\n",
        "d DNAME x\nd A 192.0.2.1\n",
        f"s NS ns\ns DS 1 8 2 {'AB' * 32}\ns DS 1 8 200 AB\n",
        "@ CDS 0 0 0 00\nh TLSA 3 0 0 ABCD\n",
    ],
)
def test_sound_records_give_no_warning(tmp_path: Path, text: str) -> None:
    assert warnings_of(tmp_path, text) == []


def test_many_warnings_are_counted(tmp_path: Path) -> None:
    reports = warnings_of(tmp_path, "".join(f"a.test{number}. A 192.0.2.1\n" for number in range(WARNINGS_MAX + 5)))
    assert len(reports) == WARNINGS_MAX + 1
    assert reports[-1] == ("zone_warning", "zone: 5 more warnings")


def test_a_zone_that_cannot_be_loaded_does_not_keep_others_from_it(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(SOA + NS)
    (tmp_path / "bad").write_text("@ 60 SOA ns\n")
    reports: Reports = []
    files = zone_files([f"one={tmp_path / 'good'}", f"two={tmp_path / 'bad'}"], reports=reports)
    zones = files.load()
    assert [str(one.origin) for one in zones] == ["one."]
    assert reports == [("zone_failed", f"{tmp_path / 'bad'}:1: rname is missing")]
    assert zones.lacks(Name.from_text("www.two."))
    assert not zones.lacks(Name.from_text("www.one."))
    # The next load finds both; then a zone that has become invalid stays as it was.
    (tmp_path / "bad").write_text(SOA + NS)
    assert len(files.load()) == 2
    (tmp_path / "bad").write_text("@ 60 SOA ns\n")
    assert len(files.load()) == 2
    assert reports[-1] == (
        "zone_failed",
        f"{tmp_path / 'bad'}:1: rname is missing (the previous version of the zone stays loaded)",
    )


def test_without_any_zone_the_last_failure_is_the_error(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("@ 60 SOA ns\n")
    reports: Reports = []
    with pytest.raises(ServiceError, match="rname is missing"):
        zone_files([f"one={tmp_path / 'bad'}", f"two={tmp_path / 'bad'}"], reports=reports).load()
    assert len(reports) == 1
