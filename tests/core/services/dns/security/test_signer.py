"""Signer: which RRsets are signed, by which keys, and what the denial records say."""

from __future__ import annotations

import pytest

from lab7.services.dns.codec.codes import RRType, type_to_text
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import DNSKEY, DS, NSEC, NSEC3, RRSIG
from lab7.services.dns.security.algorithms import Algorithm
from lab7.services.dns.security.keys import derived_keys, ds_of
from lab7.services.dns.security.nsec3 import hash_label, nsec3_hash
from lab7.services.dns.security.signature import ValidationBudget, Verified, verify_rrset
from lab7.services.dns.security.signer import Nsec3Policy, SigningPolicy, sign_zone
from lab7.services.dns.sign import main, zone_text
from lab7.services.dns.zones.zone import Zone
from lab7.services.errors import ServiceError
from tests.core.services.dns.security.records import name
from tests.core.services.dns.security.zones import NOW, keys_of, signed, unsigned

TEXT = """
@ NS ns
ns A 192.0.2.1
www 30 A 192.0.2.2
www 90 TXT "two TTLs at one name"
secure NS ns.secure
ns.secure A 192.0.2.3
insecure NS ns.insecure
ns.insecure A 192.0.2.4
deep.insecure2 NS ns
a.b.ent TXT "b and ent are empty non-terminals"
old DNAME www
"""
ZONE = "example."


def types_of(zone: Zone, owner: str) -> set[str]:
    return {type_to_text(rtype) for rtype in zone.signatures.get(name(owner).folded, {})}


def test_what_is_authoritative_is_signed_and_nothing_else() -> None:
    zone = signed(ZONE, TEXT, children=("secure.example.",))
    assert types_of(zone, "example.") == {"SOA", "NS", "DNSKEY", "CDS", "CDNSKEY", "NSEC"}
    assert types_of(zone, "www.example.") == {"A", "TXT", "NSEC"}
    assert types_of(zone, "secure.example.") == {"DS", "NSEC"}
    assert types_of(zone, "insecure.example.") == {"NSEC"}
    for glue in ("ns.secure.example.", "ns.insecure.example.", "b.ent.example.", "insecure2.example."):
        assert types_of(zone, glue) == set()


def test_every_signature_is_valid_has_the_ttl_of_its_rrset_and_is_by_the_right_key() -> None:
    zone = signed(ZONE, TEXT, children=("secure.example.",))
    ksk, zsk = keys_of(ZONE)
    count = 0
    for key, node in {**zone.nodes, **zone.hashed}.items():
        for rtype, rrsigs in zone.signatures.get(key, {}).items():
            found = [rdata for rdata in rrsigs.rdatas if isinstance(rdata, RRSIG)]
            outcome = verify_rrset(node[rtype], found, zone.origin, [ksk.dnskey, zsk.dnskey], NOW, ValidationBudget())
            assert isinstance(outcome, Verified), outcome
            assert rrsigs.ttl == node[rtype].ttl
            by_ksk = rtype in (RRType.DNSKEY, RRType.CDS, RRType.CDNSKEY)
            assert [rdata.key_tag for rdata in found] == [ksk.tag if by_ksk else zsk.tag]
            count += 1
    assert count > 15


def test_the_nsec_records_are_one_closed_chain_in_canonical_order() -> None:
    zone = signed(ZONE, TEXT, children=("secure.example.",))
    records = {
        node[RRType.NSEC].name: node[RRType.NSEC].rdatas[0] for node in zone.nodes.values() if RRType.NSEC in node
    }
    walked, at = [], zone.origin
    for _ in records:
        walked.append(at)
        rdata = records[at]
        assert isinstance(rdata, NSEC)
        at = rdata.next
    assert at == zone.origin
    assert walked == sorted(records)
    assert name("ns.secure.example.") not in records
    cut = records[name("secure.example.")]
    assert isinstance(cut, NSEC)
    assert {type_to_text(rtype) for rtype in cut.types} == {"NS", "DS", "RRSIG", "NSEC"}


@pytest.mark.parametrize(("opt_out", "missing"), [(False, set()), (True, {"insecure", "deep.insecure2", "insecure2"})])
def test_nsec3_hashes_every_name_but_unsigned_delegations_where_they_opt_out(opt_out: bool, missing: set[str]) -> None:
    zone = signed(ZONE, TEXT, Nsec3Policy(bytes(2), 3, opt_out), children=("secure.example.",))
    names = {"@", "ns", "www", "secure", "insecure", "deep.insecure2", "insecure2", "a.b.ent", "b.ent", "ent", "old"}
    owners = {
        hash_label(nsec3_hash(name("example." if one == "@" else f"{one}.example."), bytes(2), 3))
        for one in names - missing
    }
    assert {key[0] for key in zone.hashed} == owners
    for node in zone.hashed.values():
        (rdata,) = node[RRType.NSEC3].rdatas
        assert isinstance(rdata, NSEC3)
        assert rdata.flags == opt_out
    empty = zone.hashed[hash_label(nsec3_hash(name("ent.example."), bytes(2), 3)), b"example"]
    (rdata,) = empty[RRType.NSEC3].rdatas
    assert isinstance(rdata, NSEC3)
    assert rdata.types == ()


