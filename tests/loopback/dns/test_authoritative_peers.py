"""Authoritative server beside BIND and NSD: the same zone, the same queries, and the differences that are decided."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import pytest

from tests.loopback.dns.authority import HOST, PATIENCE_S, served

pytestmark = pytest.mark.slow

ORIGIN = "example.com."
ZONE = """$ORIGIN example.com.
$TTL 60
@        SOA   ns hostmaster 1 2 3 4 5
         NS    ns
         NS    ns.other.test.
         MX    10 a
ns       A     192.0.2.1
         AAAA  2001:db8::1
a        A     192.0.2.2
c        CNAME a
out      CNAME www.other.test.
mx       MX    10 a
mx       MX    20 mail.other.test.
mxwild   MX    1 host.w
mxglue   MX    1 ns.sub
*.w      A     192.0.2.3
*.w      MX    1 a
ent.x.y  A     192.0.2.4
sub      NS    ns.sub
sub      NS    ns.sib
sub      DS    1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF
ns.sub   A     192.0.2.5
sib      NS    ns.sib
ns.sib   A     192.0.2.6
tosub    CNAME x.sub
d        DNAME a.d
e        DNAME t
x.t      A     192.0.2.7
loop     CNAME loop2
loop2    CNAME loop
srv      SRV   1 1 1 a
big      TXT   {big}
full     TXT   {full}
svc      HTTPS 1 . alpn=h2 port=8443
""".format(big='"{}"'.format("b" * 250) + " bbb" * 40, full='"{}" "{}"'.format("f" * 240, "f" * 218))
NAMES = """
@ ns a c out mx w x.w y.x.w *.w ent.x.y x.y y z.x.y none sub x.sub ns.sub sib ns.sib x.sib tosub d x.d a.d e x.e none.e
t loop srv big full svc mxwild mxglue
"""
TYPES = "A AAAA NS SOA MX TXT CNAME DNAME ANY DS SRV DNSKEY HTTPS TYPE65280 HINFO NSEC"

NAMED = """options {{ directory "{folder}"; pid-file none; listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; recursion no; zero-no-soa-ttl no; session-keyfile none; }};
controls {{ }};
zone "example.com" {{ type primary; file "{folder}/example.com.zone"; }};
"""
NSD = """server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  pidfile: ""
  database: ""
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  zonesdir: "{folder}"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
"""
Answer = dict[str, object]
Question = tuple[str, str, bool, bool]


@contextmanager
def peer(folder: Path, program: str, flags: list[str], configuration: str) -> Iterator[int]:
    """Run a peer for the zone in `folder`, and yield its port."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    (folder / f"{program}.conf").write_text(configuration.format(folder=folder, port=port))
    command = [program, *flags, "-c", str(folder / f"{program}.conf")]
    with (folder / f"{program}.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            for _ in range(int(4 * PATIENCE_S)):
                try:
                    dns.query.udp(dns.message.make_query(ORIGIN, "SOA"), HOST, port=port, timeout=0.25)
                    break
                except (dns.exception.Timeout, OSError):
                    assert process.poll() is None, (folder / f"{program}.log").read_text()
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def ask(port: int, question: Question) -> Answer:
    name, rtype, rd, edns = question
    query = dns.message.make_query(ORIGIN if name == "@" else f"{name}.{ORIGIN}", rtype, use_edns=0 if edns else False)
    query.flags = dns.flags.RD if rd else dns.flags.Flag(0)
    found = dns.query.udp(query, HOST, port=port, timeout=PATIENCE_S)
    answer: Answer = {"rcode": found.rcode(), "flags": dns.flags.to_text(found.flags), "edns": found.edns}
    for title, section in (("answer", found.answer), ("authority", found.authority), ("additional", found.additional)):
        answer[title] = sorted(line.lower() for rrset in section for line in rrset.to_text().splitlines())
    return answer


def decided_bind(question: Question) -> bool:
    """Tell whether the answer differs from BIND's, and is NSD's.

    BIND expands no wildcard for the additional section. It applies a DNAME that leads below itself eleven times, and
    answers it and a loop of aliases with SERVFAIL; for NSEC it does not follow an alias that has none; it adds the NS
    set to a synthesized CNAME that is the question, and sends a part of the set with TC where the whole does not fit.
    """
    name, rtype, _, edns = question
    loop = name in ("x.d", "a.d", "loop")
    partial = name == "full" and rtype in ("TXT", "ANY") and not edns
    synthesized = name in ("x.e", "none.e") and rtype == "CNAME"
    expanded = (name, rtype) == ("mxwild", "MX")
    return loop or partial or synthesized or expanded or (rtype == "NSEC" and name in ("c", "out", "tosub"))


def test_the_answers_are_those_of_nsd(tmp_path: Path) -> None:
    """Except for ANY, of which NSD sends one RRset (RFC 8482), and for RD, which changes nothing in NSD."""
    with served(tmp_path, zone=ZONE) as own, peer(tmp_path, "nsd", ["-d"], NSD) as nsd:
        for question in itertools.product(NAMES.split(), TYPES.split(), (False,), (False, True)):
            if question[1] != "ANY":
                assert ask(own, question) == ask(nsd, question), question


def test_the_answers_are_those_of_bind(tmp_path: Path) -> None:
    with served(tmp_path, zone=ZONE) as own, peer(tmp_path, "named", ["-g"], NAMED) as named:
        for question in itertools.product(NAMES.split(), TYPES.split(), (False, True), (False, True)):
            if not decided_bind(question):
                assert ask(own, question) == ask(named, question), question
