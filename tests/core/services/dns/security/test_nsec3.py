"""Denial by NSEC3: the hashes of RFC 5155 Appendix A, the proofs of Appendix B, opt-out, and false proofs."""

from __future__ import annotations

import base64

import dns.dnssec
import pytest

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.name import Name
from lab7.services.dns.security import nsec3 as nsec3_module
from lab7.services.dns.security.nsec import Denial
from lab7.services.dns.security.nsec3 import ITERATIONS_MAX, Nsec3Proof, hash_label, hash_of_label, nsec3_hash
from lab7.services.dns.security.signature import HASHES_MAX, ValidationBudget, ValidationLimitError
from tests.core.services.dns.security.records import EXAMPLE, name, nsec3

SALT = bytes.fromhex("aabbccdd")
HASHES = {
    "example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example.": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "ns2.example.": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "w.example.": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
    "y.w.example.": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
}
# The NSEC3 chain of Appendix A, in which all spans opt out: hash, next hash, types.
CHAIN = """
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG
2t7b4g4vsa5smi47k61mv5bv1a22bojr 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
2vptu5timamqttgl4luu9kg21e0aor3s 35mthgpgcu1qg68fab165klnsnk3dpvl MX RRSIG
35mthgpgcu1qg68fab165klnsnk3dpvl b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG
b4um86eghhds6nea196smvmlo4ors995 gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG
gjeqe526plbf1g8mklp59enfd789njgi ji6neoaepv8b5o6k4ev33abha8ht9fgc HINFO A AAAA RRSIG
ji6neoaepv8b5o6k4ev33abha8ht9fgc k8udemvp1j2f7eg6jebps17vp3n8i58h
k8udemvp1j2f7eg6jebps17vp3n8i58h kohar7mbb8dc2ce8a9qvl8hon4k53uhi
kohar7mbb8dc2ce8a9qvl8hon4k53uhi q04jkcevqvmu85r014c7dkba38o0ji5r A RRSIG
q04jkcevqvmu85r014c7dkba38o0ji5r r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG
r53bq7cc2uvmubfu5ocmm6pers9tk9en t644ebqk9bibcna874givr6joj62mlhv MX RRSIG
t644ebqk9bibcna874givr6joj62mlhv 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom HINFO A AAAA RRSIG
"""


def proof(*hashes: str, flags: int = 1, budget: ValidationBudget | None = None) -> Nsec3Proof:
    """Return the records of these hashes, all of them by default."""
    lines = [line.split(maxsplit=2) for line in CHAIN.split("\n") if line]
    texts = [
        f"{words[0]}.example. 1 {flags} 12 aabbccdd {' '.join(words[1:])}"
        for words in lines
        if not hashes or words[0][:4] in hashes
    ]
    return Nsec3Proof(map(nsec3, texts), EXAMPLE, budget or ValidationBudget())


@pytest.mark.parametrize(("owner", "expected"), HASHES.items())
def test_the_hashes_of_rfc_5155(owner: str, expected: str) -> None:
    octets = nsec3_hash(name(owner.upper()), SALT, 12)
    assert hash_label(octets).decode() == expected
    assert hash_of_label(expected.upper().encode()) == octets


@pytest.mark.parametrize("iterations", [0, 1, 150])
def test_dnspython_computes_the_same_hash(iterations: int) -> None:
    theirs = dns.dnssec.nsec3_hash("a.Example.", SALT, iterations, "SHA1")
    assert hash_label(nsec3_hash(name("a.example."), SALT, iterations)).decode() == theirs.lower()


def test_b1_name_error() -> None:
    found = proof("0p9m", "b4um", "35mt").denies_name(name("a.c.x.w.example."))
    # The span that covers the next closer name opts out, so the answer is proven and insecure.
    assert found is Denial.OPT_OUT
    assert proof("0p9m", "b4um", "35mt", flags=0).denies_name(name("a.c.x.w.example.")) is Denial.PROVEN
    for missing in (("b4um", "35mt"), ("0p9m", "35mt")):
        assert proof(*missing, flags=0).denies_name(name("a.c.x.w.example.")) is Denial.NOT_PROVEN


def test_b2_no_data() -> None:
    assert proof("2t7b").denies_type(name("ns1.example."), RRType.MX) is Denial.PROVEN
    assert proof("2t7b").denies_type(name("ns1.example."), RRType.A) is Denial.NOT_PROVEN


def test_b2_1_empty_non_terminal() -> None:
    assert proof("ji6n").denies_type(name("y.w.example."), RRType.A) is Denial.PROVEN
    assert proof().denies_name(name("y.w.example.")) is Denial.NOT_PROVEN


