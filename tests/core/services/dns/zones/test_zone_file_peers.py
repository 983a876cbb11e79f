"""Odd lines of zone files: what BIND, NSD and dnspython all load is loaded, with the same records."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import dns.exception
import dns.name
import dns.zone
import pytest

from lab7.services.dns.codec.name import Name
from lab7.services.dns.zones.loading import load_zone
from lab7.services.errors import ServiceError

pytestmark = pytest.mark.slow

HEAD = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n"
ORIGIN = Name.from_text("example.")
# One line each, with the escapes of Python: each is tried alone, behind an SOA and its name server.
LINES = r"""
a TXT foo;bar
a TXT "x" ; c
a TXT x"y"
a TXT "x""y"
a TXT "x"y
a TXT \\"x\\"
a TXT a\\\\b
a TXT \xc3\xa9
a TXT "\xc3\xa9\xa0"
a\xe9 A 1.1.1.1
a_b A 1.1.1.1
a/b A 1.1.1.1
a'b A 1.1.1.1
a\\.b A 1.1.1.1
a\\046b A 1.1.1.1
\\000 A 1.1.1.1
a$b A 1.1.1.1
a@b A 1.1.1.1
a:b A 1.1.1.1
a#b A 1.1.1.1
"a b" A 1.1.1.1
"a" A 1.1.1.1
a 1D A 1.1.1.1
a 1h30 A 1.1.1.1
a 1w2d3h4m5s IN A 1.1.1.1
a IN 1h A 1.1.1.1
a 0 A 1.1.1.1
a 2147483647 A 1.1.1.1
a 2147483648 A 1.1.1.1
a 4294967295 A 1.1.1.1
a 1H1H A 1.1.1.1
a A 1.1.1.1\r
a A ( 1.1.1.1 )
a ( A 1.1.1.1 )
( a A 1.1.1.1 )
a A (\n1.1.1.1\n)
a TXT ( "a" ; c\n "b" )
a TXT (\n\n "b" )
a\tA\t1.1.1.1
a A 1.1.1.1 ;
;
\x20\x20\x20
   ; x
