"""Signatures of RRsets: RRSIG records, their creation and their verification.

    www.example.com. A   +   RRSIG A 15 3 3600 20260115000000 20260101000000 12345 example.com. ...
    verify_rrset(rrset, signatures, zone, keys, now, budget)   ->   Verified, or the reason, an ExtendedError

RFC 4034 section 3, RFC 4035 sections 2.2 and 5.3 (checks of the fields, wildcards, TTL), RFC 1982 (times are serial
numbers), RFC 5011 section 2.1 (revoked keys), RFC 6840 section 5.11 (any valid signature is enough).

Key tags are not unique, so an attacker can set up a zone with many keys of one tag and many signatures per RRset: each
signature has to be tried with each key ("KeyTrap", CVE-2023-50387). A ValidationBudget bounds the work of a resolution.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lab7.services.dns.codec.codes import type_to_text
from lab7.services.dns.codec.fields import TIME
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import DNSKEY, RRSIG
from lab7.services.dns.security.algorithms import is_supported, verify
from lab7.services.dns.security.canonical import label_count, signed_octets
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.security.keys import SigningKey, is_revoked, is_zone_key, key_tag

# Maximum number of signatures tried per RRset: Unbound's MAX_VALIDATE_RRSIGS.
SIGNATURES_PER_RRSET_MAX = 8
# Maximum number of keys with one tag tried per signature: two may collide by accident, more indicate an attack.
KEYS_PER_SIGNATURE_MAX = 4
# Maximum number of verifications per client question; BIND's max-validations-per-fetch is 16 per fetch.
# A question needs fetches of DS and DNSKEY for each zone: the limit permits ten zones with negative answers.
VERIFICATIONS_MAX = 100
# Maximum number of failed verifications per client question; BIND's max-validation-failures-per-fetch is 1.
FAILURES_MAX = 16
# Maximum number of NSEC3 hashes per client question (CVE-2023-50868); Unbound computes 16 times at most 8. Each counts
# once more per ITERATIONS_PER_HASH iterations: with the 150 that are permitted, thirteen may be computed.
HASHES_MAX = 128
ITERATIONS_PER_HASH = 16

_SERIAL_HALF, _SERIALS = 1 << 31, 1 << 32


class ValidationLimitError(Exception):
    """Error for a client question whose validation exceeds its budget of verifications and hashes."""


@dataclass(slots=True)
class ValidationBudget:
    """Remaining numbers of signature verifications, failed verifications and NSEC3 hashes for one client question."""

    verifications: int = VERIFICATIONS_MAX
    failures: int = FAILURES_MAX
    hashes: int = HASHES_MAX

    def spend_verification(self) -> None:
        """Count a signature verification; raises ValidationLimitError above the limit."""
        if self.verifications <= 0:
            raise ValidationLimitError(f"more than {VERIFICATIONS_MAX} signatures to verify")
        self.verifications -= 1

    def spend_failure(self) -> None:
        """Count a failed verification; raises ValidationLimitError above the limit."""
        if self.failures <= 0:
            raise ValidationLimitError(f"more than {FAILURES_MAX} signatures that are not valid")
        self.failures -= 1

    def spend_hash(self, iterations: int) -> None:
        """Count an NSEC3 hash, weighted by its iterations; raises ValidationLimitError above the limit."""
        if self.hashes <= 0:
            raise ValidationLimitError(f"more than {HASHES_MAX} NSEC3 hashes to compute")
        self.hashes -= 1 + iterations // ITERATIONS_PER_HASH


def is_before(serial: int, other: int) -> bool:
    """Tell whether a 32-bit time is before another in serial number arithmetic (RFC 4034 3.1.5, RFC 1982 3.2)."""
    return serial != other and (other - serial) % _SERIALS < _SERIAL_HALF


# Creation.


def sign_rrset(rrset: RRset, key: SigningKey, inception: int, expiration: int) -> RRSIG:
    """Sign an RRset, and return the RRSIG rdata; inception and expiration are in seconds since 1970."""
    unsigned = RRSIG(
        type_covered=rrset.rtype,
        algorithm=key.dnskey.algorithm,
        labels=label_count(rrset.name),
        original_ttl=rrset.ttl,
        expiration=expiration % _SERIALS,
        inception=inception % _SERIALS,
        key_tag=key.tag,
        signer=key.zone,
        signature=b"",
    )
    return replace(unsigned, signature=key.private.sign(signed_octets(rrset, unsigned)))


# Verification.


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of verify_rrset(): the valid signature, and the maximum TTL of the RRset in seconds (RFC 4035 5.3.3)."""

    signature: RRSIG
    ttl: int

    def is_expanded(self, owner: Name) -> bool:
        """Tell whether an RRset with this owner was synthesized from a wildcard (RFC 4035 section 5.3.4)."""
        return self.signature.labels < label_count(owner)