def test_b3_an_opt_out_span_covers_an_unsigned_delegation() -> None:
    records = proof("35mt", "0p9m")
    assert records.is_unsigned_cut(name("c.example."))
    assert records.denies_type(name("c.example."), RRType.DS) is Denial.OPT_OUT
    assert not proof("35mt", "0p9m", flags=0).is_unsigned_cut(name("c.example."))
    assert proof("35mt", "0p9m", flags=0).denies_type(name("c.example."), RRType.DS) is Denial.NOT_PROVEN


def test_b4_wildcard_expansion() -> None:
    assert proof("q04j", flags=0).denies_closer(name("a.z.w.example."), 2) is Denial.PROVEN
    assert proof("q04j").denies_closer(name("a.z.w.example."), 2) is Denial.OPT_OUT
    assert proof("0p9m").denies_closer(name("a.z.w.example."), 2) is Denial.NOT_PROVEN


def test_b5_wildcard_no_data() -> None:
    records = proof("k8ud", "q04j", "r53b", flags=0)
    assert records.denies_type(name("a.z.w.example."), RRType.AAAA) is Denial.PROVEN
    assert records.denies_type(name("a.z.w.example."), RRType.MX) is Denial.NOT_PROVEN
    assert proof("k8ud", "q04j", flags=0).denies_type(name("a.z.w.example."), RRType.AAAA) is Denial.NOT_PROVEN


def test_b6_ds_at_the_apex_is_denied_by_the_parent_only() -> None:
    assert proof("0p9m").denies_type(EXAMPLE, RRType.DS) is Denial.NOT_PROVEN


def test_the_parents_side_of_a_cut_denies_nothing_of_the_child() -> None:
    assert proof(flags=0).denies_name(name("mc.a.example.")) is Denial.NOT_PROVEN
    assert proof(flags=0).denies_type(name("a.example."), RRType.A) is Denial.NOT_PROVEN


def test_records_of_another_zone_algorithm_or_salt_are_ignored() -> None:
    owner, rdata = nsec3(f"{HASHES['ns1.example.']}.example. 1 0 12 aabbccdd {HASHES['x.y.w.example.']} A RRSIG")
    budget = ValidationBudget()
    assert Nsec3Proof([(owner, rdata)], EXAMPLE, budget)
    for text in (
        f"{HASHES['ns1.example.']}.other. 1 0 12 aabbccdd {HASHES['x.y.w.example.']} A",
        f"{HASHES['ns1.example.']}.example. 2 0 12 aabbccdd {HASHES['x.y.w.example.']} A",
        f"{HASHES['ns1.example.']}.example. 1 2 12 aabbccdd {HASHES['x.y.w.example.']} A",
        f"nohash.example. 1 0 12 aabbccdd {HASHES['x.y.w.example.']} A",
    ):
        assert not Nsec3Proof([nsec3(text)], EXAMPLE, budget)
    other = nsec3(f"{HASHES['w.example.']}.example. 1 0 12 bb {HASHES['x.y.w.example.']} A")
    both = Nsec3Proof([(owner, rdata), other], EXAMPLE, budget)
    assert both.denies_type(name("w.example."), RRType.A) is Denial.NOT_PROVEN


def test_the_hashes_of_a_resolution_are_bounded() -> None:
    budget = ValidationBudget()
    long = name("a." * 120 + "example.")
    assert HASHES_MAX < 2 * 121
    proof("0p9m", budget=budget).denies_name(long)
    with pytest.raises(ValidationLimitError):
        proof("0p9m", budget=budget).denies_name(long)
    assert budget.hashes == 0


def test_a_label_that_is_no_hash() -> None:
    assert hash_of_label(b"www!") is None
    assert hash_of_label(base64.b32hexencode(bytes(20))) == bytes(20)


def test_many_iterations_leave_fewer_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2023-50868: 128 hashes of 150 iterations are 19,000 of SHA-1, and tens of milliseconds a question."""
    work: list[int] = []

    def counted(qname: Name, salt: bytes, iterations: int) -> bytes:
        work.append(1 + iterations)
        return nsec3_hash(qname, salt, iterations)

    monkeypatch.setattr(nsec3_module, "nsec3_hash", counted)
    owner, rdata = nsec3(f"{HASHES['ns1.example.']}.example. 1 0 {ITERATIONS_MAX} - {HASHES['x.y.w.example.']} A RRSIG")
    with pytest.raises(ValidationLimitError):
        Nsec3Proof([(owner, rdata)], EXAMPLE, ValidationBudget()).denies_name(name("a." * 120 + "example."))
    assert len(work) >= 8
    assert sum(work) < 2500
