"""SPF check of an SMTP client's address against the record of the sender's domain: check_host() (RFC 7208 section 4).

    client = Client(ip_address("192.0.2.10"), "mail.example.org")      address and HELO name
    steps = check(client, "alice", "example.org")                      sender alice@example.org
    next(steps)                                                        Lookup("example.org.", TXT), a DNS query
    steps.send(Answer(response))                                       the next Lookup, or StopIteration with
                                                                       Outcome(Result.PASS, "example.org")

check_host() of section 4 is recursive: include and redirect evaluate the record of another domain. The limits on DNS
mechanisms (10) and void lookups (2) apply to all records of a check together (section 4.6.4). For the null reverse-path
the HELO name is checked (section 2.4). Left out: the check of the HELO name in addition to the envelope sender (section
2.3), the obsolete RR type SPF (section 3.1), and Received-SPF (section 9.1), in place of which Authentication-Results
is written. The caller limits the elapsed time (authentication/service.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import MX, PTR
from lab7.services.mail.authentication.lookup import (
    Found,
    Lookups,
    TemporaryLookupError,
    addresses,
    domain_name,
    find,
    txt_records,
)
from lab7.services.mail.authentication.spf.macro import MacroValues, expand, expand_domain, needs_validated_name
from lab7.services.mail.authentication.spf.record import (
    Directive,
    Record,
    Result,
    SyntaxFaultError,
    check_explanation,
    parse_record,
    select_record,
)

# RFC 7208 section 4.6.4: limits on terms with DNS queries, void lookups, and names of one MX or PTR lookup.
DNS_TERMS_MAX = 10
VOID_LOOKUPS_MAX = 2
NAMES_MAX = 10
EXPLANATION_OCTETS_MAX = 400

_DNS_MECHANISMS = frozenset(("include", "a", "mx", "ptr", "exists"))
_POSTMASTER = "postmaster"


@dataclass(frozen=True, slots=True)
class Client:
    """The SMTP client: IP address and HELO name; `receiver` and `time_s` are used only by macros in explanations."""

    address: IPv4Address | IPv6Address
    hello: str
    receiver: str = "unknown"
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of an SPF check: result, domain checked, reason of an error, and the domain's explanation (exp=)."""

    result: Result
    domain: str
    reason: str = ""
    explanation: str = ""


class _LimitExceededError(Exception):
    """Error for an exceeded limit of RFC 7208 section 4.6.4: the result is permerror."""


class _PermanentError(Exception):
    """Error for an include or redirect to a domain without an SPF record: the result is permerror."""


@dataclass(slots=True)
class _Check:
    """State of one SPF check: the client and sender, and the counters for the limits of RFC 7208 section 4.6.4."""

    client: Client
    local_part: str
    sender_domain: str
    dns_terms: int = 0
    void_lookups: int = 0
    # Nesting depth of include; explanations of included domains are not used (RFC 7208 section 6.2).
    includes: int = 0
    validated: dict[str, str] = field(default_factory=dict)

    def values(self, domain: str) -> MacroValues:
        client = self.client
        return MacroValues(
            client.address,
            self.local_part,
            self.sender_domain,
            domain,
            client.hello,
            client.receiver,
            client.time_s,
        )

    def count_term(self) -> None:
        self.dns_terms += 1
        if self.dns_terms > DNS_TERMS_MAX:
            raise _LimitExceededError(f"more than {DNS_TERMS_MAX} terms with DNS queries")

    def count_void(self) -> None:
        self.void_lookups += 1
        if self.void_lookups > VOID_LOOKUPS_MAX:
            raise _LimitExceededError(f"more than {VOID_LOOKUPS_MAX} void lookups")


