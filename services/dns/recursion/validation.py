"""DNSSEC validation of responses: the chain of trust from a trust anchor to the zone of the data (RFC 4035 section 5).

    response  www.example.com. A + RRSIG by example.com.
    chain     . (trust anchor)  ->  com. (DS, DNSKEY)  ->  example.com. (DS, DNSKEY)   ->   secure, insecure or bogus

RFC 4035 sections 4.3, 5.2 to 5.5; RFC 4509 section 3 (SHA-1 digests are ignored if there are others); RFC 5155 section
8; RFC 6672 section 5.3 (DNAME); RFC 6840 sections 4 and 5; RFC 8914 (reasons). Left out: automated updates of trust
anchors (RFC 5011).
"""

# How a response is validated
# ---------------------------
#
# The iterator calls Validation.examine for each response that answers its question, before anything is cached. A
# response is an alias, an answer or a negative answer, always about one name: the target of an alias is queried
# separately. Its RRsets come back as SecuredRRsets, with their signatures and status. A bogus response comes back as
# FAILED, so that the iterator queries the next server of the zone. If all responses are bogus, the resolution fails
# with the extended error.
#
#   RRset with a signature      the chain of trust to the zone that signed it, whose keys must verify the signature
#   RRset without signatures    the chain of trust to its owner: insecure if an unsigned delegation is on it, else bogus
#   RRset of a wildcard         also the proof that no closer name exists
#   negative answer             the same for its SOA, and a proof by NSEC or NSEC3 records
#
# The chain goes down from the nearest ancestor whose state is known, one label at a time. Each name is one of
#
#   a secure zone               DS records signed by the zone above, which match a key that signs the DNSKEY RRset
#   an insecure zone            a proof of a delegation without DS, an opt-out span, or DS of unknown algorithms only
#   no zone                     a proof that there is no delegation, or an alias; the chain goes on with the same keys
#   bogus                       anything else
#
# The queries for DS and DNSKEY are nested resolutions. A referral has the DS records, or the proof of their absence, in
# its authority section, so DNSKEY is usually the only additional query per zone. The responses to these queries are
# judged by the keys that are known already, without further queries, so validation cannot be circular. The addresses of
# name servers are not validated (context.for_hosts), but the data that the name servers return are.
#
# The work that a zone can cause is bounded per client question: queries by the QueryBudget, signatures and hashes by
# the ValidationBudget (KeyTrap, CVE-2023-50387 and CVE-2023-50868).

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from lab7.services.dns.codec.codes import RRType, type_to_text
from lab7.services.dns.codec.message import Message, Question, Record, RRset, rrsets_of
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata_security import DNSKEY, DS, NSEC, NSEC3, RRSIG
from lab7.services.dns.recursion.cache import negative_soa
from lab7.services.dns.recursion.classification import ClassifiedResponse, Link, ResponseKind
from lab7.services.dns.recursion.query import BudgetExceededError, QueryBudget, ResolutionError, Steps
from lab7.services.dns.security.algorithms import Digest, is_digest_supported, is_supported
from lab7.services.dns.security.canonical import label_count
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.security.keys import is_zone_key, matches, may_match
from lab7.services.dns.security.nsec import Denial, NsecRecord, denies_closer, denies_name, denies_type, is_cut
from lab7.services.dns.security.nsec3 import ITERATIONS_MAX, Nsec3Proof
from lab7.services.dns.security.secured import SecuredRRset, is_implied
from lab7.services.dns.security.signature import ValidationLimitError, Verified, verify_rrset
from lab7.services.dns.security.trust import BOGUS_TTL_S, KEYS_TTL_MAX_S, Anchor, Security, SecurityContext, ZoneTrust

# Maximum number of DS records tried per zone, each of which is a digest of the whole key; the largest zones have four.
DS_MAX = 8
# Maximum number of keys used per zone; a rollover of two algorithms has eight.
KEYS_MAX = 64

# Judges a response to a query for DS or DNSKEY by the keys that are known; if False, the next server is queried.
Judge = Callable[[Message, ClassifiedResponse], bool]
# Resolves a name and type in a nested iteration, whose responses are judged.
Fetch = Callable[[Name, int, Judge], Steps[None]]

_NEGATIVE = (ResponseKind.NO_DATA, ResponseKind.NO_NAME)


