"""Eleven bugs of a student's DNS server: the edits that make each, the stage that it fails, and its message."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments.programs.bug import Bug

SERVER = Path(__file__).with_name("dns_server.py")
BUGS = (
    Bug("no-qr", (("bits = 0x8000 | ", "bits = "),), "address", ("without QR", "RFC 1035 section 4.1.1")),
    Bug(
        "id",
        (('struct.pack(">6H", number,', 'struct.pack(">6H", number ^ 0x8000,'),),
        "address",
        ("no query from this port", "RFC 1035 section 4.1.1"),
    ),
    Bug(
        "rdlength",
        (("ttl, len(rdata)) + rdata", "ttl, len(rdata) + 2) + rdata"),),
        "address",
        ("RDLENGTH 6", "RFC 1035 section 3.4.1"),
    ),
    Bug(
        "first-only",
        (("found = self.find(name, rtype)\n", "found = self.find(name, rtype)[: 2 if rtype == A else 1]\n"),),
        "records",
        ("lacks a record", "example.com.", "IN MX"),
    ),
    Bug(
        "cname-alone",
        (("found = [*alias, *self.find(self.target(name, CNAME), rtype)]", "found = alias"),),
        "alias",
        ("the answer section lacks a record", "RFC 1034 section 3.6.2"),
    ),
    Bug(
        "noerror",
        (("return 3, True, [], self.soa(), []", "return 0, True, [], self.soa(), []"),),
        "negative",
        ("NOERROR to ", "NXDOMAIN", "RFC 1035 section 4.1.1"),
    ),
    Bug(
        "no-soa",
        (("[] if found else self.soa(), []", "[], []"),),
        "negative",
        ("NODATA without SOA", "RFC 2308 section 3"),
    ),
    Bug(
        "no-glue",
        (("self.find(cut, NS), glue", "self.find(cut, NS), []"),),
        "referral",
        ("without its address", "RFC 1034"),
    ),
    Bug(
        "never-truncates",
        (("truncated = not tcp and size > limit", "truncated = False"),),
        "tcp",
        ("the query permits 512", "RFC 6891 section 6.2.5"),
    ),
    Bug(
        "no-opt",
        (('opt = b"\\0" + struct.pack(">HHIH", OPT, 1232, 0, 0)', "pass"),),
        "edns",
        ("no OPT record", "RFC 6891 section 6.1.1"),
    ),
    Bug(
        "case",
        (('".".join([*labels, ""]).lower()', '".".join([*labels, ""])'),),
        "robustness",
        ("REFUSED to ", "RFC 1035 section 2.3.3"),
    ),
)