def client_address(text: str) -> IPv4Address | IPv6Address:
    """Return the client's address; an IPv4-mapped IPv6 address becomes an IPv4 address (RFC 7208 section 5)."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def check(client: Client, local_part: str, domain: str) -> Lookups[Outcome]:
    """Check by SPF whether a client may send mail of `local_part@domain`; return the outcome."""
    state = _Check(client, local_part or _POSTMASTER, domain)
    try:
        result, explanation = yield from _check_host(state, domain)
    except TemporaryLookupError as error:
        return Outcome(Result.TEMPERROR, domain, str(error))
    except (SyntaxFaultError, _LimitExceededError, _PermanentError) as error:
        return Outcome(Result.PERMERROR, domain, str(error))
    return Outcome(result, domain, explanation=explanation)


def _check_host(state: _Check, domain: str) -> Lookups[tuple[Result, str]]:
    """Evaluate the SPF record of one domain; return (result, explanation of a fail) (RFC 7208 section 4)."""
    name = _valid_domain(domain)
    if name is None:
        return Result.NONE, ""
    text = select_record((yield from txt_records(name)))
    if text is None:
        return Result.NONE, ""
    record = parse_record(text)
    for directive in record.directives:
        if (yield from _matches(state, domain, directive)):
            explains = directive.result is Result.FAIL and not state.includes
            if record.explanation is None or not explains:
                return directive.result, ""
            return directive.result, (yield from _explain(state, domain, record.explanation))
    return (yield from _redirect(state, domain, record))


def _redirect(state: _Check, domain: str, record: Record) -> Lookups[tuple[Result, str]]:
    """Evaluate the domain of the modifier redirect=; return its outcome, neutral without redirect=.

    RFC 7208 sections 4.7 and 6.1.
    """
    if record.redirect is None:
        return Result.NEUTRAL, ""
    state.count_term()
    target = yield from _target(state, domain, record.redirect)
    result, explanation = yield from _check_host(state, target)
    if result is Result.NONE:
        raise _PermanentError(f"redirect to {target}, which has no SPF record")
    return result, explanation


def _valid_domain(domain: str) -> Name | None:
    """Return a fully qualified domain name as a Name; None for other text (RFC 7208 section 4.3)."""
    name = domain_name(domain)
    return name if name is not None and len(name.labels) > 1 else None


def _matches(state: _Check, domain: str, directive: Directive) -> Lookups[bool]:
    """Return whether a mechanism of the record matches the client (RFC 7208 section 5)."""
    if directive.mechanism in _DNS_MECHANISMS:
        state.count_term()
    if directive.mechanism == "all":
        return True
    if directive.network is not None:
        return state.client.address in directive.network
    target = domain
    if directive.domain_spec:
        target = yield from _target(state, domain, directive.domain_spec)
    if directive.mechanism == "include":
        return (yield from _include(state, target))
    name = domain_name(target)
    if name is None:
        # RFC 7208 section 4.8 leaves the case of an invalid name open: it counts as a name without records.
        return False
    if directive.mechanism == "ptr":
        return bool((yield from _validated_names(state, name)))
    if directive.mechanism == "exists":
        return bool((yield from _addresses(state, name, RRType.A)))
    hosts = [name] if directive.mechanism == "a" else (yield from _exchanges(state, name))
    for host in hosts:
        if (yield from _is_of(state, host, directive)):
            return True
    return False


def _include(state: _Check, target: str) -> Lookups[bool]:
    """Return True if the check for the included domain passes (RFC 7208 section 5.2)."""
    state.includes += 1
    result, _ = yield from _check_host(state, target)
    state.includes -= 1
    if result is Result.NONE:
        raise _PermanentError(f"include of {target}, which has no SPF record")
    return result is Result.PASS


def _exchanges(state: _Check, name: Name) -> Lookups[Sequence[Name]]:
    """Return the MX host names of a domain, most preferred first, for the mechanism mx.

    More than ten names result in permerror (RFC 7208 sections 4.6.4 and 5.4).
    """
    found = yield from find(name, RRType.MX)
    records = sorted((record for record in found.records if isinstance(record, MX)), key=lambda one: one.preference)
    if not records:
        state.count_void()
    if len(records) > NAMES_MAX:
        raise _LimitExceededError(f"more than {NAMES_MAX} MX records")
    return [record.exchange for record in records]


def _is_of(state: _Check, host: Name, directive: Directive) -> Lookups[bool]:
    """Return True if an address of a host is in the client's network, which has the given prefix length."""
    client = state.client.address
    rtype = RRType.A if client.version == 4 else RRType.AAAA
    prefix = directive.prefix_four if client.version == 4 else directive.prefix_six
    found = yield from _addresses(state, host, rtype)
    return any(client in ip_network(f"{address}/{prefix}", strict=False) for address in found)


def _addresses(state: _Check, name: Name, rtype: int) -> Lookups[list[str]]:
    found = yield from addresses(name, rtype)
    if not found:
        state.count_void()
    return found


def _validated_names(state: _Check, within: Name) -> Lookups[list[Name]]:
    """Return the client's validated PTR names that are in a domain (RFC 7208 section 5.5).

    A PTR name is validated if one of its addresses is the client's. If a DNS error occurs, the name is not validated,
    but the check continues.
    """
    client = state.client.address
    reverse = domain_name(client.reverse_pointer)
    if reverse is None:
        return []
    try:
        found = yield from find(reverse, RRType.PTR)
    except TemporaryLookupError:
        return []
    if not found.records:
        state.count_void()
    validated = []
    for name in _targets(found)[:NAMES_MAX]:
        if not name.is_below(within):
            continue
        try:
            own = yield from _addresses(state, name, RRType.A if client.version == 4 else RRType.AAAA)
        except TemporaryLookupError:
            continue
        if str(client) in own:
            validated.append(name)
    return validated


def _targets(found: Found) -> list[Name]:
    return [record.target for record in found.records if isinstance(record, PTR)]


def _target(state: _Check, domain: str, domain_spec: str) -> Lookups[str]:
    values = yield from _macro_values(state, domain, domain_spec)
    return expand_domain(domain_spec, values)


def _macro_values(state: _Check, domain: str, text: str) -> Lookups[MacroValues]:
    values = state.values(domain)
    if not needs_validated_name(text):
        return values
    known = state.validated.get(domain)
    if known is None:
        known = state.validated[domain] = yield from _preferred_name(state, domain)
    return replace(values, validated=known)


def _preferred_name(state: _Check, domain: str) -> Lookups[str]:
    """Return the value of the macro %{p}: a validated name of the client (RFC 7208 section 7.3).

    The domain itself is preferred, then a subdomain of it, then any other validated name; "unknown" if there is none.
    """
    names = yield from _validated_names(state, Name(()))
    own = domain_name(domain)
    below = [name for name in names if own is not None and name.is_below(own)]
    exact = [name for name in below if name == own]
    for name in (*exact, *below, *names):
        return str(name).removesuffix(".")
    return "unknown"


def _explain(state: _Check, domain: str, domain_spec: str) -> Lookups[str]:
    """Return the explanation of a fail that the domain publishes (exp=); empty if it has none or an unusable one.

    RFC 7208 section 6.2.
    """
    try:
        target = domain_name((yield from _target(state, domain, domain_spec)))
        texts = [] if target is None else (yield from txt_records(target))
        if len(texts) != 1 or not texts[0].isascii():
            return ""
        text = texts[0].decode("ascii")
        check_explanation(text)
        values = yield from _macro_values(state, domain, text)
    except (TemporaryLookupError, SyntaxFaultError, _LimitExceededError):
        return ""
    explanation = expand(text, values)
    return explanation[:EXPLANATION_OCTETS_MAX] if explanation.isprintable() and explanation.isascii() else ""