class BogusError(Exception):
    """Error for bogus data, which should be secure and is not; `error` is the reason as an extended DNS error."""

    def __init__(self, error: ExtendedError) -> None:
        super().__init__(error.text)
        self.error = error


class Validation:
    """DNSSEC validation of the responses of one resolution."""

    def __init__(self, security: SecurityContext, budget: QueryBudget, fetch: Fetch) -> None:
        self._security = security
        self._budget = budget
        self._fetch = fetch
        # The response to the client's own query for DNSKEY, which need not be queried for twice.
        self._received: tuple[Question, Message, ClassifiedResponse] | None = None

    def examine(self, message: Message, response: ClassifiedResponse, question: Question) -> Steps[ClassifiedResponse]:
        """Validate a response: return it with validated RRsets, or classified as FAILED if it is bogus."""
        if not self._security.validates:
            return _stored(message, response, question)
        self._received = question, message, response
        try:
            validated = yield from self._validated(message, response, question)
        except BogusError as bogus:
            return self._failed(response, bogus.error)
        except ValidationLimitError as limit:
            return self._failed(response, ExtendedError(ErrorCode.DNSSEC_BOGUS, str(limit)))
        self._budget.extended_error = None
        return validated

    def _failed(self, response: ClassifiedResponse, error: ExtendedError) -> ClassifiedResponse:
        self._budget.extended_error = error
        return ClassifiedResponse(ResponseKind.FAILED, response.name, detail=error.text)

    def _validated(
        self, message: Message, response: ClassifiedResponse, question: Question
    ) -> Steps[ClassifiedResponse]:
        links: list[Link] = []
        for rrset, trust in _without_signatures(response, question):
            if links and links[-1][0].rtype == RRType.DNAME and rrset.rtype == RRType.CNAME:
                # The CNAME was synthesized from the DNAME, whose validated TTL is also its maximum TTL.
                links.append((rrset.with_ttl(min(rrset.ttl, links[-1][0].ttl)), trust))
            elif (dname := _implying_dname(message, rrset)) is not None:
                # Answer to a query for CNAME below a DNAME: the alias has no trust (None), so it is not cached.
                validated_dname = yield from self._answer(message, dname)
                alias = rrset.with_ttl(min(rrset.ttl, validated_dname.ttl))
                links += [(validated_dname, trust), (alias, None)]
            else:
                links.append(((yield from self._answer(message, rrset)), trust))
        validated = replace(response, answers=tuple(links))
        if response.kind in _NEGATIVE:
            soa, denials = yield from self._negative(message, response, question.rtype)
            return replace(validated, soa=soa, denials=denials)
        return validated

    # Positive answers.

    def _answer(self, message: Message, rrset: RRset) -> Steps[RRset]:
        """Validate an RRset of the answer section, and return it with its signatures; raises BogusError."""
        signatures = _signatures(message.answers, rrset)
        if rrset.rtype == RRType.RRSIG:
            # A signature is not signed (RFC 4035 section 2.2).
            return rrset
        trust = yield from self._trust_in(rrset, signatures)
        if trust.security is not Security.SECURE:
            return _secured(rrset, signatures, error=trust.error)
        verified = self._verify(rrset, signatures, trust)
        if not verified.is_expanded(rrset.name):
            return _secured(rrset, signatures, verified.ttl, True)
        denials = _Denials(self, message, trust)
        denial = denials.denies_closer(rrset.name, verified.signature.labels)
        if denial is Denial.NOT_PROVEN:
            detail = f"no proof that {rrset.name} is from a wildcard"
            raise BogusError(ExtendedError(ErrorCode.NSEC_MISSING, detail))
        secured = _secured(rrset, signatures, verified.ttl, denial is Denial.PROVEN, denials.insecurity)
        return replace(secured, proof=denials.rrsets)

    def _verify(self, rrset: RRset, signatures: Sequence[RRSIG], trust: ZoneTrust) -> Verified:
        now = int(self._security.wall_clock())
        outcome = verify_rrset(rrset, signatures, trust.zone, trust.keys, now, self._budget.validation)
        if isinstance(outcome, ExtendedError):
            raise BogusError(outcome)
        return outcome

    def _trust_in(self, rrset: RRset, signatures: Sequence[RRSIG]) -> Steps[ZoneTrust]:
        """Return the security state of the zone that contains an RRset.

        If the RRset is signed, that is the signer's zone.
        """
        name = rrset.name.parent if rrset.rtype == RRType.DS else rrset.name
        return (yield from self._trust_by(name, signatures, f"{rrset.name} {type_to_text(rrset.rtype)}"))

    def _trust_by(self, name: Name, signatures: Sequence[RRSIG], what: str) -> Steps[ZoneTrust]:
        anchor = self._anchor_above(name)
        signers = {one.signer for one in signatures if name.is_below(one.signer) and one.signer.is_below(anchor)}
        target = max(signers, key=len) if signers else name
        trust = yield from self.chain(target)
        if trust.security is Security.BOGUS and trust.error is not None:
            raise BogusError(trust.error)
        if trust.security is Security.SECURE and not signers:
            detail = f"{what} has no signature, and {trust.zone} is a signed zone"
            raise BogusError(ExtendedError(ErrorCode.RRSIGS_MISSING, detail))
        if trust.security is Security.SECURE and trust.zone != target:
            detail = f"{what} is signed by {target}, which is not a zone"
            raise BogusError(ExtendedError(ErrorCode.DNSSEC_BOGUS, detail))
        return trust

    def verified_denials(self, message: Message, trust: ZoneTrust) -> Iterator[SecuredRRset]:
        """Yield the NSEC and NSEC3 RRsets of a response that have a valid signature."""
        for rrset in _denial_rrsets(message):
            signatures = _signatures(message.authority, rrset)
            now = int(self._security.wall_clock())
            outcome = verify_rrset(rrset, signatures, trust.zone, trust.keys, now, self._budget.validation)
            # RFC 4035 section 5.4: an NSEC record that was synthesized from a wildcard proves nothing.
            if isinstance(outcome, Verified) and outcome.signature.labels == label_count(rrset.name):
                yield _secured(rrset, signatures, outcome.ttl, True)

    @property
    def budget(self) -> QueryBudget:
        """Budget of the client's question: limits on queries, signature verifications and hashes."""
        return self._budget

    # Negative answers.

    def _negative(
        self, message: Message, response: ClassifiedResponse, rtype: int
    ) -> Steps[tuple[RRset | None, tuple[RRset, ...]]]:
        """Validate a negative answer; return (SOA RRset with the NSEC or NSEC3 RRsets as its `proof`, ()).

        For an answer without an SOA, return (None, NSEC or NSEC3 RRsets). Raises BogusError.
        """
        name, soa = response.name, response.soa
        signed = [soa] if soa is not None else list(_denial_rrsets(message))
        signatures = [one for rrset in signed for one in _signatures(message.authority, rrset)]
        below = name.parent if rtype == RRType.DS and response.kind is ResponseKind.NO_DATA and len(name) else name
        what = f"the negative answer about {name}"
        trust = yield from self._trust_by(below, signatures, what)
        if trust.security is not Security.SECURE:
            proof = _unverified(message, trust.error)
            secured = None if soa is None else replace(_secured(soa, signatures, error=trust.error), proof=proof)
            return (secured, ()) if secured is not None else (None, proof)
        verified = None if soa is None else self._verify(soa, signatures, trust)
        denials = _Denials(self, message, trust)
        denial = denials.denies(name, rtype, response.kind)
        if denial is Denial.NOT_PROVEN:
            code = ErrorCode.NSEC_MISSING
            raise BogusError(ExtendedError(code, f"no valid proof that {name} has no {type_to_text(rtype)}"))
        if soa is None or verified is None:
            is_proven, error = denial is Denial.PROVEN, denials.insecurity
            return None, tuple([replace(rrset, secure=is_proven, error=error) for rrset in denials.rrsets])
        ttl = min([verified.ttl, *(rrset.ttl for rrset in denials.rrsets)])
        secured = _secured(soa, signatures, ttl, denial is Denial.PROVEN, denials.insecurity)
        secured = replace(secured, proof=denials.rrsets)
        if denial is Denial.PROVEN:
            self._security.denials.put(trust.zone, _negative_soa(secured), denials.rrsets, self._budget.now)
        return secured, ()

    # The chain of trust.

    def _anchor_above(self, name: Name) -> Name:
        """Return the owner of the nearest trust anchor at or above a name; the root if there is none."""
        return next((ancestor for ancestor in name.ancestors() if ancestor in self._security.anchors), ROOT)

    def chain(self, target: Name) -> Steps[ZoneTrust]:
        """Return the security state of the zone that a name is in, along the chain of trust down to the name."""
        position, trust = yield from self._nearest_trust(target)
        while trust.security is Security.SECURE and position != target and not trust.is_end:
            position = target.suffix(len(position) + 1)
            trust = self._security.put_trust(position, (yield from self._below(trust, position)))
        return trust

    def _nearest_trust(self, target: Name) -> Steps[tuple[Name, ZoneTrust]]:
        """Return (ancestor, security state) of the nearest ancestor that has a trust anchor or a known state."""
        now = self._budget.now
        for ancestor in target.ancestors():
            known = self._security.trust(ancestor, now)
            if known is not None:
                return ancestor, known
            anchors = self._security.anchors.get(ancestor)
            if anchors is not None:
                trust = yield from self._by_records(ancestor, anchors, KEYS_TTL_MAX_S)
                return ancestor, self._security.put_trust(ancestor, trust)
        return ROOT, ZoneTrust(ROOT, Security.INDETERMINATE)

    def _bogus(self, name: Name, error: ExtendedError) -> ZoneTrust:
        return ZoneTrust(name, Security.BOGUS, error=error, expires=self._budget.now + BOGUS_TTL_S)

    def _below(self, above: ZoneTrust, name: Name) -> Steps[ZoneTrust]:
        """Return the security state of a name one label below a name in the secure zone `above`, by its DS records."""
        judge = _DSJudge(self, above, name)
        referral = self._security.take_referral(name, self._budget.now)
        if referral is None or not judge.judge_referral(referral):
            failure = yield from self._fetched(name, RRType.DS, judge)
            if failure is not None:
                return self._bogus(name, failure)
        if judge.records is None:
            expires = self._budget.now + min(judge.ttl, KEYS_TTL_MAX_S)
            if judge.is_insecure:
                return ZoneTrust(name, Security.INSECURE, error=judge.insecurity, expires=expires)
            return replace(above, expires=min(above.expires, expires), is_end=judge.is_end)
        return (yield from self._by_records(name, judge.records, judge.ttl))

    def _by_records(self, name: Name, records: Sequence[Anchor], ttl: int) -> Steps[ZoneTrust]:
        """Return the security state of a zone, by validating its DNSKEY RRset with DS records or trust anchors.

        The records and the resulting state are valid for `ttl` seconds.
        """
        usable = usable_records(records)
        expires = self._budget.now + min(ttl, KEYS_TTL_MAX_S)
        if not usable:
            # RFC 4035 section 5.2: a zone whose algorithms are all unknown is treated as unsigned.
            return ZoneTrust(name, Security.INSECURE, error=_unsupported(name, records), expires=expires)
        judge = _KeyJudge(self, name, usable)
        failure: ExtendedError | None = None
        received = self._received
        if received is None or received[0] != Question(name, RRType.DNSKEY) or not judge(received[1], received[2]):
            failure = yield from self._fetched(name, RRType.DNSKEY, judge)
        if judge.keys:
            limit = self._budget.now + min(judge.ttl, ttl, KEYS_TTL_MAX_S)
            return ZoneTrust(name, Security.SECURE, judge.keys, expires=limit)
        missing = ExtendedError(ErrorCode.DNSKEY_MISSING, f"no DNSKEY of {name} was received")
        return self._bogus(name, failure or missing)

    def _fetched(self, name: Name, rtype: int, judge: "_DSJudge | _KeyJudge") -> Steps[ExtendedError | None]:
        """Send queries for DS or DNSKEY records until `judge`, a function that checks responses, accepts one.

        Returns None, or the reason if no response is accepted.
        """
        try:
            yield from self._fetch(name, rtype, judge)
        except BudgetExceededError:
            raise
        except ResolutionError as error:
            code = ErrorCode.DNSKEY_MISSING if rtype == RRType.DNSKEY else ErrorCode.NO_REACHABLE_AUTHORITY
            return judge.error or ExtendedError(code, str(error))
        return None if judge.is_accepted else judge.error

    def verify(self, rrset: RRset, signatures: Sequence[RRSIG], zone: Name, keys: Iterable[DNSKEY]) -> Verified:
        """Verify the signatures of an RRset by the keys of its zone, and return the first valid signature.

        Raises BogusError and ValidationLimitError.
        """
        return self._verify(rrset, signatures, ZoneTrust(zone, Security.SECURE, tuple(keys)))


