"""DMARC evaluation of a message: alignment with the domain of From, and policy (RFC 7489 sections 3.1, 6.6; RFC 9989).

A message passes if SPF or DKIM passed for a domain that is aligned with the domain of From: the same domain (strict) or
a domain with the same organizational domain (relaxed). Otherwise the policy of the From field's domain applies: p for
the domain itself, sp for subdomains, np for subdomains that do not exist. If From names no domain or several domains,
the result is permerror, and the message may be rejected (RFC 7489 section 6.6.1): otherwise such a From field would
evade DMARC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.name import Name
from lab7.services.mail.authentication.dkim.canonicalization import ParsedMessage
from lab7.services.mail.authentication.dmarc.record import DmarcRecord, Policy, Walk, find_record, walk, walk_on
from lab7.services.mail.authentication.lookup import Lookups, TemporaryLookupError, domain_name, find
from lab7.services.mail.mime.addresses import MISSING_HOST, parse_addresses


class Result(Enum):
    """Results of DMARC (RFC 7489 section 11.2)."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of DMARC for the domain of From.

    `policy` is the policy as published, None without a record. `applied` is the policy after pct= and t= (test mode).
    """

    result: Result
    domain: str
    policy: Policy | None = None
    applied: Policy = Policy.NONE
    reason: str = ""


class AuthorError(ValueError):
    """Error for a From field that does not name exactly one domain."""


def author_domain(message: ParsedMessage) -> str:
    """Return the domain of the From field, in lower case; raises AuthorError."""
    fields = message.named("from")
    if len(fields) != 1:
        raise AuthorError(f"{len(fields) or 'no'} From fields")
    parsed = parse_addresses(fields[0].value)
    domains = {one.host.decode("latin-1").lower().removesuffix(".") for one in parsed if one.host is not None}
    if len(domains) != 1:
        raise AuthorError(f"a From field with {len(domains) or 'no'} domains")
    domain = domains.pop()
    if domain == MISSING_HOST.decode().lower() or domain_name(domain) is None:
        raise AuthorError("a From field without a domain")
    return domain


def judge(
    message: ParsedMessage, spf_domain: str | None, dkim_domains: Sequence[str], percent: int
) -> Lookups[Verdict]:
    """Evaluate DMARC for a message: return the result and the policy that applies, as a Verdict.

    `spf_domain` is the domain for which SPF passed, or None; `dkim_domains` are the domains of valid DKIM signatures.
    `percent` is a random number from 0 to 99, which is compared with pct (RFC 7489 section 6.6.4).
    """
    try:
        domain = author_domain(message)
    except AuthorError as error:
        return Verdict(Result.PERMERROR, "", reason=str(error))
    try:
        return (yield from _judge_domain(domain, spf_domain, dkim_domains, percent))
    except TemporaryLookupError as error:
        return Verdict(Result.TEMPERROR, domain, reason=str(error))


def _judge_domain(domain: str, spf_domain: str | None, dkim_domains: Sequence[str], percent: int) -> Lookups[Verdict]:
    start = domain_name(domain)
    if start is None:
        return Verdict(Result.NONE, domain)
    own = yield from find_record(start)
    others = [name for one in (*dkim_domains, spf_domain or "") if (name := domain_name(one)) is not None]
    if own is not None and (not others or start in others):
        # If the record of the author's domain decides alignment and policy, no records of parent domains are looked up.
        walked = Walk(start, [(start, own)])
    else:
        walked = yield from walk_on(start, own)
    if walked.record is None:
        return Verdict(Result.NONE, domain)
    owner, record = walked.record
    authenticated = [(one, record.strict_dkim) for one in dkim_domains]
    if spf_domain is not None:
        authenticated.append((spf_domain, record.strict_spf))
    for other, is_strict in authenticated:
        if (yield from _is_aligned(walked, other, is_strict)):
            return Verdict(Result.PASS, domain, record.policy)
    policy = yield from _policy(start, owner, record)
    applied = policy.milder if record.is_testing or percent >= record.percent else policy
    return Verdict(Result.FAIL, domain, policy, applied, "no aligned domain passed SPF or DKIM")


def _is_aligned(walked: Walk, other: str, is_strict: bool) -> Lookups[bool]:
    name = domain_name(other)
    if name is None or name == walked.start:
        return name is not None
    # A domain that is not below the author's organizational domain cannot be aligned: no tree walk is needed.
    if is_strict or not name.is_below(walked.organizational_domain):
        return False
    return (yield from walk(other)).organizational_domain == walked.organizational_domain


def _policy(start: Name, owner: Name, record: DmarcRecord) -> Lookups[Policy]:
    """Return the policy for the domain `start` from the record of `owner`, which is `start` or a parent domain."""
    if start == owner:
        return record.policy
    if record.missing_policy is not None and not (yield from find(start, RRType.A)).exists:
        return record.missing_policy
    return record.subdomain_policy or record.policy
