"""Serve-stale: answers from expired cache data while the servers of a zone cannot be reached (RFC 8767).

RFC 8767 sections 4 (the data is kept for a configured time beyond its TTL), 5 (it is used if resolution fails, or takes
longer than the client response timer, with a TTL of 30 s) and RFC 8914 section 4.4 (extended errors 3 and 19). Data
that has failed validation is not replaced by stale data: the failure may be an attack. Left out: the failure recheck
timer; the resolver caches failures instead (RFC 9520).
"""

from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.message import Question, RRset
from lab7.services.dns.recursion.cache import Cache, LookupResult, look_up
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError

# RFC 8767 section 5: the client response timer, "1.8 seconds is one potential value".
CLIENT_RESPONSE_TIMER_S = 1.8
# Maximum number of aliases followed in stale data.
_CHAIN_MAX = 16


def stale_answer(
    cache: Cache, question: Question, now: float
) -> tuple[LookupResult, tuple[RRset, ...], ExtendedError] | None:
    """Return the answer to a question from expired cache data, as (result, answers, extended error).

    The answers include the aliases; the result is that of the last name of the alias chain. Returns None if there is no
    answer.
    """
    view, name = cache.stale(), question.name
    answers: list[RRset] = []
    for _ in range(_CHAIN_MAX):
        found = look_up(view, name, question.rtype, now)
        if found is None or found.rcode == Rcode.SERVFAIL:
            return None
        answers += found.answers
        if found.target is None:
            code = ErrorCode.STALE_NXDOMAIN_ANSWER if found.rcode == Rcode.NXDOMAIN else ErrorCode.STALE_ANSWER
            return found, tuple(answers), ExtendedError(code, f"the servers for {name} cannot be reached")
        name = found.target
    return None
