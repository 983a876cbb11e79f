r"""Presentation format of every RR type, both ways, against dnspython, named-compilezone and nsd-checkzone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import dns.exception
import dns.name
import dns.rdata
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import META_TYPES, RRType, type_from_text, type_to_text
from lab7.services.dns.codec.errors import NameTooLongError, TextError, WireError
from lab7.services.dns.codec.fields import Opaque
from lab7.services.dns.codec.master_file import parse_master_file, write_master_file
from lab7.services.dns.codec.message import rrsets_of
from lab7.services.dns.codec.name import Name, Reader
from lab7.services.dns.codec.rdata import rdata_class, rdata_from_text, read_rdata

ORIGIN = Name.from_text("example.")
KEY = "AwEAAaHIwpx3w4VHKi6i1LHnTaWeHCL154Jug0Rtc9ji5qwPXpBo6A5sRv7cSsPQKPIwxLpyCrbJ4mr2L0EPOdvP6z6YfljK2ZmTbogU9aSU2fiq"
DIGEST = "2BB183AF5F22588179A53B0A98631FAD1A292118"
SHA384 = "3D" * 48

RECORDS = [
    ("A", "192.0.2.1"),
    ("NS", "ns"),
    ("MB", "box"),
    ("MG", "box"),
    ("MR", "box.other."),
    ("WKS", "192.0.2.1 tcp smtp telnet 80 65535"),
    ("WKS", "192.0.2.1 17 domain"),
    ("PTR", "a\\.b.c"),
    ("HINFO", '"PC" Linux'),
    ("MINFO", "r e"),
    ("MX", "10 mail"),
    ("TXT", '"a;b" c\\;d "" "\\"q\\"" \\255 "tab\\009"'),
    ("RP", "mbox txt"),
    ("AFSDB", "1 host"),
    ("X25", "311061700956"),
    ("ISDN", "150862028003217"),
    ("ISDN", '150862028003217 "004"'),
    ("RT", "10 relay"),
    ("NSAP", "0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00"),
    ("NSAP-PTR", "host"),
    ("KEY", f"256 3 8 {KEY}"),
    ("KEY", f"0 IPSEC RSASHA1 {KEY}"),
    ("SIG", f"A 8 2 3600 20260101000000 20251201000000 12345 example. {KEY}"),
    ("PX", "10 map822 mapx400"),
    ("GPOS", "-32.6882 116.8652 10.0"),
    ("AAAA", "2001:DB8::1"),
    ("AAAA", "::ffff:192.0.2.1"),
    ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
    ("LOC", "42 21 54 N 71 06 18 W -24m 30m"),
    ("LOC", "42 21 43.952 N 71 5 6.344 W -24m 1m 200m"),
    ("LOC", "52 14 05 N 00 08 50 E 10m"),
    ("LOC", "32 7 19 S 116 2 25 E 10m"),
    ("LOC", "42 N 71 W 0.5"),
    ("LOC", "90 0 0 s 180 0 0 w 42849672.95m 90000000m 90000000m 0.09m"),
    ("NXT", "next.example. A NS SOA NXT"),
    ("EID", "E3 2C 6F 78 16 3A 93 48"),
    ("NIMLOC", "3225 1A03 0067"),
    ("SRV", "0 1 5060 sip"),
    ("ATMA", "39.246f.00.0e7c9c031200010001000100000000000000"),
    ("ATMA", "+61.2.0000.0000"),
    ("NAPTR", '100 10 "u" "E2U+sip" "!^(.*)$!sip:a\\\\1@b!" .'),
    ("NAPTR", "100 10 S SIP+D2U \"\" _sip._udp"),
    ("KX", "10 kx"),
    ("CERT", f"PKIX 12345 RSASHA256 {KEY}"),
    ("CERT", f"65534 0 254 {KEY}"),
    ("A6", "0 2001:db8::1"),
    ("A6", "64 ::1:2:3:4 prefix"),
    ("A6", "128 prefix"),
    ("DNAME", "other.example."),
    ("SINK", f"1 0 0 {KEY}"),
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8"),
    ("APL", ""),
    ("DS", f"60485 5 1 {DIGEST[:20]} {DIGEST[20:]}"),
    ("DS", f"60485 ECDSAP256SHA256 SHA-256 {'AB' * 32}"),
    ("SSHFP", "1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac"),
    ("IPSECKEY", f"10 0 2 . {KEY}"),
    ("IPSECKEY", f"10 1 2 192.0.2.3 {KEY}"),
    ("IPSECKEY", f"10 2 2 2001:db8::2 {KEY}"),
    ("IPSECKEY", f"10 3 2 gateway {KEY}"),
    ("IPSECKEY", "10 3 0 gateway"),
    ("RRSIG", f"A 5 3 86400 20030322173103 20030220173103 2642 Example. {KEY[:20]} {KEY[20:]}"),
    ("RRSIG", f"TYPE65280 RSASHA256 3 4294967295 1048354263 1045762263 2642 example. {KEY}"),
    ("NSEC", "Host.example. A MX RRSIG NSEC TYPE1234"),
    ("NSEC", "host.example."),
    ("DNSKEY", f"256 3 5 {KEY[:50]} {KEY[50:]}"),
    ("DNSKEY", f"257 3 ECDSAP256SHA256 {KEY}"),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    ("NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG"),
    ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"),
    ("NSEC3PARAM", "1 0 12 aabbccdd"),
    ("NSEC3PARAM", "1 0 0 -"),
    ("TLSA", "3 1 1 8cb0fc6c527506a053f4f14c8464bebb d6dede2738d11468dd953d7d6a3021f1"),
    ("SMIMEA", "3 0 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1"),
    ("HIP", f"2 200100107B1A74DF365639CC39F1D578 {KEY}"),
    ("HIP", f"2 200100107B1A74DF365639CC39F1D578 {KEY} rvs1 rvs2.other."),
    ("NINFO", '"a" b'),
    ("RKEY", f"0 1 1 {KEY}"),
    ("TALINK", "a b.example."),
    ("CDS", "0 0 0 00"),
    ("CDS", f"60485 5 1 {DIGEST}"),
    ("CDNSKEY", "0 3 0 AA=="),
    ("CDNSKEY", f"257 3 8 {KEY}"),
    ("OPENPGPKEY", f"{KEY[:40]} {KEY[40:]}"),
    ("CSYNC", "66 3 A NS AAAA"),
    ("ZONEMD", f"2018031500 1 1 {SHA384}"),
    ("SVCB", "0 alias"),
    ("SVCB", "1 ."),
    ("SVCB", '16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1'),
    ("SVCB", '16 foo alpn="f\\\\\\\\oo\\\\,bar,h2"'),
    ("SVCB", '16 foo alpn=f\\\\\\092oo\\092,bar,h2'),
    ("SVCB", '1 foo key667="hello\\210qoo" key65535 key400=""'),
    ("SVCB", '1 foo port=53 key3333=a dohpath="/q{?dns}"'),
    ("SVCB", '1 foo ipv6hint="2001:db8::1,2001:db8::53:1"'),
    ("HTTPS", "1 . alpn=h2"),
    ("HTTPS", '1 . ALPN="h2,h3" no-default-alpn port=8443 ech=AAT+DQAA ipv6hint=2001:db8::1 ipv4hint=192.0.2.1'),
    ("DSYNC", "CDS NOTIFY 5359 cds-scanner"),
    ("SPF", '"v=spf1 -all"'),
    ("NID", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 10.1.2.0"),
    ("L64", "10 2001:0DB8:1140:1000"),
    ("LP", "10 l64-subnet1"),
    ("EUI48", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5E-ef-10-00-00-2a"),
    ("URI", '10 1 "http://www.example/"'),
    ("CAA", '0 issue "ca.example; policy=\\"ev\\""'),
    ("CAA", "128 tbs Unknown"),
    ("AVC", '"app-name:WOLFGANG|app-class:OAM|business=yes"'),
    ("DOA", f'0 1 2 "text/html" {KEY}'),
    ("DOA", "1 2 3 image/gif -"),
    ("AMTRELAY", "10 0 1 203.0.113.15"),
    ("AMTRELAY", "10 1 2 2001:db8::15"),
    ("AMTRELAY", "128 1 3 amtrelays"),
    ("AMTRELAY", "10 0 0 ."),
    ("RESINFO", "qnamemin exterr=15,16,17 infourl=https://resolver.example/guide"),
    ("WALLET", "BTC bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ("HHIT", KEY),
    ("BRID", KEY),
    ("TA", f"60485 5 1 {DIGEST}"),
    ("DLV", f"60485 5 1 {DIGEST}"),
]  # fmt: skip
GENERIC_ONLY = [("NULL", "\\# 3 010203"), ("UNSPEC", "\\# 1 00"), ("UID", "\\# 4 00000001"), ("TYPE65280", "\\# 0")]

# Types that dnspython has no parser for, and texts that it does not take: mnemonics, other case, an absent key.
NO_PEER = {"MB", "MG", "MR", "MINFO", "NXT", "EID", "NIMLOC", "ATMA", "A6", "SINK", "RKEY", "TALINK", "DOA", "TA"}
PEER_REFUSES = ("ECDSAP256SHA256 SHA-256", "ALPN=", "10 3 0 gateway", "90 0 0 s")
PEER_ORIGIN = dns.name.from_text("example.")


def ours(rtype: str, text: str) -> bytes:
    return rdata_from_text(type_from_text(rtype), text, origin=ORIGIN).to_wire()


def theirs(rtype: str, text: str) -> bytes:
    made = dns.rdata.from_text("IN", rtype, text, PEER_ORIGIN, relativize=False)
    wire = made.to_wire(origin=PEER_ORIGIN)
    assert wire is not None
    return wire


def test_every_type_with_a_presentation_format_is_in_the_table() -> None:
    without = {RRType.NULL, RRType.UINFO, RRType.UID, RRType.GID, RRType.UNSPEC, RRType.MD, RRType.MF}
    expected = {type_to_text(rtype) for rtype in RRType if rtype not in META_TYPES | without}
    assert {rtype for rtype, _ in RECORDS} == expected - {"CNAME", "SOA"}


@pytest.mark.parametrize(("rtype", "text"), RECORDS)
def test_text_and_octets_lead_to_each_other(rtype: str, text: str) -> None:
    number = type_from_text(rtype)
    rdata = rdata_from_text(number, text, origin=ORIGIN)
    wire = rdata.to_wire()
    assert not isinstance(rdata, Opaque)
    assert read_rdata(Reader(wire), number, 1, len(wire)) == rdata
    assert rdata_from_text(number, rdata.to_text()) == rdata
    assert rdata_from_text(number, f"\\# {len(wire)} {wire.hex()}") == rdata
    if '"' not in text:
        assert rdata_from_text(number, text.replace(" ", " (\n\t") + " )" * text.count(" "), origin=ORIGIN) == rdata


@pytest.mark.parametrize(("rtype", "text"), [one for one in RECORDS if one[0] not in NO_PEER])
def test_dnspython_reads_and_writes_the_same(rtype: str, text: str) -> None:
    wire = ours(rtype, text)
    if not any(refused in text for refused in PEER_REFUSES):
        assert theirs(rtype, text) == wire
    peer = dns.rdata.from_wire("IN", rtype, wire, 0, len(wire))
    assert ours(rtype, peer.to_text()) == wire
    if "10 3 0 gateway" not in text:
        assert theirs(rtype, rdata_from_text(type_from_text(rtype), text, origin=ORIGIN).to_text()) == wire


@pytest.mark.parametrize(("rtype", "text"), GENERIC_ONLY)
def test_types_without_a_format_have_the_generic_one(rtype: str, text: str) -> None:
    assert rdata_from_text(type_from_text(rtype), text).to_text() == text
    with pytest.raises(TextError, match=rf"rdata of {rtype} must have the form"):
        rdata_from_text(type_from_text(rtype), "x")


@pytest.mark.parametrize(
    ("rtype", "text", "reason"),
    [
        ("SVCB", "1 . alpn", "alpn needs a value"),
        ("SVCB", "1 . alpn=", "has = without a value"),
        ("SVCB", '1 . alpn= "h2"', "has = without a value"),
        ("SVCB", "1 . alpn=h2 alpn=h3", "given twice"),
        ("SVCB", "1 . key1=a", "invalid value"),
        ("SVCB", "1 . alpn=,h2", "empty item"),
        ("SVCB", "1 . alpn=a\\\\b", "a backslash escapes"),
        ("SVCB", "1 . no-default-alpn", "needs alpn"),
        ("SVCB", "1 . no-default-alpn=x alpn=h2", "takes no value"),
        ("SVCB", "1 . mandatory=port", "mandatory lists port"),
        ("SVCB", "1 . mandatory=mandatory", "lists itself"),
        ("SVCB", "1 . mandatory=port,port port=1", "a key twice"),
        ("SVCB", "1 . port=65536", "up to 65535"),
        ("SVCB", "1 . ipv4hint=192.0.2", "no IPv4 address"),
        ("SVCB", "1 . key65536=a", "unknown service parameter"),
        ("SVCB", "1 . key01=a", "unknown service parameter"),
        ("SVCB", "1 . colour=red", "unknown service parameter"),
        ("SVCB", "1 . ech=???", "base64"),
        ("LOC", "91 N 0 E 0m", "up to 90"),
        ("LOC", "90 0 1 N 0 E 0m", "more than 90 degrees"),
        ("LOC", "1 60 N 0 E 0m", "minutes"),
        ("LOC", "1 1 60 N 0 E 0m", "seconds"),
        ("LOC", "1 1 1.2345 N 0 E 0m", "seconds"),
        ("LOC", "1 E 0 E 0m", "minutes"),
        ("LOC", "1 N 0 E high", "metres"),
        ("LOC", "1 N 0 E -100001m", "altitude is not from"),
        ("LOC", "1 N 0 E 0m 90000001m", "size is not from"),
        ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJ=", "base32hex"),
        ("NSEC3", "1 0 0 abc 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", "pairs of hexadecimal"),
        ("NSEC", "a NOPE", "unknown type"),
        ("NXT", "a TYPE128", "above 127"),
        ("RRSIG", "A 5 3 1 20031322173103 20030220173103 2642 e. AA==", "not a valid date"),
        ("RRSIG", "A 5 3 1 21070101000000 20030220173103 2642 e. AA==", "1970 to 2106"),
        ("RRSIG", "A 5 3 1 soon 20030220173103 2642 e. AA==", "expected a time"),
        ("DNSKEY", "256 3 NONE AA==", "algorithm is 'NONE'"),
        ("DNSKEY", "256 3 8 A", "base64"),
        ("WKS", "192.0.2.1 tcp gopherspace", "service is 'gopherspace'"),
        ("APL", "3:192.0.2.0/24", "prefix is"),
        ("APL", "1:192.0.2.0/33", "prefix is"),
        ("APL", "1:192.0.2/24", "invalid address"),
        ("EUI48", "0-0-5e-0-53-2a", "expected one such as 00-00-00-00-00-00"),
        ("L64", "10 2001:db8:1140", "expected one such as"),
        ("NSAP", "4700", "expected 0x"),
        ("ATMA", "+1a", "expected digits"),
        ("A6", "129 ::1", "up to 128"),
        ("IPSECKEY", "10 0 2 host AA==", "expected ."),
        ("IPSECKEY", "10 4 2 host AA==", "unknown type 4"),
        ("AMTRELAY", "10 2 1 192.0.2.1", "up to 1"),
        ("HIP", "2 20 ?", "base64"),
    ],
)
def test_what_is_no_rdata_of_its_type_is_one_sentence(rtype: str, text: str, reason: str) -> None:
    with pytest.raises(TextError) as caught:
        rdata_from_text(type_from_text(rtype), text, origin=ORIGIN)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rtype", "wire", "text"),
    [
        # RFC 2930 and RFC 8945: in messages only.
        ("TKEY", "00 00000001 00000002 0003 0010 0002 0102 0000", ". 1 2 3 16 2 AQI= 0"),
        ("TSIG", "00 000000000001 012c 0002 0102 0007 0000 0000", ". 1 300 2 AQI= 7 0 0"),
    ],
)
def test_types_of_messages_are_printed_only(rtype: str, wire: str, text: str) -> None:
    octets = bytes.fromhex(wire)
    assert read_rdata(Reader(octets), type_from_text(rtype), 1, len(octets)).to_text() == text
    with pytest.raises(TextError, match="messages only"):
        rdata_from_text(type_from_text(rtype), text)


DECODED = sorted(number for number in RRType if rdata_class(number) is not Opaque and number not in META_TYPES)


@settings(max_examples=500)
@given(st.sampled_from(DECODED), st.binary(max_size=60))
@example(RRType.LOC, bytes.fromhex("00ff1613 8b0d2cc6 6f5d4f28 00989488"))
@example(RRType.APL, bytes.fromhex("0001 18 04 c0000200"))
@example(RRType.CERT, bytes.fromhex("0000 0000 04 00"))
@example(RRType.CERT, bytes.fromhex("0000 0000 12 00"))
@example(RRType.NSEC, bytes.fromhex("00 0001 00"))
@example(RRType.SVCB, bytes.fromhex("0001 00 0003 0001 00"))
@example(RRType.WKS, bytes.fromhex("c0000201 06 00"))
@example(RRType.LOC, bytes.fromhex("00 33 02 13 89172dd0 70be15f0 00988d20"))
@example(RRType.SVCB, bytes.fromhex("0001 00 0000 0002 0003"))
@example(RRType.A6, bytes.fromhex("46 8006708d65666978 00"))
@example(RRType.CAA, bytes.fromhex("00 02 7409 61"))
@example(RRType.ISDN, bytes.fromhex("01 31 00"))
def test_any_octets_keep_their_value_as_text(rtype: int, wire: bytes) -> None:
    """Rdata that cannot be understood is kept, and printed in the generic form."""
    try:
        rdata = read_rdata(Reader(wire), rtype, 1, len(wire))
    except (WireError, NameTooLongError):
        return
    if isinstance(rdata, Opaque):
        assert rdata.to_wire() == wire
        return
    try:
        again = rdata_from_text(rtype, rdata.to_text())
    except TextError as error:
        # Octets that are there but empty have no presentation format, such as a digest of no octets.
        if "missing" not in str(error):
            raise
        return
    assert again.to_wire() == rdata.to_wire()
    if isinstance(again, Opaque) or type_to_text(rtype) in NO_PEER:
        return
    try:
        peer = dns.rdata.from_wire("IN", type_to_text(rtype), wire, 0, len(wire))
    except dns.exception.DNSException:
        return
    # dnspython drops an empty subaddress of ISDN.
    assert ours(type_to_text(rtype), peer.to_text()) == peer.to_wire()


def zone_of(records: list[tuple[str, str]]) -> str:
    lines = ["$TTL 3600", "@ SOA ns host 1 2 3 4 5", "@ NS ns", "ns A 192.0.2.1"]
    return "\n".join([*lines, *(f"n{number} {rtype} {text}" for number, (rtype, text) in enumerate(records))]) + "\n"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, encoding="latin-1", timeout=60, check=False)


# Types and texts that BIND 9.18 and NSD 4.6 do not take: newer types, historic ones, lower case, an absent key or list.
NOT_IN_BIND = {"DSYNC", "HHIT", "BRID", "RESINFO", "WALLET"}
BIND_REFUSES = ("ALPN=", "10 3 0 gateway", "90 0 0 s", "+61.2")
NOT_IN_NSD = NOT_IN_BIND | {"NSAP-PTR", "GPOS", "EID", "NIMLOC", "ATMA", "A6", "SINK", "HIP", "NINFO", "RKEY", "TALINK"}
NOT_IN_NSD |= {"DOA", "AMTRELAY", "TA"}


def known(excluded: set[str]) -> list[tuple[str, str]]:
    listed = [one for one in RECORDS if one[0] not in excluded and not any(part in one[1] for part in BIND_REFUSES)]
    return [one for one in listed if one != ("NSEC", "host.example.")]


def test_named_compilezone_makes_the_same_records(tmp_path: Path) -> None:
    text = zone_of(known(NOT_IN_BIND))
    (tmp_path / "zone").write_text(text)
    flags = ("-i", "none", "-k", "ignore", "-o", tmp_path / "out")
    done = run("named-compilezone", *flags, "example", tmp_path / "zone")
    assert done.returncode == 0, done.stdout + done.stderr
    compiled = rrsets_of(entry.record for entry in parse_master_file((tmp_path / "out").read_text(), ORIGIN))
    parsed = rrsets_of(entry.record for entry in parse_master_file(text, ORIGIN))
    assert sorted(one.canonical() for one in compiled) == sorted(one.canonical() for one in parsed)


@pytest.mark.parametrize(
    ("command", "unknown"),
    [(("named-checkzone", "-i", "none", "-k", "ignore"), NOT_IN_BIND), (("nsd-checkzone",), NOT_IN_NSD)],
)
def test_peers_read_what_is_written(tmp_path: Path, command: tuple[str, ...], unknown: set[str]) -> None:
    rrsets = rrsets_of(entry.record for entry in parse_master_file(zone_of(known(unknown)), ORIGIN))
    (tmp_path / "zone").write_text(write_master_file(ORIGIN, rrsets))
    done = run(*command, "example", tmp_path / "zone")
    assert done.returncode == 0, done.stdout + done.stderr
