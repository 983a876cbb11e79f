"""Signed zones: the signer judged by dnssec-verify and ldns-verify-zone, the answers compared with BIND and NSD."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest

from tests.loopback.dns.authority import HOST, PATIENCE_S, run, served
from tests.loopback.dns.test_authoritative_peers import NAMED, NSD, ORIGIN, Answer, peer

ZONE = """$ORIGIN example.com.
$TTL 60
@        SOA   ns hostmaster 1 2 3 4 50
         NS    ns
         NS    ns.other.test.
         MX    10 A
ns       A     192.0.2.1
         AAAA  2001:db8::1
A        A     192.0.2.2
c        CNAME a
out      CNAME www.other.test.
toname   CNAME none
towild   CNAME q.w
*.w      A     192.0.2.3
*.w      MX    1 a
x.w      A     192.0.2.4
*.wc     CNAME a
a.*.we   A     192.0.2.5
ent.x.y  A     192.0.2.4
sub      NS    ns.sub
sub      DS    1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF
ns.sub   A     192.0.2.5
sib      NS    ns.sib
ns.sib   A     192.0.2.6
i.ient   NS    ns.other.test.
tosub    CNAME x.sub
e        DNAME t
x.t      A     192.0.2.7
big      TXT   {big}
""".format(big=" ".join(f'"{letter * 250}"' for letter in "abcdef"))
NAMES = """
@ ns a c out toname towild w q.w x.w y.x.w *.w z.wc b.we a.*.we *.we ent.x.y x.y y z.x.y none sub x.sub ns.sub sib x.sib
i.ient ient j.ient tosub e x.e none.e t big
"""
TYPES = "A NS MX CNAME DS DNSKEY NSEC NSEC3PARAM RRSIG CDS"
# BIND checks that hosts have names of hosts: a.*.we has none.
NAMED_ANY_NAMES = NAMED.replace("type primary;", "type primary; check-names ignore;")
# With small keys of one kind, so that each program has the same octets to send.
KINDS = {"nsec": (), "nsec3": ("-3", "-"), "salted": ("-3", "aabb", "-H", "3"), "optout": ("-3", "-", "-A")}


def sign(folder: Path, *flags: str, zone: str = ZONE) -> str:
    """Return the signed zone."""
    (folder / "unsigned.zone").write_text(zone)
    command = [
        sys.executable,
        "-m",
        "lab7.services.dns.sign",
        str(folder / "unsigned.zone"),
        "--seed",
        "test",
        *flags,
        "-f",
    ]
    done = subprocess.run([*command, "-"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def decided(program: str, kind: str, name: str, rtype: str) -> bool:
    """Tell whether an answer differs from that of one peer, and is that of the other.

    NSD: the NS set in the answer to CDS; for the wildcard itself also the proof of its closest encloser; in an opt-out
    span, another encloser. BIND: no proof that an empty wildcard has no records (NSEC); the NSEC of a zone cut from the
    parent; NSEC of an alias is no alias; the NS set beside a synthesized CNAME that is the question.
    """
    hashed = kind != "nsec"
    if program == "nsd":
        opted_out = kind == "optout" and (name == "j.ient" or (name, rtype) == ("ient", "DS"))
        return (name, rtype) == ("@", "CDS") or (hashed and name.startswith("*.")) or opted_out
    synthesized = name in ("x.e", "none.e") and rtype == "CNAME"
    cut = name in ("sub", "sib", "i.ient") and rtype == "NSEC"
    alias = name in ("c", "out", "toname", "towild", "z.wc", "tosub") and rtype == "NSEC"
    return synthesized or (hashed and alias) or (not hashed and (cut or name == "b.we"))


def ask(port: int, name: str, rtype: str) -> Answer:
    query = dns.message.make_query(
        ORIGIN if name == "@" else f"{name}.{ORIGIN}", rtype, use_edns=0, want_dnssec=True, payload=4096
    )
    query.flags = dns.flags.Flag(0)
    found = dns.query.udp(query, HOST, port=port, timeout=PATIENCE_S)
    answer: Answer = {"rcode": found.rcode(), "flags": dns.flags.to_text(found.flags)}
    for title, section in (("answer", found.answer), ("authority", found.authority), ("additional", found.additional)):
        answer[title] = sorted(line.lower() for rrset in section for line in rrset.to_text().splitlines())
    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["ECDSAP256SHA256", "ED25519"])
def test_a_signed_zone_is_complete(kind: str, algorithm: str, tmp_path: Path) -> None:
    (tmp_path / "signed.zone").write_text(sign(tmp_path, *KINDS[kind], "-a", algorithm))
    assert "Zone is verified and complete" in run("ldns-verify-zone", str(tmp_path / "signed.zone"))
    # dnssec-verify needs the name of an unsigned child's name server no more than the zone does.
    assert "Zone fully signed" in run("dnssec-verify", "-o", ORIGIN, str(tmp_path / "signed.zone"))


def test_a_changed_signature_is_not_verified(tmp_path: Path) -> None:
    signed = sign(tmp_path).replace("192.0.2.7", "192.0.2.8")
    (tmp_path / "signed.zone").write_text(signed)
    assert "verified and complete" not in run("ldns-verify-zone", str(tmp_path / "signed.zone"))


@pytest.mark.parametrize("kind", ["nsec", "nsec3"])
def test_keys_of_dnssec_keygen_sign_a_zone_when_it_is_loaded(kind: str, tmp_path: Path) -> None:
    for flags in (["-f", "KSK"], []):
        run("dnssec-keygen", "-q", "-K", str(tmp_path), "-a", "ECDSAP256SHA256", *flags, ORIGIN)
    anchor = next(path for path in tmp_path.glob("*.key") if "DNSKEY 257" in path.read_text())
    with served(tmp_path, "--sign-keys", str(tmp_path), *["--nsec3"] * (kind == "nsec3"), zone=ZONE) as port:
        key = anchor.read_text().splitlines()[-1].split(maxsplit=6)
        (tmp_path / "anchor").write_text(
            f'trust-anchors {{ {key[0]} static-key {key[3]} {key[4]} {key[5]} "{key[6].replace(" ", "")}"; }};\n'
        )
        delv = ["-p", str(port), f"@{HOST}", "-a", str(tmp_path / "anchor"), "+root=example.com"]
        assert "; fully validated" in run("delv", *delv, "a.example.com", "A")
        assert "negative response, fully validated" in run("delv", *delv, "none.example.com", "A")
        assert "negative response, fully validated" in run("delv", *delv, "a.example.com", "MX")
        assert "; fully validated" in run("delv", *delv, "q.w.example.com", "A")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", ["nsd", "named"])
def test_the_answers_of_a_signed_zone_are_those_of_its_peers(kind: str, program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    signed = sign(tmp_path, *KINDS[kind])
    flags, configuration = (["-d"], NSD) if program == "nsd" else (["-g"], NAMED_ANY_NAMES)
    own_flags = ["--minimal-responses", "no", "--udp-size", "4096"]
    differing = {}
    with served(tmp_path, *own_flags, zone=signed) as own, peer(tmp_path, program, flags, configuration) as other:
        for name, rtype in itertools.product(NAMES.split(), TYPES.split()):
            found, expected = ask(own, name, rtype), ask(other, name, rtype)
            if found != expected and not decided(program, kind, name, rtype):
                differing[name, rtype] = found, expected
    assert differing == {}
