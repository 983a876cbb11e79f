"""Trust of a validating resolver: its trust anchors, and the security states of zones (secure, insecure, bogus).

    . DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
    example.com. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=

Trust anchors are read from master files with records such as these two. SecurityContext stores the state of each zone
that validation has determined, with the verified keys of a secure zone. RFC 4033 section 2 (trust anchor, and the
states secure, insecure, bogus and indeterminate), RFC 4035 sections 4.3, 4.7 (bogus data is cached for a short time)
and 5, RFC 7646 (negative trust anchors: zones that are known to be signed wrongly count as unsigned). Left out:
automated updates of trust anchors (RFC 5011), and a lifetime of negative trust anchors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf
from pathlib import Path

from lab7.services.bounded_dict import BoundedDict, cost_of
from lab7.services.dns.codec.message import Message, rrsets_of
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import DNSKEY, DS
from lab7.services.dns.security.denial_cache import DenialCache
from lab7.services.dns.security.extended_error import ExtendedError
from lab7.services.dns.security.keys import records_of_text
from lab7.services.errors import ServiceError

# Maximum number of zones whose state is stored; Unbound's key-cache-size of 4 MiB has room for about as many.
ZONES_MAX = 10_000
# Seconds until the keys of a bogus zone are verified again; Unbound's val-bogus-ttl is 60, BIND's servfail-ttl 1.
# The time BOGUS_TTL_S is short, because experiments repair zones and query them again.
BOGUS_TTL_S = 5.0
# Maximum seconds for which verified keys are cached, whatever their TTL: a day, as in BIND and Unbound.
KEYS_TTL_MAX_S = 86_400
# Maximum number of stored referrals whose DS records are not needed yet, and the seconds for which each may be used.
REFERRALS_MAX = 1000
REFERRAL_TTL_S = 30.0


class Security(Enum):
    """Security states of DNS data: secure, insecure, bogus and indeterminate (RFC 4033 section 5)."""

    SECURE = "a chain of signatures leads to a trust anchor"
    INSECURE = "a signed proof says that the zone is not signed, or with algorithms that are not implemented"
    BOGUS = "there should be a chain of signatures, and it is broken"
    INDETERMINATE = "no trust anchor is above the name"


@dataclass(frozen=True, slots=True)
class ZoneTrust:
    """Security state of the zone that contains a name, with the zone's keys if it is secure, the reason if it is bogus.

    An insecure zone has a reason only if it is signed in a way that this resolver does not validate. `is_end` is True
    if no zone can be below the name, because the name does not exist or is an alias.
    """

    zone: Name
    security: Security
    keys: tuple[DNSKEY, ...] = ()
    error: ExtendedError | None = None
    expires: float = 0.0
    is_end: bool = False


Anchor = DS | DNSKEY
TrustAnchors = dict[Name, tuple[Anchor, ...]]


def trust_anchors(records: Iterable[str], files: Iterable[str]) -> TrustAnchors:
    """Return the trust anchors (DS, DNSKEY) in these records and master files, by owner; raises ServiceError."""
    anchors: TrustAnchors = {}
    texts = [(record, "trust anchor") for record in records]
    for name in files:
        try:
            texts.append((Path(name).read_text(encoding="latin-1"), name))
        except OSError as error:
            raise ServiceError(f"cannot read the trust anchors {name} ({error.strerror})") from error
    for text, where in texts:
        found = [record for record in records_of_text(text + "\n", where) if isinstance(record.rdata, DS | DNSKEY)]
        if not found:
            raise ServiceError(f"{where}: no DS or DNSKEY record, expected one such as `. DS 20326 8 2 E06D...`")
        for record in found:
            if isinstance(record.rdata, DS | DNSKEY):
                anchors[record.name] = (*anchors.get(record.name, ()), record.rdata)
    return anchors


@dataclass(slots=True)
class SecurityContext:
    """State of DNSSEC validation: trust anchors, wall clock in seconds since 1970, and states of zones.

    The zones in `negative_anchors`, and those below, count as insecure. If `validates` is False, signatures are stored
    but not validated. `checking_disabled` is CD of the queries to other recursive servers. `denials` has the proofs
    from which further negative answers are synthesized (RFC 8198).
    """

    anchors: TrustAnchors
    wall_clock: Callable[[], float]
    validates: bool = True
    negative_anchors: frozenset[Name] = frozenset()
    # RFC 6840 section 5.9: a validator requests all data of another resolver, and validates it itself.
    checking_disabled: bool = True
    denials: DenialCache = field(default_factory=DenialCache)
    _zones: BoundedDict[Name, ZoneTrust] = field(default_factory=lambda: BoundedDict(ZONES_MAX))
    _referrals: BoundedDict[Name, tuple[Message, float]] = field(default_factory=lambda: BoundedDict(REFERRALS_MAX))

    def trust(self, name: Name, now: float) -> ZoneTrust | None:
        """Return the cached security state of the zone that contains a name; None if it is unknown or has expired.

        RFC 7646 section 2: a trust anchor below a negative trust anchor has precedence, because it is nearer.
        """
        if name in self.negative_anchors:
            return ZoneTrust(name, Security.INSECURE, expires=inf)
        found = self._zones.get(name)
        return found if found is not None and found.expires > now else None

    def put_trust(self, name: Name, trust: ZoneTrust) -> ZoneTrust:
        """Cache the security state of the zone that contains a name, and return the state."""
        self._zones.put(name, trust, cost_of(sum(len(key.key) for key in trust.keys)))
        return trust

    def put_referral(self, zone: Name, message: Message, now: float) -> None:
        """Store a referral, so that its DS records, or the proof that there are none, validate its zone later."""
        proof = replace(message, answers=(), additional=())
        size = sum([rrset.stored_octets() for rrset in rrsets_of(proof.authority)])
        self._referrals.put(zone, (proof, now), cost_of(size))

    def take_referral(self, zone: Name, now: float) -> Message | None:
        """Return the stored referral to a zone and remove it from the store; None if there is no recent one."""
        found = self._referrals.get(zone)
        if found is None:
            return None
        self._referrals.drop(zone)
        message, received = found
        return message if now - received < REFERRAL_TTL_S else None
