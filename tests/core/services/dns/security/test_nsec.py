"""Denial by NSEC: the proofs of RFC 4035 Appendix B, and records that do not prove what a response claims."""

from __future__ import annotations

import pytest

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.security.nsec import Denial, NsecRecord, denies_closer, denies_name, denies_type
from tests.core.services.dns.security.records import EXAMPLE, name, nsec

# The NSEC chain of RFC 4035 Appendix A.
CHAIN = [
    nsec("example.", "a.example.", "NS SOA MX RRSIG NSEC DNSKEY"),
    nsec("a.example.", "ai.example.", "NS DS RRSIG NSEC"),
    nsec("ai.example.", "b.example.", "A HINFO AAAA RRSIG NSEC"),
    nsec("b.example.", "ns1.example.", "NS RRSIG NSEC"),
    nsec("ns1.example.", "ns2.example.", "A RRSIG NSEC"),
    nsec("ns2.example.", "*.w.example.", "A RRSIG NSEC"),
    nsec("*.w.example.", "x.w.example.", "MX RRSIG NSEC"),
    nsec("x.w.example.", "x.y.w.example.", "MX RRSIG NSEC"),
    nsec("x.y.w.example.", "xx.example.", "MX RRSIG NSEC"),
    nsec("xx.example.", "example.", "A HINFO AAAA RRSIG NSEC"),
]


def records(*owners: str) -> list[NsecRecord]:
    return [record for record in CHAIN if str(record.owner) in owners]


def test_b2_name_error() -> None:
    assert denies_name(records("b.example.", "example."), name("ml.example."), EXAMPLE) is Denial.PROVEN
    # Each of the two is needed.
    for one in ("b.example.", "example."):
        assert denies_name(records(one), name("ml.example."), EXAMPLE) is Denial.NOT_PROVEN


def test_b3_no_data() -> None:
    assert denies_type(records("ns1.example."), name("ns1.example."), RRType.MX, EXAMPLE) is Denial.PROVEN
    assert denies_type(records("ns1.example."), name("ns1.example."), RRType.A, EXAMPLE) is Denial.NOT_PROVEN
    assert denies_type(records("ns2.example."), name("ns1.example."), RRType.MX, EXAMPLE) is Denial.NOT_PROVEN


def test_b5_an_unsigned_delegation_has_no_ds() -> None:
    assert denies_type(records("b.example."), name("b.example."), RRType.DS, EXAMPLE) is Denial.PROVEN
    assert denies_type(records("a.example."), name("a.example."), RRType.DS, EXAMPLE) is Denial.NOT_PROVEN


def test_b6_wildcard_expansion() -> None:
    answer = name("a.z.w.example.")
    assert denies_closer(records("x.y.w.example."), answer, 2, EXAMPLE) is Denial.PROVEN
    assert denies_closer(records("x.w.example."), answer, 2, EXAMPLE) is Denial.NOT_PROVEN
    # x.y.w.example exists, so its own wildcard would have been the source of an answer for a.y.w.example.
    assert denies_closer(records("x.w.example."), name("a.y.w.example."), 2, EXAMPLE) is Denial.NOT_PROVEN


def test_b7_wildcard_no_data() -> None:
    proof = records("x.y.w.example.", "*.w.example.")
    assert denies_type(proof, name("a.z.w.example."), RRType.AAAA, EXAMPLE) is Denial.PROVEN
    assert denies_type(proof, name("a.z.w.example."), RRType.MX, EXAMPLE) is Denial.NOT_PROVEN
    assert denies_type(records("x.y.w.example."), name("a.z.w.example."), RRType.AAAA, EXAMPLE) is Denial.NOT_PROVEN


def test_b8_ds_at_the_apex_is_denied_by_the_parent_only() -> None:
    assert denies_type(records("example."), EXAMPLE, RRType.DS, EXAMPLE) is Denial.NOT_PROVEN
    root = [nsec(".", "example.", "NS SOA RRSIG NSEC DNSKEY")]
    assert denies_type(root, name("."), RRType.DS, name(".")) is Denial.PROVEN


def test_an_empty_non_terminal_has_no_data_and_is_no_missing_name() -> None:
    for owner, empty in (("ns2.example.", "w.example."), ("x.w.example.", "y.w.example.")):
        assert denies_type(records(owner), name(empty), RRType.A, EXAMPLE) is Denial.PROVEN
        assert denies_name(CHAIN, name(empty), EXAMPLE) is Denial.NOT_PROVEN


def test_the_parents_side_of_a_cut_denies_nothing_of_the_child() -> None:
    assert denies_name(CHAIN, name("mc.b.example."), EXAMPLE) is Denial.NOT_PROVEN
    assert denies_type(records("b.example."), name("b.example."), RRType.A, EXAMPLE) is Denial.NOT_PROVEN
    dname = [nsec("d.example.", "f.example.", "DNAME RRSIG NSEC"), *CHAIN]
    assert denies_name(dname[:1], name("x.d.example."), EXAMPLE) is Denial.NOT_PROVEN


def test_an_alias_has_every_type() -> None:
    alias = [nsec("c.example.", "d.example.", "CNAME RRSIG NSEC")]
    assert denies_type(alias, name("c.example."), RRType.A, EXAMPLE) is Denial.NOT_PROVEN


@pytest.mark.parametrize("missing", ["ml.example.", "zz.example.", "a.xx.example.", "*.example.", "0.example."])
def test_the_whole_chain_denies_each_missing_name(missing: str) -> None:
    assert denies_name(CHAIN, name(missing), EXAMPLE) is Denial.PROVEN


@pytest.mark.parametrize("present", ["ns1.example.", "x.y.w.example.", "q.w.example.", "a.example.", "other."])
def test_the_whole_chain_denies_no_other_name(present: str) -> None:
    assert denies_name(CHAIN, name(present), EXAMPLE) is Denial.NOT_PROVEN