def usable_records(records: Sequence[Anchor]) -> list[Anchor]:
    """Return the DS records or keys whose algorithms are implemented, at most DS_MAX.

    DS records with SHA-1 digests are left out if there is one with another digest (RFC 4509 section 3).
    """
    usable = [
        record
        for record in records
        if is_supported(record.algorithm) and (isinstance(record, DNSKEY) or is_digest_supported(record.digest_type))
    ]
    # RFC 4509 section 3, for all digests that are stronger (RFC 6605 section 2).
    if any(isinstance(record, DS) and record.digest_type != Digest.SHA1 for record in usable):
        usable = [one for one in usable if not (isinstance(one, DS) and one.digest_type == Digest.SHA1)]
    return usable[:DS_MAX]


def _unsupported(name: Name, records: Sequence[Anchor]) -> ExtendedError:
    """Return the reason why no DS record or trust anchor of a zone can be used (RFC 8914 sections 4.2 and 4.3)."""
    if any(is_supported(record.algorithm) for record in records):
        return ExtendedError(ErrorCode.UNSUPPORTED_DS_DIGEST, f"the DS digests of {name} are not implemented")
    code = ErrorCode.UNSUPPORTED_DNSKEY_ALGORITHM
    return ExtendedError(code, f"{name} is signed with algorithms that are not implemented")