def test_the_apex_announces_the_key_to_its_parent() -> None:
    zone = signed(ZONE, TEXT)
    ksk, zsk = keys_of(ZONE)
    assert set(zone.apex[RRType.DNSKEY].rdatas) == {ksk.dnskey, zsk.dnskey}
    assert zone.apex[RRType.CDNSKEY].rdatas == (ksk.dnskey,)
    assert zone.apex[RRType.CDS].rdatas == (ds_of(zone.origin, ksk.dnskey),)


def test_a_delegation_gets_the_ds_of_its_child_and_a_name_that_is_none_does_not() -> None:
    zone = signed(ZONE, TEXT, children=("secure.example.", "www.example.", "gone.example."))
    (record,) = zone.nodes[name("secure.example.").folded][RRType.DS].rdatas
    assert isinstance(record, DS)
    assert record.key_tag == keys_of("secure.example.")[0].tag
    assert RRType.DS not in zone.nodes[name("www.example.").folded]
    assert name("gone.example.").folded not in zone.nodes


def test_one_key_has_both_roles_and_two_algorithms_both_sign() -> None:
    policy, plain = SigningPolicy.at(NOW), unsigned(ZONE, TEXT)
    (ksk, _), (other, other_zsk) = keys_of(ZONE), derived_keys(name(ZONE), "other", Algorithm.ECDSAP256SHA256)
    single = sign_zone(plain, [ksk], policy)
    for node in single.signatures.values():
        for rrset in node.values():
            assert [rdata.key_tag for rdata in rrset.rdatas if isinstance(rdata, RRSIG)] == [ksk.tag]
    both = sign_zone(plain, [ksk, other, other_zsk], policy)
    for node in both.signatures.values():
        for rrset in node.values():
            assert {rdata.algorithm for rdata in rrset.rdatas if isinstance(rdata, RRSIG)} == {15, 13}
    with pytest.raises(ServiceError, match="no key of the zone"):
        sign_zone(plain, keys_of("other."), policy)


@pytest.mark.parametrize("nsec3", [None, Nsec3Policy()])
def test_a_signed_zone_survives_its_master_file_and_is_the_same_each_time(nsec3: Nsec3Policy | None) -> None:
    zone = signed(ZONE, TEXT, nsec3)
    text = zone_text(zone)
    assert text == zone_text(signed(ZONE, TEXT, nsec3))
    warnings: list[str] = []
    again = Zone.from_entries(parse_master_file(text, name(ZONE)), None, warnings.append)
    assert warnings == []
    assert zone_text(again) == text
    # Signing again replaces what was generated, and adds no key.
    twice = sign_zone(again, keys_of(ZONE), SigningPolicy.at(NOW, nsec3))
    assert zone_text(twice) == text


def test_the_command_makes_keys_signs_and_prints_the_ds(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "example.zone"
    path.write_text("$TTL 60\nexample. SOA ns.other. host.other. 1 2 3 4 5\nexample. NS ns.other.\n")
    assert main(["--generate", "example", "-K", str(tmp_path)]) == 0
    assert main([str(path), "-K", str(tmp_path), "-3", "-"]) == 0
    assert main(["--ds", "example", "-K", str(tmp_path)]) == 0
    *_, output, ds_line = capsys.readouterr().out.splitlines()
    assert output == f"{path}.signed"
    zone = Zone.from_entries(parse_master_file((tmp_path / "example.zone.signed").read_text(), Name()))
    (ksk,) = [key for key in zone.apex[RRType.DNSKEY].rdatas if isinstance(key, DNSKEY) and key.flags & 1]
    assert ds_line == f"example. IN DS {ds_of(zone.origin, ksk).to_text()}"


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["-K", "nowhere"], "has no key"),
        (["--seed", "x", "-H", "3"], "use -3"),
        (["--seed", "x", "-s", "20300101000000", "-e", "20200101000000"], "not after the inception"),
        (["--seed", "x", "-a", "RSASHA256"], "no key can be derived"),
        (["--seed", "x", "-f", "/nowhere/at/all"], "cannot write"),
    ],
)
def test_a_wrong_option_is_one_sentence(flags: list[str], reason: str, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "example.zone"
    path.write_text("$TTL 60\nexample. SOA ns.other. host.other. 1 2 3 4 5\nexample. NS ns.other.\n")
    assert main([str(path), *flags]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert reason in errors[0]
