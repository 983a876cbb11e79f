"""DMARC records and their discovery by the DNS tree walk (RFC 7489 section 6.3; RFC 9989 sections 4.7 and 4.10).

    _dmarc.example.org.  TXT  "v=DMARC1; p=reject; sp=quarantine; adkim=s"

The record of an organizational domain applies to all subdomains without a record, and relaxed alignment compares
organizational domains. RFC 7489 section 3.2 leaves open how the organizational domain is found. This module uses the
DNS tree walk of RFC 9989, at most eight queries, and no public suffix list: such a list becomes outdated, and lacks the
names of a private network. The tag pct, which RFC 9989 drops, is read, because records with pct are still published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lab7.services.dns.codec.name import Name
from lab7.services.mail.authentication.lookup import Lookups, TemporaryLookupError, domain_name, txt_records
from lab7.services.mail.authentication.tags import TagError, parse_tags

LABEL = b"_dmarc"
# RFC 9989 section 4.10: a longer name is shortened at the start, so that a tree walk has at most eight queries.
WALK_LABELS_MAX = 8


class Policy(Enum):
    """Policy that a domain publishes for messages that fail DMARC; members from the mildest to the strictest."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def milder(self) -> "Policy":
        """The next milder policy; it applies to the messages that pct= exempts (RFC 7489 section 6.6.4)."""
        return Policy.QUARANTINE if self is Policy.REJECT else Policy.NONE


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """The tags of a DMARC record; `subdomain_policy` (sp) and `missing_policy` (np) are None if absent.

    `is_suffix` is the tag psd: True (psd=y) for a public suffix, False (psd=n) for an organizational domain, None
    (psd=u or absent) if the DNS tree walk has to find the organizational domain.
    """

    policy: Policy = Policy.NONE
    subdomain_policy: Policy | None = None
    missing_policy: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100
    is_testing: bool = False
    is_suffix: bool | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """Result of a DNS tree walk from the domain `start`: the DMARC records found, the most specific domain first."""

    start: Name
    found: Sequence[tuple[Name, DmarcRecord]]

    @property
    def organizational_domain(self) -> Name:
        """The organizational domain of `start` (RFC 9989 section 4.10.2)."""
        for name, record in self.found:
            if record.is_suffix is False:
                return name
            if record.is_suffix and name != self.start:
                return self.start.suffix(len(name.labels) + 1)
        return self.found[-1][0] if self.found else self.start

    @property
    def record(self) -> tuple[Name, DmarcRecord] | None:
        """The pair (domain, record) that applies to `start`, or None.

        The record is that of `start` itself, else of its organizational domain, else of its public suffix.
        """
        by_name = dict(self.found)
        suffix = next((name for name, record in self.found if record.is_suffix), None)
        for name in (self.start, self.organizational_domain, suffix):
            if name is not None and name in by_name:
                return name, by_name[name]
        return None


def parse_dmarc(text: bytes) -> DmarcRecord | None:
    """Parse a DMARC record; return None for any other TXT record, or if p= is invalid and there is no rua=.

    RFC 7489 section 6.6.3.
    """
    try:
        tags = parse_tags(text.decode("ascii"))
    except (TagError, UnicodeDecodeError):
        return None
    if next(iter(tags)) != "v" or tags["v"] != "DMARC1":
        return None
    policy = _policy(tags.get("p"))
    # An invalid policy next to rua= counts as policy none; by RFC 9989 section 4.7, so does a missing policy.
    if policy is None and "p" in tags and "rua" not in tags:
        return None
    percent = tags.get("pct", "100")
    return DmarcRecord(
        policy or Policy.NONE,
        _policy(tags.get("sp")),
        _policy(tags.get("np")),
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        int(percent) if percent.isdecimal() and len(percent) <= 3 and int(percent) <= 100 else 100,
        tags.get("t", "n").lower() == "y",
        {"y": True, "n": False}.get(tags.get("psd", "u").lower()),
    )


def _policy(text: str | None) -> Policy | None:
    return next((policy for policy in Policy if text is not None and policy.value == text.lower()), None)


def walk(domain: str) -> Lookups[Walk]:
    """Look up the DMARC records of a domain and its parents (DNS tree walk); return a Walk.

    Raises TemporaryLookupError, and ValueError for an invalid domain name.
    """
    start = domain_name(domain)
    if start is None:
        raise ValueError(f"{domain!r} is not a domain name")
    own = yield from find_record(start)
    return (yield from walk_on(start, own))


def walk_on(start: Name, own: DmarcRecord | None) -> Lookups[Walk]:
    """Continue a DNS tree walk with the parents of `start`; its own DMARC record `own` (None: none) is known.

    The walk ends early at a record that determines the organizational domain: psd=n, or psd=y above `start`. It also
    ends if a lookup fails after a record has been found; the records found so far then apply. Raises
    TemporaryLookupError.
    """
    found = [] if own is None else [(start, own)]
    name, record = start, own
    while record is None or record.is_suffix is None or (record.is_suffix and name == start):
        name = name.parent if len(name.labels) <= WALK_LABELS_MAX else name.suffix(WALK_LABELS_MAX - 1)
        if not name.labels:
            break
        try:
            record = yield from find_record(name)
        except TemporaryLookupError:
            if not found:
                raise
            break
        if record is not None:
            found.append((name, record))
    return Walk(start, found)


def find_record(name: Name) -> Lookups[DmarcRecord | None]:
    """Look up the DMARC record of one domain; return None if there are none or several (RFC 7489 section 6.6.3).

    Raises TemporaryLookupError.
    """
    if sum(map(len, name.labels)) + len(name.labels) + len(LABEL) + 2 > 255:
        return None
    texts = yield from txt_records(name.child(LABEL))
    records = [record for record in map(parse_dmarc, texts) if record is not None]
    return records[0] if len(records) == 1 else None
