"""Master file parser: the syntax of RFC 1035 section 5, error locations, and comparison with dnspython's parser."""

from contextlib import suppress
from pathlib import Path

import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import MasterFileError
from lab7.services.dns.codec.master_file import parse_master_file, read_master_file, write_master_file
from lab7.services.dns.codec.message import Record, RRset, rrsets_of
from lab7.services.dns.codec.name import Name
from tests.core.services.dns.strategies import RDATAS, U31
from tests.loopback.dns.authority import run

ORIGIN = Name.from_text("example.com.")


def lines(text: str, origin: Name | None = ORIGIN) -> list[str]:
    return [entry.record.to_text() for entry in parse_master_file(text, origin)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("www 60 IN A 192.0.2.1", "www.example.com. 60 IN A 192.0.2.1"),
        ("www IN 60 A 192.0.2.1", "www.example.com. 60 IN A 192.0.2.1"),
        ("www 60 A 192.0.2.1 ; said", "www.example.com. 60 IN A 192.0.2.1"),
        ("www 1h30m a 192.0.2.1", "www.example.com. 5400 IN A 192.0.2.1"),
        ("@ 1W2D3H4M5S in MX 10 mail", "example.com. 788645 IN MX 10 mail.example.com."),
        ("@ 60 MX 10 mail.", "example.com. 60 IN MX 10 mail."),
        ("@ 60 MX 10 @", "example.com. 60 IN MX 10 example.com."),
        (r"a\.b 60 TXT a\;b \"c\" d\032e", r'a\.b.example.com. 60 IN TXT "a;b" "\"c\"" "d e"'),
        ('@ 60 TXT "a;(b)" ""', 'example.com. 60 IN TXT "a;(b)" ""'),
        ("@ 60 (TXT\n (a\n) ; one\n b )", 'example.com. 60 IN TXT "a" "b"'),
        ("@ 60 TYPE1 \\# 4 C0000201", "example.com. 60 IN A 192.0.2.1"),
        ("@ 60 CLASS1 TYPE65280 \\# 3 AB CD01", "example.com. 60 IN TYPE65280 \\# 3 ABCD01"),
        ("@ 60 TYPE65280 \\# 0", "example.com. 60 IN TYPE65280 \\# 0"),
        ("@ 60 CLASS32 TXT a", 'example.com. 60 CLASS32 TXT "a"'),
        ("in 60 in a 192.0.2.1\r\n", "in.example.com. 60 IN A 192.0.2.1"),
        ("1 60 PTR a", "1.example.com. 60 IN PTR a.example.com."),
        ('@ 60 CAA 0 issue "ca.example"', 'example.com. 60 IN CAA 0 issue "ca.example"'),
        ("@ 60 SOA a b 1 2h 3 4 5m", "example.com. 60 IN SOA a.example.com. b.example.com. 1 7200 3 4 300"),
    ],
)
def test_a_record(text: str, expected: str) -> None:
    assert lines(text) == [expected]


def test_omitted_fields_take_the_last_value() -> None:
    text = (
        "$TTL 5m\na 60 A 192.0.2.1\n  A 192.0.2.2\n\tIN TXT b\n$ORIGIN sub\nc A 192.0.2.3\n$ORIGIN net.\nd A 192.0.2.4"
    )
    assert lines(text) == [
        "a.example.com. 60 IN A 192.0.2.1",
        "a.example.com. 300 IN A 192.0.2.2",
        'a.example.com. 300 IN TXT "b"',
        "c.sub.example.com. 300 IN A 192.0.2.3",
        "d.net. 300 IN A 192.0.2.4",
    ]


@pytest.mark.parametrize(
    ("soa", "ttls"), [("@ SOA a b 1 2 3 4 5", [5, 5, 9, 5]), ("@ 7 SOA a b 1 2 3 4 5", [7, 7, 9, 9])]
)
def test_without_a_default_the_soas_minimum_or_the_last_ttl_holds(soa: str, ttls: list[int]) -> None:
    text = soa + "\na A 192.0.2.1\nb 9 A 192.0.2.1\nc A 192.0.2.1\n"
    assert [entry.record.ttl for entry in parse_master_file(text, ORIGIN)] == ttls