\t; x\n\t
a A\n  1.1.1.1
a TXT "a\nb"
a TXT "a\\\nb"
a TXT
a TXT ""
a HINFO x
a HINFO "x y" z
a MX 10 mail
a MX 010 mail
a MX 10 .
a MX 0 1.1.1.1
a A 01.1.1.1
a A 1.1.1
a AAAA ::
a AAAA ::1.2.3.4
a AAAA 1:2:3:4:5:6:7::
a AAAA 2001:0db8:0000:0000:0000:0000:0000:0001
a SRV 0 0 0 .
a SPF "v=spf1"
a CAA 0 issue ";"
a CAA 0 issue letsencrypt.org
a CAA 0 ISSUE "x"
a CAA 128 issue ""
a CAA 0 iodef mailto:a@b.c
a CAA 0 issue ca; x
a NAPTR 1 1 "" "" "" .
a NAPTR 1 1 u E2U "!^.*$!x!" .
a TLSA 3 1 1 ( ab\\n cd )
a SSHFP 4 2 ab cd
a DS 1 8 2 abababababababababababababababababababababababababababababababab
a DS 1 8 2 ( abababababababababababababababab ABABABABABABABABABABABABABABABAB )
a DS 1 8 5 ab
a DS 1 8 2 abcd
a LOC 1 2 3 N 4 5 6 E 7
a LOC 1 2 3 N 4 5 6 E 7m 1 2 3
a LOC 1 2 3.1 n 4 5 6 e 7m
a LOC 1 N 4 E 0m
a LOC 1 2 3.1234 N 4 5 6 E 7.123m
a LOC 1 2 N 4 5 E -10.5m 100.25m
a LOC 1 2 3.12345 N 4 5 6 E 7m
a LOC 1 2 3.000 N 4 5 6.00 E 7m 0.00m 0 0
a LOC 1 2 .5 N 4 5 6. E 7m
a PTR b.c.
a CNAME b.
a CNAME @
a NS b
a DNAME b
* A 1.1.1.1
*.* A 1.1.1.1
\\* A 1.1.1.1
a IN A 1.1.1.1 ; IN
a in a 1.1.1.1
in A 1.1.1.1
IN IN A 1.1.1.1
a CLASS1 A 1.1.1.1
a TYPE1 \\# 4 01010101
a A \\# 4 01010101
a TYPE1 1.1.1.1
a TYPE999 \\# 0
a TYPE999 \\# 3 ab cdef
a TYPE999 \\# 3 a bcdef
a TYPE65534 \\# 1 00
a TXT \\# 2 0161
a CAA \\# 7 0005697373756578
$TTL 1h
$ttl 60
$ORIGIN sub
$ORIGIN example.
$ORIGIN .
$ORIGIN @
$TTL 60 ; x
$TTL 1h30m
$TTL 0
@ A 1.1.1.1
@.sub A 1.1.1.1
example. A 1.1.1.1
EXAMPLE. A 1.1.1.1
a.EXAMPLE. A 1.1.1.1
a A 1.1.1.1\na A 1.1.1.1
a A 1.1.1.1\nA A 1.1.1.2
a CNAME b\na CNAME b
a CNAME b\nA CNAME B
x.y.z A 1.1.1.1
a SOA ns h 1 2 3 4 5
@ SOA ns h 1 2 3 4 5
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx A 1.1.1.1
a TXT v=DKIM1; p=abc
a TXT (v=DKIM1)
a TXT "v=DKIM1\\; p=abc"
a TXT a\\040b
a TXT "a\\"b"
a TXT \\097
a TXT a\\
a TXT "a\\\\"
a RP h.x .
a AFSDB 1 b
a WKS 1.1.1.1 tcp smtp
a WKS 1.1.1.1 TCP 25
a WKS 1.1.1.1 6 25 smtp
a WKS 1.1.1.1 tcp (telnet smtp)
a ISDN "1"
a X25 12345
a X25 "12345"
a X25 123
a GPOS -1.0 2.0 3.0
a GPOS "1" "2" "3"
a NSAP 0x47.00
a KEY 512 255 1 AA==
a KEY 256 3 5 AQ==
a CERT 1 1 1 AA==
a CERT PGP 0 0 AA==
a IPSECKEY 10 1 2 1.2.3.4 AA==
a DHCID AA==
a URI 1 1 "x"
a URI 1 1 x
a EUI48 00-00-5e-00-53-2a
a OPENPGPKEY AA==
a SVCB 0 b
a HTTPS 1 . alpn="h2,h3"
a HTTPS 1 . alpn="h2" alpn=h3
a HTTPS 1 . ech="AAT+DQAA"
a HTTPS 1 . ipv4hint="1.1.1.1,2.2.2.2"
a HTTPS 1 . key7=x
a HTTPS 0 b alpn=h2
a HTTPS 1 . port="53"
a SVCB 1 . dohpath=/q{?dns}
a SVCB 1 . key65535=x
a SVCB 1 . mandatory=alpn alpn=h2
a HTTPS 1 . no-default-alpn=""
a HTTPS 1 . key3="\\000\\053"
a HTTPS 1 .   ; x
a APL 1:1.1.1.0/24
a APL
a APL 1:1.1.1.1/24
a CDS 0 0 0 0
a CDS 0 0 0 00
a CDNSKEY 0 3 0 AA==
a CDNSKEY 0 3 0 0
a NSEC3PARAM 1 0 10 -
a NSEC3PARAM 1 0 10 ABCD
a CSYNC 1 3 A NS
a CSYNC 1 3
a RRSIG A 8 2 60 20300101000000 20200101000000 1 example. AA==
a RRSIG A 8 2 60 1893456000 1577836800 1 example. AA==
a RRSIG A RSASHA256 2 1h 20300101000000 20200101000000 1 example. AA==
a NSEC b A RRSIG
a NSEC b ( A\n NS )
a NSEC b A A
a DNSKEY 257 3 RSASHA256 AwEAAQ==
a DNSKEY 257 3 13 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
a DNSKEY 257 3 8 Aw EA AQ ==
a DNSKEY 257 3 8 AwEAAQ
a NID 10 1:2:3:4
a L32 10 1.1.1.1
a LP 10 b
a HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAQ== b
a AMTRELAY 10 0 1 1.1.1.1
a SMIMEA 3 0 0 ab
a TLSA 3 1 1 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB
a TLSA 3 1 1 ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab
a KX 1 b
a MB b
a MINFO b c
a PX 1 b c
a NULL \\# 1 00
a SINK 1 2 3 AA==
a A6 0 ::1
a DLV 1 8 2 abababababababababababababababababababababababababababababababab
a TALINK b c
a NINFO x
a MD b
a MF b
a UINFO x
a NSAP-PTR b
a EID ab
a ATMA 47
a SPF x y
a AVC x
a DOA 1 2 3 "" AA==
a RT 1 b
a TXT\t"x"
\x0ba A 1.1.1.1
a\x0c A 1.1.1.1
a A 1.1.1.1\x0c
a TXT x\x00y
a TXT "x\x01y"
a TXT "\xff"
a TXT "a;b"
a TXT 'a b'
a.example A 1.1.1.1
a A 1.1.1.1 \\
a 60 60 A 1.1.1.1
60 A 1.1.1.1
60 60 A 1.1.1.1
1 IN 60 PTR x.
a -1 A 1.1.1.1
a A 1.1.1.1 2.2.2.2
x.other. A 1.1.1.1
a ANY x
a AXFR x
a OPT x
a TSIG x
a CH A 1.1.1.1
a HS TXT x
$GENERATE 1-2 a$ A 1.1.1.$
$DATE 2020
$UNIXTIME 1
@ NS a\na CNAME b
@ NS 1.2.3.4
@ MX 1 a\na CNAME b
a NS b\na A 1.1.1.1
a DNAME b\nx.a A 1.1.1.1
a DNAME b\na CNAME c
a DNAME b\na A 1.1.1.1
a CNAME b\na NSEC c A
a CNAME b\na TXT c
* NS b
*.a NS b
@ DS 1 8 2 abababababababababababababababababababababababababababababababab
@ DNAME b
@ CNAME b
"""
Records = set[tuple[str, int, bytes]]


def theirs(text: str) -> Records | None:
    """The records as dnspython reads them, None where it does not; characters are octets."""
    try:
        zone = dns.zone.from_text(text, "example.", relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError):
        return None
    return {
        (str(name).lower(), int(rdataset.rdtype), rdata.to_digestable())
        for name, rdataset in zone.iterate_rdatasets()
        for rdata in rdataset
    }


def ours(file: Path) -> Records | str:
    """The records, or the error message."""
    try:
        zone = load_zone(file, ORIGIN)
    except ServiceError as error:
        return str(error)
    return {
        (str(rrset.name).lower(), int(rrset.rtype), rdata.canonical())
        for rrset in zone.rrsets()
        for rdata in rrset.rdatas
    }


def accepts(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("line_end", ["\n", "\r\n", ""])
def test_what_three_peers_load_is_loaded(tmp_path: Path, line_end: str) -> None:
    for program in ("named-checkzone", "nsd-checkzone"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    file, loaded = tmp_path / "zone", 0
    for escaped in LINES.strip("\n").split("\n"):
        line = escaped.encode("ascii").decode("unicode_escape")
        text = HEAD + line + line_end
        if line_end == "\r\n":
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        file.write_bytes(text.encode("latin-1"))
        expected = theirs(text)
        if expected is None or not accepts("nsd-checkzone", "example", file):
            continue
        if not accepts("named-checkzone", "-k", "ignore", "-i", "local", "example", file):
            continue
        loaded += 1
        found = ours(file)
        assert not isinstance(found, str), (line, found)
        if line.isascii():
            # dnspython reads text in UTF-8.
            assert found == expected, line
    assert loaded > 100