class _Denials:
    """The validated NSEC and NSEC3 records of a response, with methods that check them as proofs of nonexistence."""

    def __init__(self, validation: Validation, message: Message, trust: ZoneTrust) -> None:
        self._zone = trust.zone
        self.rrsets = tuple(validation.verified_denials(message, trust))
        records = [(rrset.name, rdata) for rrset in self.rrsets for rdata in rrset.rdatas]
        self.nsec = [NsecRecord(owner, rdata) for owner, rdata in records if isinstance(rdata, NSEC)]
        hashed = [(owner, rdata) for owner, rdata in records if isinstance(rdata, NSEC3)]
        self.nsec3 = Nsec3Proof(hashed, trust.zone, validation.budget.validation)

    @property
    def has_many_iterations(self) -> bool:
        """Return whether the NSEC3 hashes have too many iterations to be computed (RFC 9276 section 3.2)."""
        return bool(self.nsec3) and self.nsec3.iterations > ITERATIONS_MAX

    @property
    def insecurity(self) -> ExtendedError | None:
        """The reason why the answer is insecure: NSEC3 records with too many iterations; None without such records."""
        if not self.has_many_iterations:
            return None
        detail = f"{self._zone} has NSEC3 records with {self.nsec3.iterations} iterations, more than {ITERATIONS_MAX}"
        return ExtendedError(ErrorCode.UNSUPPORTED_NSEC3_ITERATIONS, detail)

    def denies(self, name: Name, rtype: int, kind: ResponseKind) -> Denial:
        """Check the proof of a negative answer, NXDOMAIN or NODATA for `rtype`; return a Denial."""
        if self.has_many_iterations:
            return Denial.OPT_OUT
        if kind is ResponseKind.NO_NAME:
            return self.nsec3.denies_name(name) if self.nsec3 else denies_name(self.nsec, name, self._zone)
        if self.nsec3:
            return self.nsec3.denies_type(name, rtype)
        return denies_type(self.nsec, name, rtype, self._zone)

    def denies_closer(self, name: Name, labels: int) -> Denial:
        """Check the proof that no name matches `name` better than a wildcard; return a Denial.

        The wildcard is `*` below the last `labels` labels of `name`.
        """
        if self.has_many_iterations:
            return Denial.OPT_OUT
        if self.nsec3:
            return self.nsec3.denies_closer(name, labels)
        return denies_closer(self.nsec, name, labels, self._zone)

    def is_unsigned_cut(self, name: Name) -> bool:
        """Tell whether the records prove that a name is an unsigned delegation: a zone cut without DS."""
        if self.has_many_iterations:
            return True
        if self.nsec3:
            return self.nsec3.is_unsigned_cut(name)
        return any(record.owner == name and is_cut(record.rdata) for record in self.nsec)