def test_a_ttl_of_32_bits_counts_as_0(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text("$TTL 2147483648\na A 192.0.2.1\nb 4294967295 A 192.0.2.1\nc 2147483647 A 192.0.2.1")
    warnings: list[str] = []
    entries = read_master_file(tmp_path / "zone", ORIGIN, warnings.append)
    assert [entry.record.ttl for entry in entries] == [0, 0, 2**31 - 1]
    assert [warning.partition(" ")[0] for warning in warnings] == [f"{tmp_path}/zone:{line}:" for line in (1, 3)]


def test_a_line_end_in_quotes_is_escaped() -> None:
    entries = list(parse_master_file('a 60 TXT "x\\\ny"\nb 60 TXT "z"\n', ORIGIN))
    assert [entry.record.rdata.to_wire() for entry in entries] == [b"\x03x\ny", b"\x01z"]
    assert [entry.line for entry in entries] == [1, 3]


def test_a_default_from_the_soa_is_told(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text("\n@ SOA a b 1 2 3 4 5\na A 192.0.2.1\n")
    warnings: list[str] = []
    read_master_file(tmp_path / "zone", ORIGIN, warnings.append)
    assert warnings == [f"{tmp_path}/zone:2: no TTL and no $TTL: the SOA's MINIMUM, 5 s, is the default TTL"]


GENERATED = r"""$TTL 60
@ SOA ns host 1 2 3 4 5
  NS ns
ns A 192.0.2.1
$GENERATE 1-3 host-$ A 192.0.2.$
$GENERATE 0-10/5 a${10,5,x}b${-0,3} 9 IN CNAME x$
$GENERATE 0-300/100 ${0,8,n}${0,0,N} PTR t${1,2,X}-${0,1,o}.
$GENERATE 1-2 d$$-$ TXT "a$ b"
$GENERATE 1-2 e\$-$ TXT a\$$ ; a comment
$GENERATE 1-2 f$ MX "10 mail-$"
$GENERATE 5-5 g${-5} A 192.0.2.2
ns2 A 192.0.2.3
"""


def test_generated_records_are_those_of_named_compilezone(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text(GENERATED)
    output = run(
        "named-compilezone", "-k", "ignore", "-o", str(tmp_path / "out"), "example.com", str(tmp_path / "zone")
    )
    assert output.rstrip().endswith("OK"), output
    theirs = rrsets_of(entry.record for entry in parse_master_file((tmp_path / "out").read_text(), ORIGIN))
    assert canonical(rrsets_of(entry.record for entry in parse_master_file(GENERATED, ORIGIN))) == canonical(theirs)


def test_generated_records() -> None:
    assert lines("b 9 A 192.0.2.9\n$GENERATE 8-10/2 n${0,3}.${0,3,n} 60 PTR \\$${1}$$.\n  TXT x\n") == [
        "b.example.com. 9 IN A 192.0.2.9",
        "n008.8.0.example.com. 60 IN PTR \\$9\\$.",
        "n010.a.0.example.com. 60 IN PTR \\$11\\$.",
        'b.example.com. 60 IN TXT "x"',
    ]


def test_any_octet_that_is_no_blank_belongs_to_a_word() -> None:
    text = "".join(chr(octet) for octet in range(1, 256) if chr(octet) not in ' \t\r\n;()"\\')
    (entry,) = parse_master_file(f"a 60 TXT {text}\r\n", ORIGIN)
    assert entry.record.rdata.to_wire()[1:] == text.encode("latin-1")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\n\na 60 A 300.1.1.1", 3, "invalid IPv4 address"),
        ("a 60 AAAA fe80::1%1", 1, "invalid IPv6 address"),
        ("a 60 A", 1, "address is missing"),
        ("a 60 A 192.0.2.1 x", 1, "unexpected 'x' after the record"),
        ("a 60 MX mail 10", 1, "preference is 'mail'"),
        ("a 60 MX 65536 mail", 1, "a number up to 65535"),
        ("a 60 NOPE x", 1, "unknown type 'NOPE'"),
        ("a 60 TYPE65280 x", 1, "must have the form"),
        ("a 60 TYPE1 \\# 3 000000", 1, "invalid rdata for its type"),
        ("a 60 TYPE1 \\# 4 0000", 1, "but the length is 4"),
        ("a 60 TYPE65280 \\# 1 0", 1, "hexadecimal"),
        ("a 60 ANY x", 1, "a query type"),
        ("a A 192.0.2.1", 1, "no TTL"),
        ("a 4294967296 A 192.0.2.1", 1, "more than 4294967295"),
        ("  60 A 192.0.2.1", 1, "no owner name"),
        ("a 60 IN A 192.0.2.1\nb 60 CH TXT x", 2, "after records of another class"),
        ("a 60 TXT (\nb\n", 1, "never closed"),
        ("a 60 TXT b )", 1, "unmatched"),
        ('a 60 TXT "b\n', 1, "does not end on its line"),
        ("a..b 60 A 192.0.2.1", 1, "empty label"),
        (f"{'a' * 64} 60 A 192.0.2.1", 1, "64 octets"),
        (f"a 60 TXT {'a' * 256}", 1, "256 octets"),
        ("$GENERATE 1-2 a A", 1, "needs a range, an owner name, a type and rdata"),
        ("$GENERATE 2-1 a$ 9 A 192.0.2.$", 1, "must go up"),
        ("$GENERATE 1-2/0 a$ 9 A 192.0.2.$", 1, "steps of 1 or more"),
        ("$GENERATE 1 a$ 9 A 192.0.2.$", 1, "expected one such as 1-254"),
        ("$GENERATE 0-262144 a$ 9 A 192.0.2.1", 1, "at most 262144"),
        ("$GENERATE 0-1 a${-1} 9 A 192.0.2.1", 1, "is -1, expected 0"),
        ("$GENERATE 0-1 a${0,256} 9 A 192.0.2.1", 1, "wider than 255"),
        ("$GENERATE 0-1 a${0,1,q} 9 A 192.0.2.1", 1, "invalid substitution"),
        ("\n$GENERATE 255-256 a$ 9 A 192.0.2.$", 2, "invalid IPv4 address '192.0.2.256'"),
        ("$INCREASE 1", 1, "unknown directive $INCREASE"),
        ("$ORIGIN", 1, "the origin is missing"),
        ("$TTL x", 1, "the TTL is 'x'"),
        ("$INCLUDE other", 1, "in files only"),
        ("a 60 TXT \\", 1, "backslash"),
    ],
)
def test_errors_have_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(MasterFileError) as caught:
        parse_master_file(text, ORIGIN, "the.zone")
    assert str(caught.value).startswith(f"the.zone:{line}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["www 60 A 192.0.2.1", "@ 60 A 192.0.2.1", "a. 60 NS b"])
def test_a_relative_name_needs_an_origin(text: str) -> None:
    with pytest.raises(MasterFileError, match=r"no \$ORIGIN"):
        parse_master_file(text)


def test_an_included_file_has_its_own_origin_and_the_includer_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "zone").write_text("$TTL 60\na A 192.0.2.1\n$INCLUDE sub/one net.\n  A 192.0.2.3\nb A 192.0.2.4\n")
    (tmp_path / "sub" / "one").write_text("c A 192.0.2.2\n$ORIGIN org.\nd A 192.0.2.2\n")
    found = [
        (str(entry.record.name), Path(entry.file).name, entry.line)
        for entry in read_master_file(tmp_path / "zone", ORIGIN)
    ]
    assert found == [
        ("a.example.com.", "zone", 2),
        ("c.net.", "one", 1),
        ("d.org.", "one", 3),
        ("a.example.com.", "zone", 4),
        ("b.example.com.", "zone", 5),
    ]


def test_an_included_file_lies_in_the_folder_and_not_in_itself(tmp_path: Path) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    (tmp_path / "secret").write_text("root:x:0:0\n")
    (folder / "link").symlink_to(tmp_path / "secret")
    for name in ("../secret", str(tmp_path / "secret"), "link"):
        (folder / "zone").write_text(f"$INCLUDE {name}\n")
        with pytest.raises(MasterFileError, match="outside of the zone's folder"):
            read_master_file(folder / "zone", ORIGIN)
    (folder / "zone").write_text("$INCLUDE zone\n")
    with pytest.raises(MasterFileError, match="deep"):
        read_master_file(folder / "zone", ORIGIN)
    (folder / "zone").write_text("\n$INCLUDE none\n")
    with pytest.raises(MasterFileError, match="cannot read"):
        read_master_file(folder / "zone", ORIGIN)


@st.composite
def zone_records(draw: st.DrawFn) -> list[Record]:
    """Records of one zone that dnspython accepts too: no CNAME with other data."""
    labels = st.sampled_from([b"a", b"B", b"*", b"x y", b"q.r", b"\xff", b"@", b"$"])
    names = st.lists(labels, min_size=1, max_size=3).map(lambda found: Name((*found, *ORIGIN.labels)))
    types = st.sampled_from(sorted(set(RDATAS) - {RRType.CNAME, RRType.SOA, RRType.DNAME}))
    made = []
    for _ in range(draw(st.integers(1, 8))):
        rtype = draw(types)
        made.append(Record(draw(names), rtype, 1, draw(U31), draw(RDATAS[rtype])))
    return made


def canonical(rrsets: list[RRset]) -> object:
    return sorted((str(r.name).lower(), r.rtype, sorted(x.canonical() for x in r.rdatas)) for r in rrsets)


@given(zone_records())
def test_written_files_parse_here_and_in_dnspython(records: list[Record]) -> None:
    rrsets = rrsets_of(records)
    text = write_master_file(ORIGIN, rrsets)
    again = rrsets_of(entry.record for entry in parse_master_file(text))
    assert canonical(again) == canonical(rrsets)
    assert {(r.name, r.rtype): r.ttl for r in again} == {(r.name, r.rtype): r.ttl for r in rrsets}
    theirs = dns.zone.from_text(text, check_origin=False, relativize=False)
    found = [
        (str(Name(name.labels[:-1])).lower(), int(rdataset.rdtype), sorted(rd.to_digestable() for rd in rdataset))
        for name, rdataset in theirs.iterate_rdatasets()
    ]
    assert [one[:2] for one in sorted(found)] == [one[:2] for one in canonical(rrsets)]  # type: ignore[attr-defined]
    # dnspython's own output parses to the same records.
    back = rrsets_of(entry.record for entry in parse_master_file(theirs.to_text(want_origin=True, relativize=False)))
    assert canonical(back) == canonical(rrsets)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=200))
def test_any_text_is_records_or_an_error(text: str) -> None:
    with suppress(MasterFileError):
        parse_master_file(text, ORIGIN)
