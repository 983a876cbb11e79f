"""MTA-STS policies (a domain requests TLS with verified certificates): parser, policy id in the DNS, cache (RFC 8461).

    _mta-sts.example.com.  TXT  "v=STSv1; id=20261130"
    https://mta-sts.example.com/.well-known/mta-sts.txt
        version: STSv1
        mode: enforce
        mx: mail.example.com
        mx: *.backup.example.com
        max_age: 604800

Policies are cached for max_age seconds, so that an attacker that later blocks DNS or HTTPS cannot disable a policy
(section 3.3). Left out: TLS reports (RFC 8460), and a persistent cache: after a restart, policies are fetched again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from lab7.services.bounded_dict import BoundedDict
from lab7.services.mail.authentication.lookup import Lookups, TemporaryLookupError, domain_name, txt_records
from lab7.services.mail.authentication.tags import TagError, parse_tags

HOST_LABEL, TXT_LABEL, PATH = "mta-sts", "_mta-sts", "/.well-known/mta-sts.txt"
# RFC 8461 section 3.2: max_age has at most 10 digits, and its maximum is about one year.
MAX_AGE_S = 31_557_600
# RFC 8461 section 3.3: the size is limited (as in Postfix's resolvers), and a failed fetch is retried after 5 minutes.
POLICY_OCTETS_MAX = 64 * 1024
RETRY_S = 300.0
DOMAINS_MAX = 10_000
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*)\Z")
_MX = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")


class PolicyError(ValueError):
    """Error for an MTA-STS policy that is invalid or could not be fetched."""


class Mode(Enum):
    """The mode of an MTA-STS policy (RFC 8461 section 5): enforce, testing or none."""

    NONE = "none"
    TESTING = "testing"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Policy:
    """An MTA-STS policy: its mode, the patterns of permitted MX hosts, and its lifetime in seconds."""

    mode: Mode
    patterns: Sequence[str]
    max_age_s: int

    @property
    def is_enforced(self) -> bool:
        """True in mode enforce: mail must not be delivered over a connection that violates the policy."""
        return self.mode is Mode.ENFORCE

    def matches(self, host: str) -> bool:
        """Return True if a pattern matches an MX host; `*.` stands for one label (RFC 8461 section 4.1)."""
        name = host.lower().removesuffix(".")
        above = name.partition(".")[2]
        return any(
            pattern == name or (pattern.startswith("*.") and bool(above) and pattern[2:] == above)
            for pattern in self.patterns
        )


def parse_policy(text: str) -> Policy:
    """Parse an MTA-STS policy file with CRLF or LF line ends; raises PolicyError (RFC 8461 section 3.2)."""
    values: dict[str, str] = {}
    patterns: list[str] = []
    for line in filter(str.strip, re.split(r"\r?\n", text)):
        found = _LINE.match(line.rstrip(" \t"))
        if found is None:
            raise PolicyError(f"{line[:40]!r} is not a line of a policy")
        name, value = found[1], found[2]
        if name == "mx":
            if not _MX.match(value):
                raise PolicyError(f"{value[:40]!r} is not an MX pattern")
            patterns.append(value.lower().removesuffix("."))
        else:
            # RFC 8461 section 3.2: of repeated fields other than mx, the first counts.
            values.setdefault(name, value)
    if values.get("version") != "STSv1":
        raise PolicyError("the policy is of another version")
    mode = next((mode for mode in Mode if mode.value == values.get("mode")), None)
    age = values.get("max_age", "")
    if mode is None or not re.match(r"[0-9]{1,10}\Z", age):
        raise PolicyError("the policy has no mode or no max_age")
    if not patterns and mode is not Mode.NONE:
        raise PolicyError("the policy has no mx")
    return Policy(mode, patterns, min(int(age), MAX_AGE_S))


def policy_id(domain: str) -> Lookups[str | None]:
    """Look up the id of a domain's MTA-STS policy in its TXT record; return None without a single valid record.

    Raises TemporaryLookupError.
    """
    name = domain_name(f"{TXT_LABEL}.{domain}")
    texts = [] if name is None else (yield from txt_records(name))
    records = [text for text in texts if text.startswith(b"v=STSv1;")]
    if len(records) != 1:
        return None
    try:
        found = parse_tags(records[0].decode("latin-1")).get("id", "")
    except TagError:
        return None
    return found if _ID.match(found) else None


@dataclass(frozen=True, slots=True)
class _Cached:
    """A cached MTA-STS policy, the id in its TXT record, and its expiry time in seconds of the cache's clock."""

    id: str
    policy: Policy
    expires_s: float


class PolicyCache:
    """Cache of MTA-STS policies, keyed by domain; all times are readings of `clock`, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._policies: BoundedDict[str, _Cached] = BoundedDict(DOMAINS_MAX)
        self._failed_s: BoundedDict[str, float] = BoundedDict(DOMAINS_MAX)

    def policy(self, domain: str) -> Policy | None:
        """Return the cached policy of a domain, None if there is none or it has expired."""
        cached = self._policies.get(domain)
        if cached is None or cached.expires_s <= self._clock():
            return None
        return cached.policy

    def must_fetch(self, domain: str, new_id: str) -> bool:
        """Return True if the policy with this id is not cached and the last failed fetch is more than RETRY_S ago."""
        failed_s = self._failed_s.get(domain)
        if failed_s is not None and self._clock() < failed_s + RETRY_S:
            return False
        cached = self._policies.get(domain)
        return cached is None or cached.id != new_id or cached.expires_s <= self._clock()

    def put(self, domain: str, new_id: str, policy: Policy) -> None:
        """Store a fetched policy with its id."""
        self._policies.put(domain, _Cached(new_id, policy, self._clock() + policy.max_age_s))
        self._failed_s.drop(domain)

    def failed(self, domain: str) -> None:
        """Record that the fetch of a domain's policy failed; a cached policy remains valid (RFC 8461 section 3.3)."""
        self._failed_s.put(domain, self._clock())


def fetch_needed(cache: PolicyCache, domain: str) -> Lookups[str | None]:
    """Look up the id of a domain's MTA-STS policy; return the id if the policy must be fetched.

    Returns None if the policy is cached, a fetch failed recently, the domain has no policy, or the lookup failed.
    """
    try:
        new_id = yield from policy_id(domain)
    except TemporaryLookupError:
        return None
    return new_id if new_id is not None and cache.must_fetch(domain, new_id) else None
