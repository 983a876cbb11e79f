"""What the cache answers by itself: the set, an alias on the way to it, or that there is nothing.

RFC 1034 section 5.3.3 step 1, RFC 6672 section 3.4 (a remembered DNAME stands for all below it), RFC 8020 section 2.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from services.dns.address_space import Network
from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.name import Name
from services.dns.codec.rdata import OneName
from services.dns.codec.records import RRset
from services.dns.recursion.cache import Failure, Negative, Value
from services.dns.recursion.classify import substitute
from services.dns.recursion.context import Knowledge
from services.dns.recursion.ecs_cache import ScopedView


class Remembered(Protocol):
    """A cache, or what the clients of one network see of it."""

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return what is known of exactly this name and type."""

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the proof that a name does not exist."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One step on the way to an answer; `target` is the name to go on with, where there is one.

    `scope` is how many bits of the client's network it depends on (RFC 7871).
    """

    rcode: int
    answers: tuple[RRset, ...] = ()
    target: Name | None = None
    soa: RRset | None = None
    scope: int = 0


def look_up_for(known: Knowledge, name: Name, rtype: int, subnet: Network | None, now: float) -> Finding | None:
    """Return what is known of a question for clients in `subnet`, None when the network must be asked."""
    if known.scoped is None or subnet is None:
        return look_up(known.cache, name, rtype, now)
    view = ScopedView(known.cache, known.scoped, subnet)
    finding = look_up(view, name, rtype, now)
    return None if finding is None else replace(finding, scope=view.scope)


def look_up(cache: Remembered, name: Name, rtype: int, now: float) -> Finding | None:
    """Return what the cache knows of a question, None when the network must be asked."""
    # RFC 8482 section 4.1: what happens to be cached is not all there is, so ANY is asked for.
    if rtype == RRType.ANY:
        return None
    found = cache.get(name, rtype, now)
    if isinstance(found, RRset):
        return Finding(Rcode.NOERROR, (found,))
    if isinstance(found, Failure):
        return Finding(Rcode.SERVFAIL)
    if isinstance(found, Negative):
        return Finding(found.rcode, soa=found.soa)
    alias = cache.get(name, RRType.CNAME, now)
    if isinstance(alias, RRset):
        return _through(alias)
    missing = cache.nonexistence(name, now)
    if missing is not None:
        return Finding(missing.rcode, soa=missing.soa)
    return _substituted(cache, name, now)


def _through(alias: RRset) -> Finding | None:
    data = alias.rdatas[0]
    return Finding(Rcode.NOERROR, (alias,), data.target) if isinstance(data, OneName) else None


def _substituted(cache: Remembered, name: Name, now: float) -> Finding | None:
    for ancestor in name.parent.ancestors() if len(name) else ():
        dname = cache.get(ancestor, RRType.DNAME, now)
        if not isinstance(dname, RRset):
            continue
        substituted = substitute(dname, name)
        if substituted is None:
            return Finding(Rcode.YXDOMAIN, (dname,))
        return Finding(Rcode.NOERROR, (dname, substituted[0]), substituted[1])
    return None