class _DSJudge:
    """Validator of responses to a query for the DS records of a name, with the keys of the parent zone `above`.

    `records` are the DS records that were validated, None if there are none: the name then is an unsigned delegation
    (`is_insecure`), or no zone. `is_end` is True if no zone can be below the name.
    """

    def __init__(self, validation: Validation, above: ZoneTrust, name: Name) -> None:
        self._validation = validation
        self._above = above
        self._name = name
        self.is_accepted = False
        self.records: tuple[DS, ...] | None = None
        self.is_insecure = False
        self.insecurity: ExtendedError | None = None
        self.is_end = False
        self.ttl = KEYS_TTL_MAX_S
        self.error: ExtendedError | None = None

    def __call__(self, message: Message, response: ClassifiedResponse) -> bool:
        """Tell whether a response is validated as a step of the chain of trust (RFC 4035 section 5)."""
        try:
            self.is_accepted = self._judge(message, response)
        except BogusError as bogus:
            self.error = bogus.error
        return self.is_accepted

    def _judge(self, message: Message, response: ClassifiedResponse) -> bool:
        if response.kind in (ResponseKind.ANSWER, ResponseKind.ALIAS, ResponseKind.TOO_LONG):
            rrset = response.answers[0][0]
            self._verify(rrset, _signatures(message.answers, rrset))
            # A name with an alias, or below a DNAME, is no zone cut.
            self.is_end = rrset.rtype != RRType.DS
            self.records = None if self.is_end else _ds_of(rrset)
            return True
        if response.kind in _NEGATIVE:
            return self._judge_denial(message, response.kind)
        return False

    def _verify(self, rrset: RRset, signatures: Sequence[RRSIG]) -> None:
        verified = self._validation.verify(rrset, signatures, self._above.zone, self._above.keys)
        self.ttl = min(self.ttl, verified.ttl)

    def _judge_denial(self, message: Message, kind: ResponseKind) -> bool:
        denials = _Denials(self._validation, message, self._above)
        denial = denials.denies(self._name, RRType.DS, kind)
        if denial is Denial.NOT_PROVEN:
            detail = f"no valid proof that {self._name} has no DS"
            raise BogusError(ExtendedError(ErrorCode.NSEC_MISSING, detail))
        self.is_insecure = denial is Denial.OPT_OUT or denials.is_unsigned_cut(self._name)
        self.insecurity = denials.insecurity
        self.is_end = kind is ResponseKind.NO_NAME
        self.ttl = min([self.ttl, *(rrset.ttl for rrset in denials.rrsets)])
        return True

    def judge_referral(self, message: Message) -> bool:
        """Tell whether a referral to the name has its validated DS records, or the proof that there are none."""
        rrsets = rrsets_of(message.authority)
        found = next((one for one in rrsets if one.rtype == RRType.DS and one.name == self._name), None)
        try:
            if found is not None:
                self._verify(found, _signatures(message.authority, found))
                self.records = _ds_of(found)
                return True
            denials = _Denials(self._validation, message, self._above)
        except BogusError:
            return False
        self.is_insecure = denials.is_unsigned_cut(self._name) and (
            denials.denies(self._name, RRType.DS, ResponseKind.NO_DATA) is not Denial.NOT_PROVEN
        )
        self.insecurity = denials.insecurity
        self.ttl = min([self.ttl, *(rrset.ttl for rrset in denials.rrsets)])
        return self.is_insecure


