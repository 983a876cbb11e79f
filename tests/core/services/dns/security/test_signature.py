"""Signatures: the examples of the RFCs, dnspython as the other side in both directions, and each way to be invalid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import type_to_text
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.rdata_security import DNSKEY, RRSIG
from lab7.services.dns.security.algorithms import Algorithm, derive_key, generate_key
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.security.keys import REVOKED, SigningKey, key_tag
from lab7.services.dns.security.signature import (
    FAILURES_MAX,
    KEYS_PER_SIGNATURE_MAX,
    SIGNATURES_PER_RRSET_MAX,
    ValidationBudget,
    ValidationLimitError,
    Verified,
    is_before,
    sign_rrset,
    verify_rrset,
)
from tests.core.services.dns.security.records import (
    EXAMPLE,
    RFC4035_KEYS,
    RFC4035_NOW,
    dnskeys,
    name,
    rfc4035_signature,
    rrset,
    signature,
)

NOW = 1_000_000_000
INCEPTION, EXPIRATION = NOW - 3600, NOW + 86_400
WWW = rrset("www.example. 3600 A 192.0.2.1\nwww.example. 3600 A 192.0.2.2\n")
SIGNERS = [
    Algorithm.RSASHA256,
    Algorithm.ECDSAP256SHA256,
    Algorithm.ECDSAP384SHA384,
    Algorithm.ED25519,
    Algorithm.ED448,
]


def key_of(algorithm: int = Algorithm.ED25519, secret: bytes = b"1", flags: int = 256) -> SigningKey:
    made = generate_key(algorithm) if algorithm == Algorithm.RSASHA256 else derive_key(algorithm, secret)
    return SigningKey.of(EXAMPLE, made, flags)


def verified(
    data: RRset, *signatures: RRSIG, keys: list[DNSKEY], now: int = NOW, budget: ValidationBudget | None = None
) -> Verified | ExtendedError:
    return verify_rrset(data, signatures, EXAMPLE, keys, now, budget or ValidationBudget())


def code(outcome: Verified | ExtendedError) -> int:
    assert isinstance(outcome, ExtendedError)
    return outcome.code


# RFC 4035 Appendix B: (the RRset, type, labels, signature).
B1 = [
    (
        "x.w.example. 3600 MX 1 xx.example.",
        3,
        "Il2WTZ+Bkv+OytBx4LItNW5mjB4RCwhOO8y1XzPHZmZUTVYL7LaA63f6T9ysVBzJRI3KRjAPH3U1qaYnDoN1DrWqmi9RJe4FoObkbcdm7P3I"
        "kx70ePCoFgRz1Yq+bVVXCvGuAU4xALv3W/Y1jNSlwZ2mSWKHfxFQxPtLj8s32+k=",
    ),
    (
        "example. 3600 NS ns1.example.\nexample. 3600 NS ns2.example.",
        1,
        "gl13F00f2U0R+SWiXXLHwsMY+qStYy5k6zfdEuivWc+wd1fmbNCyql0Tk7lHTX6UOxc8AgNf4ISFve8XqF4q+o9qlnqIzmppU3LiNeKT4FZ8"
        "RO5urFOvoMRTbQxW3U0hXWuggE4g3ZpsHv480HjMeRaZB/FRPGfJPajngcq6Kwg=",
    ),
    (
        "xx.example. 3600 AAAA 2001:db8::f00:baaa",
        2,
        "Zzj0yodDxcBLnnOIwDsuKo5WqiaK24DlKg9CaGaxDFiKgKobUj2jilYQHpGFn2poFRetZd4zulyQkssz2QHrVrPuTMS22knudCiwP4LWpVTr"
        "U4zfeA+rDz9stmSBP/4PekH/x2IoAYnwctd/xS9cL2QgW7FChw16mzlkH6/vsfs=",
    ),
    (
        "example. 3600 SOA ns1.example. bugs.x.w.example. 1081539377 3600 300 3600000 3600",
        1,
        "ONx0k36rcjaxYtcNgq6iQnpNV5+drqYAsC9h7TSJaHCqbhE67Sr6aH2xDUGcqQWu/n0UVzrFvkgO9ebarZ0GWDKcuwlM6eNB5SiX2K74l5LW"
        "DA7S/Un/IbtDq4Ay8NMNLQI7Dw7n4p8/rjkBjV7j86HyQgM5e7+miRAz8V01b0I=",
    ),
    (
        "b.example. 3600 NSEC ns1.example. NS RRSIG NSEC",
        2,
        "GNuxHn844wfmUhPzGWKJCPY5ttEX/RfjDoOx9ueK1PtYkOWKOOdiJ/PJKCYB3hYX+858dDWSxb2qnV/LSTCNVBnkm6owOpysY97MVj5VQEWs"
        "0lm9tFoqjcptQkmQKYPrwUnCSNwvvclSF1xZvhRXgWT7OuFXldoCG6TfVFMs9xE=",
    ),
]
# B.6: an answer that the wildcard *.w.example made.
B6 = (
    "a.z.w.example. 3600 MX 1 ai.example.",
    "OMK8rAZlepfzLWW75Dxd63jy2wswESzxDKG2f9AMN1CytCd10cYISAxfAdvXSZ7xujKAtPbctvOQ2ofO7AZJ+d01EeeQTVBPq4/6KCWhqe2X"
    "TjnkVLNvvhnc0u28aoSsG0+4InvkkOHknKxw4kX18MMR34i8lC36SR5xBni8vHI=",
)


@pytest.mark.parametrize(("text", "labels", "octets"), B1)
def test_the_signatures_of_rfc_4035_are_valid(text: str, labels: int, octets: str) -> None:
    data = rrset(text)
    signed = rfc4035_signature(type_to_text(data.rtype), labels, octets)
    outcome = verified(data, signed, keys=dnskeys(RFC4035_KEYS), now=RFC4035_NOW)
    assert isinstance(outcome, Verified)
    assert not outcome.is_expanded(data.name)
    before = verified(data, signed, keys=dnskeys(RFC4035_KEYS), now=signed.inception - 1)
    assert code(before) == ErrorCode.SIGNATURE_NOT_YET_VALID


def test_an_answer_of_a_wildcard_is_valid_and_known_as_one() -> None:
    data = rrset(B6[0])
    outcome = verified(data, rfc4035_signature("MX", 2, B6[1]), keys=dnskeys(RFC4035_KEYS), now=RFC4035_NOW)
    assert isinstance(outcome, Verified)
    assert outcome.is_expanded(data.name)
    # With other labels it would be about another wildcard.
    other = verified(data, rfc4035_signature("MX", 3, B6[1]), keys=dnskeys(RFC4035_KEYS), now=RFC4035_NOW)
    assert code(other) == ErrorCode.DNSSEC_BOGUS


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (
            "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            "A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
            "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        ),
        (
            "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBw"
            "Y8rp65F6Glur8I/mlVNgF6W/qTI37m40",
            "A 14 3 3600 20100909102025 20100812102025 10771 example.net. /L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP"
            "95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
        ),
    ],
)
def test_the_signatures_of_rfc_6605_are_valid(key: str, signed: str) -> None:
    data, (public,) = rrset("www.example.net. 3600 A 192.0.2.1"), rrset("example.net. 3600 DNSKEY " + key).rdatas
    assert isinstance(public, DNSKEY)
    rdata = signature(signed)
    outcome = verify_rrset(data, [rdata], name("example.net."), [public], rdata.inception + 1, ValidationBudget())
    assert isinstance(outcome, Verified)


def test_the_signature_of_rfc_8080_is_valid() -> None:
    """With the corrections of erratum 4935."""
    (public,) = rrset("example.com. 3600 DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=").rdatas
    assert isinstance(public, DNSKEY)
    rdata = signature(
        "MX 15 2 3600 1440021600 1438207200 3613 example.com. "
        "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg=="
    )
    data = rrset("example.com. 3600 MX 10 mail.example.com.")
    outcome = verify_rrset(data, [rdata], name("example.com."), [public], 1439000000, ValidationBudget())
    assert isinstance(outcome, Verified)


# dnspython as the other side.


def dnspython_rrset(data: RRset) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(
        str(data.name), data.ttl, "IN", type_to_text(data.rtype), [rdata.to_text() for rdata in data.rdatas]
    )


TYPES = [
    "www.Example. 3600 A 192.0.2.1\nwww.example. 3600 A 192.0.2.2",
    "*.w.example. 60 MX 10 Mail.Example.",
    "a.b.c.example. 60 SRV 1 2 80 WWW.example.",
    "example. 3600 SOA NS1.example. bugs.X.w.example. 1 3600 300 3600000 3600",
    'txt.example. 60 TXT "b" "c"\ntxt.example. 60 TXT "B"\ntxt.example. 60 TXT "a" "dd"',
    "a.example. 60 NSEC Ns1.example. A MX RRSIG NSEC",
    "r.example. 60 RP Me.example. Text.example.",
    'n.example. 60 NAPTR 1 2 "u" "E2U+sip" "" Rep.example.',
    "c.example. 60 CNAME UPPER.example.",
    "d.example. 60 DNAME UPPER.example.",
    "s.example. 60 HTTPS 1 Svc.example. alpn=h2 port=8443",
    'caa.example. 60 CAA 0 issue "ca.example.net"',
]


@pytest.mark.parametrize("algorithm", SIGNERS)
@pytest.mark.parametrize("text", TYPES)
def test_dnspython_accepts_every_signature(algorithm: Algorithm, text: str) -> None:
    key, data = key_of(algorithm), rrset(text)
    made = sign_rrset(data, key, INCEPTION, EXPIRATION)
    keys = dns.rrset.from_text("example.", 3600, "IN", "DNSKEY", key.dnskey.to_text())
    signed = dns.rrset.from_text(str(data.name), data.ttl, "IN", "RRSIG", made.to_text())
    dns.dnssec.validate(dnspython_rrset(data), signed, {dns.name.from_text("example."): keys}, now=NOW)


@pytest.mark.parametrize("algorithm", [*SIGNERS, Algorithm.RSASHA1, Algorithm.RSASHA512])
@pytest.mark.parametrize("text", TYPES)
def test_every_signature_of_dnspython_is_accepted(algorithm: Algorithm, text: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    rsa_like = algorithm in (Algorithm.RSASHA1, Algorithm.RSASHA256, Algorithm.RSASHA512)
    private: Any = rsa.generate_private_key(65_537, 1024) if rsa_like else derive_key(algorithm, b"2").private
    public = dns.dnssec.make_dnskey(private.public_key(), int(algorithm), flags=256)
    data = rrset(text)
    theirs = dns.dnssec.sign(
        dnspython_rrset(data),
        private,
        dns.name.from_text("example."),
        public,
        inception=INCEPTION,
        expiration=EXPIRATION,
        policy=dns.dnssec.allow_all_policy,
    )
    (key,) = rrset(f"example. 3600 DNSKEY {public.to_text()}").rdatas
    assert isinstance(key, DNSKEY)
    outcome = verified(data, signature(theirs.to_text()), keys=[key])
    assert isinstance(outcome, Verified), outcome


# Each way to be invalid.


def test_a_changed_record_owner_or_ttl_is_bogus_and_a_changed_case_is_not() -> None:
    key = key_of()
    made = sign_rrset(WWW, key, INCEPTION, EXPIRATION)
    assert isinstance(verified(WWW, made, keys=[key.dnskey]), Verified)
    assert isinstance(verified(WWW.renamed(name("WWW.eXample.")), made, keys=[key.dnskey]), Verified)
    # The TTL received may be lower than the original.
    outcome = verified(WWW.with_ttl(17), made, keys=[key.dnskey])
    assert isinstance(outcome, Verified)
    assert outcome.ttl == 17
    for forged in (
        rrset("www.example. 3600 A 192.0.2.1"),
        rrset("www.example. 3600 A 192.0.2.1\nwww.example. 3600 A 192.0.2.3"),
        WWW.renamed(name("ww2.example.")),
    ):
        assert code(verified(forged, made, keys=[key.dnskey])) == ErrorCode.DNSSEC_BOGUS
    assert code(verified(WWW, replace(made, original_ttl=60), keys=[key.dnskey])) == ErrorCode.DNSSEC_BOGUS


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (INCEPTION - 1, ErrorCode.SIGNATURE_NOT_YET_VALID),
        (EXPIRATION + 1, ErrorCode.SIGNATURE_EXPIRED),
        (INCEPTION, None),
        (EXPIRATION, None),
    ],
)
def test_a_signature_is_valid_from_inception_to_expiration(now: int, reason: int | None) -> None:
    key = key_of()
    outcome = verified(WWW, sign_rrset(WWW, key, INCEPTION, EXPIRATION), keys=[key.dnskey], now=now)
    assert (outcome.code if isinstance(outcome, ExtendedError) else None) == reason


def test_times_are_serial_numbers_that_wrap_in_2106() -> None:
    key, begin = key_of(), (1 << 32) - 100
    made = sign_rrset(WWW, key, begin, begin + 1000)
    assert made.expiration < made.inception
    assert isinstance(verified(WWW, made, keys=[key.dnskey], now=begin + 500), Verified)
    assert code(verified(WWW, made, keys=[key.dnskey], now=begin + 1001)) == ErrorCode.SIGNATURE_EXPIRED


def test_the_ttl_ends_with_the_signature() -> None:
    key = key_of()
    outcome = verified(WWW, sign_rrset(WWW, key, INCEPTION, NOW + 5), keys=[key.dnskey])
    assert isinstance(outcome, Verified)
    assert outcome.ttl == 5


def test_keys_that_may_not_sign_are_not_used() -> None:
    key = key_of()
    made = sign_rrset(WWW, key, INCEPTION, EXPIRATION)
    revoked = replace(key.dnskey, flags=256 | REVOKED)
    for unfit in (replace(key.dnskey, flags=0), replace(key.dnskey, protocol=1), revoked, key_of(secret=b"x").dnskey):
        outcome = verified(WWW, replace(made, key_tag=key_tag(unfit)), keys=[unfit])
        assert code(outcome) in (ErrorCode.DNSKEY_MISSING, ErrorCode.DNSSEC_BOGUS)
    assert code(verified(WWW, made, keys=[])) == ErrorCode.DNSKEY_MISSING
    assert code(verified(WWW, keys=[key.dnskey])) == ErrorCode.RRSIGS_MISSING
    assert code(verified(WWW, replace(made, signer=name("other.")), keys=[key.dnskey])) == ErrorCode.RRSIGS_MISSING


def test_one_valid_signature_among_others_is_enough() -> None:
    good, old = key_of(), key_of(secret=b"old")
    expired = sign_rrset(WWW, old, INCEPTION - 1000, INCEPTION)
    made = sign_rrset(WWW, good, INCEPTION, EXPIRATION)
    assert isinstance(verified(WWW, expired, made, keys=[old.dnskey, good.dnskey]), Verified)


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0\xff\xff", b"\3\1", b"\1\1" + bytes(1000), bytes(32), bytes(31)])
@pytest.mark.parametrize("algorithm", [*Algorithm])
def test_a_key_or_signature_of_any_octets_is_bogus_and_no_exception(algorithm: Algorithm, octets: bytes) -> None:
    key = DNSKEY(256, 3, int(algorithm), octets)
    made = RRSIG(1, int(algorithm), 2, 3600, EXPIRATION, INCEPTION, key_tag(key), EXAMPLE, octets)
    assert code(verified(WWW, made, keys=[key])) in (ErrorCode.DNSSEC_BOGUS, ErrorCode.DNSKEY_MISSING)


# KeyTrap.


def test_keys_with_one_tag_and_signatures_in_any_number_cost_a_bounded_number_of_verifications() -> None:
    key = key_of()
    made = sign_rrset(WWW, key, INCEPTION, EXPIRATION)
    # The tag is a sum of 16-bit words, so exchanging two of them keeps it.
    words = [key.dnskey.key[at : at + 2] for at in range(0, 32, 2)]
    colliding = [replace(key.dnskey, key=b"".join([*words[at:], *words[:at]])) for at in range(1, len(words))]
    assert {key_tag(other) for other in colliding} == {key.tag}
    budget = ValidationBudget()
    forged = [replace(made, signature=bytes((number,)) * 64) for number in range(40)]
    with pytest.raises(ValidationLimitError):
        verified(WWW, *forged, keys=colliding, budget=budget)
    assert budget.failures == 0
    unbounded = ValidationBudget(10_000, 10_000)
    assert code(verified(WWW, *forged, keys=colliding, budget=unbounded)) == ErrorCode.DNSSEC_BOGUS
    assert 10_000 - unbounded.verifications == SIGNATURES_PER_RRSET_MAX * KEYS_PER_SIGNATURE_MAX > FAILURES_MAX


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_serial_numbers_compare_as_rfc_1982_says(serial: int, step: int) -> None:
    later = (serial + step) % 2**32
    assert is_before(serial, later)
    assert not is_before(later, serial)
    assert not is_before(serial, serial)