def verify_rrset(
    rrset: RRset,
    signatures: Sequence[RRSIG],
    zone: Name,
    keys: Iterable[DNSKEY],
    now: int,
    budget: ValidationBudget,
) -> Verified | ExtendedError:
    """Verify the signatures of an RRset by the keys of `zone` until one is valid; `now` is in seconds since 1970.

    Return the valid signature, or the reason for which none is valid. Raises ValidationLimitError.
    """
    what, usable = f"{rrset.name} {type_to_text(rrset.rtype)}", [key for key in keys if is_zone_key(key)]
    errors: list[ExtendedError] = []
    relevant = [one for one in signatures if one.type_covered == rrset.rtype and one.signer == zone]
    if not relevant:
        return ExtendedError(ErrorCode.RRSIGS_MISSING, f"{what} has no signature of {zone}")
    for signature in relevant[:SIGNATURES_PER_RRSET_MAX]:
        error = _field_error(rrset, signature, what, now)
        if error is None:
            error = _verify_by(rrset, signature, usable, what, budget)
        if error is None:
            return Verified(signature, _ttl_bound(rrset, signature, now))
        errors.append(error)
    # The most specific error is reported: an expired signature says more than a missing key.
    return max(errors, key=lambda error: _RANKS.get(error.code, 0))


# Rank of each error code: a more specific reason has a higher rank.
_RANKS: dict[int, int] = {
    ErrorCode.DNSKEY_MISSING: 1,
    ErrorCode.DNSSEC_BOGUS: 2,
    ErrorCode.SIGNATURE_EXPIRED_BEFORE_VALID: 3,
    ErrorCode.SIGNATURE_NOT_YET_VALID: 4,
    ErrorCode.SIGNATURE_EXPIRED: 5,
}


def _field_error(rrset: RRset, signature: RRSIG, what: str, now: int) -> ExtendedError | None:
    """Return an error for the first invalid field of a signature (RFC 4035 section 5.3.1); None if all are valid."""
    serial = now % _SERIALS
    if not rrset.name.is_below(signature.signer) or signature.labels > label_count(rrset.name):
        return ExtendedError(ErrorCode.DNSSEC_BOGUS, f"the signature of {what} is not about this name")
    if is_before(signature.expiration, signature.inception):
        return ExtendedError(
            ErrorCode.SIGNATURE_EXPIRED_BEFORE_VALID, f"the signature of {what} expires before its inception"
        )
    if is_before(signature.expiration, serial):
        time = TIME.to_text(signature.expiration)
        return ExtendedError(ErrorCode.SIGNATURE_EXPIRED, f"the signature of {what} expired at {time}")
    if is_before(serial, signature.inception):
        time = TIME.to_text(signature.inception)
        return ExtendedError(ErrorCode.SIGNATURE_NOT_YET_VALID, f"the signature of {what} is valid from {time} on")
    return None


def _verify_by(
    rrset: RRset, signature: RRSIG, keys: Iterable[DNSKEY], what: str, budget: ValidationBudget
) -> ExtendedError | None:
    found = list(_candidates(signature, keys))
    if not found:
        detail = f"no DNSKEY of {signature.signer} has the key tag {signature.key_tag} of the signature of {what}"
        return ExtendedError(ErrorCode.DNSKEY_MISSING, detail)
    octets = signed_octets(rrset, signature)
    for key in found[:KEYS_PER_SIGNATURE_MAX]:
        budget.spend_verification()
        if verify(key.algorithm, key.key, octets, signature.signature):
            return None
        budget.spend_failure()
    return ExtendedError(ErrorCode.DNSSEC_BOGUS, f"the signature of {what} is not valid")


def _candidates(signature: RRSIG, keys: Iterable[DNSKEY]) -> Iterator[DNSKEY]:
    if not is_supported(signature.algorithm):
        return
    for key in keys:
        if key.algorithm == signature.algorithm and not is_revoked(key) and key_tag(key) == signature.key_tag:
            yield key


def _ttl_bound(rrset: RRset, signature: RRSIG, now: int) -> int:
    """Return the maximum TTL of a validated RRset, in seconds (RFC 4035 section 5.3.3)."""
    return min(rrset.ttl, signature.original_ttl, (signature.expiration - now) % _SERIALS)