class _KeyJudge:
    """Validator of responses to a query for DNSKEY records, with the DS records or trust anchors of the zone."""

    def __init__(self, validation: Validation, zone: Name, records: Sequence[Anchor]) -> None:
        self._validation = validation
        self._zone = zone
        self._records = records
        self.is_accepted = False
        self.keys: tuple[DNSKEY, ...] = ()
        self.ttl = KEYS_TTL_MAX_S
        self.error: ExtendedError | None = None

    def __call__(self, message: Message, response: ClassifiedResponse) -> bool:
        """Tell whether a key that matches a DS record or trust anchor signs the DNSKEY RRset (RFC 4035 section 5.2)."""
        rrset = response.answers[0][0] if response.answers else None
        if rrset is None or rrset.rtype != RRType.DNSKEY or response.kind is not ResponseKind.ANSWER:
            self.error = ExtendedError(ErrorCode.DNSKEY_MISSING, f"{self._zone} has DS records and no DNSKEY")
            return False
        keys = tuple([rdata for rdata in rrset.rdatas if isinstance(rdata, DNSKEY)])[:KEYS_MAX]
        trusted = [key for key in keys if any(self._is_match(key, record) for record in self._records)]
        if not trusted:
            self.error = ExtendedError(ErrorCode.DNSKEY_MISSING, f"no DNSKEY of {self._zone} is that of its DS records")
            return False
        if not any(is_zone_key(key) for key in trusted):
            self.error = ExtendedError(ErrorCode.NO_ZONE_KEY_BIT_SET, f"the DNSKEY of {self._zone} is not a zone key")
            return False
        try:
            verified = self._validation.verify(rrset, _signatures(message.answers, rrset), self._zone, trusted)
        except BogusError as bogus:
            self.error = bogus.error
            return False
        self.keys, self.ttl, self.is_accepted = keys, verified.ttl, True
        return True

    def _is_match(self, key: DNSKEY, record: Anchor) -> bool:
        if isinstance(record, DNSKEY):
            return key == record
        if not may_match(key, record):
            return False
        is_match = matches(self._zone, key, record)
        if not is_match:
            # A key with the tag of a DS record and another digest may be part of a KeyTrap attack.
            self._validation.budget.validation.spend_failure()
        return is_match


def _implying_dname(message: Message, rrset: RRset) -> RRset | None:
    """Return the DNAME from which an unsigned CNAME in the answer section was synthesized; None if there is none.

    RFC 6672 section 5.3.1.
    """
    if rrset.rtype != RRType.CNAME or _signatures(message.answers, rrset):
        return None
    dnames = (one for one in rrsets_of(message.answers) if one.rtype == RRType.DNAME)
    return next((dname for dname in dnames if is_implied(rrset, dname)), None)


def _ds_of(rrset: RRset) -> tuple[DS, ...]:
    return tuple([rdata for rdata in rrset.rdatas if isinstance(rdata, DS)])


def _signatures(records: Iterable[Record], rrset: RRset) -> tuple[RRSIG, ...]:
    """Return the signatures that cover an RRset, from the records of one section."""
    return tuple(
        [
            record.rdata
            for record in records
            if isinstance(record.rdata, RRSIG)
            and record.rtype == RRType.RRSIG
            and record.rdata.type_covered == rrset.rtype
            and record.name == rrset.name
        ]
    )


def _denial_rrsets(message: Message) -> Iterator[RRset]:
    for rrset in rrsets_of(message.authority):
        if rrset.rtype in (RRType.NSEC, RRType.NSEC3):
            yield rrset


def _secured(
    rrset: RRset,
    signatures: tuple[RRSIG, ...] | list[RRSIG],
    ttl: int | None = None,
    secure: bool = False,
    error: ExtendedError | None = None,
) -> SecuredRRset:
    ttl = rrset.ttl if ttl is None else ttl
    return SecuredRRset(
        rrset.name, rrset.rtype, rrset.rclass, ttl, rrset.rdatas, tuple(signatures), secure, error=error
    )


def _negative_soa(soa: SecuredRRset) -> SecuredRRset:
    """Return the SOA of a negative answer with the TTL of negative answers (RFC 2308 section 5)."""
    capped = negative_soa(soa)
    return soa.with_ttl(capped.ttl)


def _unverified(message: Message, error: ExtendedError | None = None) -> tuple[SecuredRRset, ...]:
    """Return the NSEC and NSEC3 RRsets of a response with their signatures, which are not validated."""
    rrsets = _denial_rrsets(message)
    return tuple([_secured(rrset, _signatures(message.authority, rrset), error=error) for rrset in rrsets])


def _without_signatures(response: ClassifiedResponse, question: Question) -> Iterator[Link]:
    """Yield the RRsets of a response with their trust; RRSIG records in a response to ANY are left out."""
    for link in response.answers:
        if question.rtype != RRType.ANY or link[0].rtype != RRType.RRSIG:
            yield link


def _stored(message: Message, response: ClassifiedResponse, question: Question) -> ClassifiedResponse:
    """Return a response prepared for the cache without validation: each RRset has its signatures and denial records."""
    links: list[Link] = []
    for rrset, trust in _without_signatures(response, question):
        signatures = _signatures(message.answers, rrset)
        is_expanded = any(signature.labels < label_count(rrset.name) for signature in signatures)
        secured = _secured(rrset, signatures)
        links.append((replace(secured, proof=_unverified(message)) if is_expanded else secured, trust))
    soa, proof = response.soa, _unverified(message)
    if soa is not None:
        soa = replace(_secured(soa, _signatures(message.authority, soa)), proof=proof)
    denials = proof if soa is None and response.kind in _NEGATIVE else ()
    return replace(response, answers=tuple(links), soa=soa, denials=denials)
