"""Verdict on course claim C8: after the failure of a CDN replica, users are served again within a bounded time.

The times at which the replica fails and returns are known from the experiment. Two kinds of packets are evidence:
answers of the CDN's name server that contain the replica's address, captured at this server; and connections without a
complete response, captured at the users. After the failure, the name server may return the replica's address until its
next health check has failed. Users may use such an answer for its TTL. The latest permitted times after the failure are

    last DNS answer with the address           interval + timeout + slack
    last failed request                  TTL + interval + timeout + slack

`interval` is the time between two health checks. `timeout` is the time-out of a check; it is 0 if the connection is
refused at once. `slack` is the time of messages under way (a refused check, the answer to the resolver), plus delays by
other load on the machine. Three observations contradict the claim at any time: a 200 response with other content than
the object, a DNS answer with an address that is no server of the object, and a DNS answer with another TTL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab7.experiments.cache.claims.versions import Objects, require
from lab7.experiments.cache.wire.legs import status_of
from lab7.experiments.cdn.claims.replicas import require_valid
from lab7.experiments.dns.claims.evidence import words
from lab7.experiments.dns.wire.messages import RCODES, DnsMessage, canonical
from lab7.experiments.dns.wire.traffic import DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    undecided,
)
from lab7.experiments.http.wire.http1 import Conversation
from lab7.experiments.http.wire.page_load import PageLoad

NS = 1_000_000_000


@dataclass(frozen=True)
class Fault:
    """Failure of one replica: its address, the times of failure and return in ns, and the terms that bound the outage.

    The longest permitted outage is TTL + interval of health checks + time-out of a check + slack (see the module).
    """

    address: str
    began_ns: int
    back_ns: int | None
    ttl_s: float
    interval_s: float
    timeout_s: float
    slack_s: float

    @property
    def noticed_ns(self) -> int:
        """Return the time in ns after which no DNS answer may contain the failed replica's address."""
        return self.began_ns + round((self.interval_s + self.timeout_s + self.slack_s) * NS)

    @property
    def over_ns(self) -> int:
        """Return the time in ns after which no request may fail.

        By then all cached DNS answers with the failed replica have expired.
        """
        return self.noticed_ns + round(self.ttl_s * NS)

    @property
    def allowed_s(self) -> float:
        """Return the longest permitted outage in s, counted from the failure of the replica."""
        return (self.over_ns - self.began_ns) / NS

    @property
    def used_again_ns(self) -> int | None:
        """Return the time in ns by which a returned replica must serve users again; None if it does not return."""
        waits_s = self.ttl_s + self.interval_s + self.timeout_s + self.slack_s
        return None if self.back_ns is None else self.back_ns + round(waits_s * NS)


@dataclass(frozen=True)
class Attempt:
    """Request of a user, successful or not; `failure` is the reason for a failure, or None.

    The request begins with the SYN or, if the DNS lookup fails, with the DNS query.
    """

    began_ns: int
    frame: int
    address: str
    ended_ns: int | None
    failure: str | None


@dataclass(frozen=True)
class User:
    """Captured traffic of a CDN user during a fault: DNS lookups and page loads.

    `objects` are the correct contents of the requested objects.
    """

    name: str
    dns: DnsTraffic
    load: PageLoad
    objects: Objects


@dataclass(frozen=True)
class Episode:
    """Captured evidence of one fault: the requests of all users, and the DNS answers of the CDN's name server.

    `serving` are the addresses of all servers that have the object: the replicas and the origin.
    """

    fault: Fault
    users: Sequence[User]
    server: DnsTraffic
    alias: str
    serving: frozenset[str]


@dataclass(frozen=True)
class Recovery:
    """Outage of one user after a fault: the number of failed requests and the time until requests succeeded again.

    `last_s` is the start of the last failed request, `served_s` that of the next successful one, in s after the fault.
    """

    user: str
    failed: int
    last_s: float
    served_s: float


@dataclass(frozen=True)
class _Course:
    """Outage of the user with the longest outage after a fault, as used in the evidence text.

    Attributes: the first failed, the last failed and the next successful request; the last DNS answer with the
    replica's address; the start of the last failed request in s after the fault; a text on the replica's return.
    """

    first: Attempt
    last: Attempt
    served: Attempt
    named: DnsMessage
    last_s: float
    back: str


@decides("C8")
def decide_failover(claim: str, episodes: Sequence[Episode]) -> Verdict:
    """Decide claim C8: after each fault, users are served again in time, and DNS answers drop the failed replica.

    Undecided if a fault affected no request, if a request failed before the fault, or if a user stopped too early.
    """

    if not episodes:
        return undecided(claim, "No replica failed in the experiment.")
    loads = [user.load for episode in episodes for user in episode.users]
    traffics = [one for episode in episodes for one in (episode.server, *(user.dns for user in episode.users))]

    def check() -> Finding:
        require_valid(loads)
        for episode in episodes:
            _names_servers(episode)
            for user in episode.users:
                _gets_objects(user)
        found = [_course(episode) for episode in episodes]
        last, fault = found[-1], episodes[-1].fault
        costs = ", ".join(
            f"{one.last_s:.2f} s with a TTL of {each.fault.ttl_s:g} s ({each.fault.allowed_s:.2f} s allowed)"
            for one, each in zip(found, episodes, strict=True)
        )
        return (
            f"Requests failed until {costs} after the fault of {fault.address}; allowed are the TTL, "
            f"{_terms(episodes)}. With the last TTL the first failed request is in frame {last.first.frame}, "
            f"the last in frame {last.last.frame}, and {last.served.address} served the next one (frame "
            f"{last.served.frame}){''.join(one.back for one in found)}."
        ), [last.named.frame, last.first.frame, last.last.frame, last.served.frame]

    return decide(claim, [*loads, merged(traffics)], check)


def check_episode(episode: Episode) -> list[int]:
    """Check that the outage after one fault is short enough. Raises Contradiction or Inconclusive otherwise.

    Returns the frame numbers of the first failed, the last failed and the next successful request; empty if no request
    failed.
    """
    _names_servers(episode)
    for user in episode.users:
        _gets_objects(user)
    if all(recovery(episode, user) is None and first_served(episode, user) for user in episode.users):
        _no_longer_named(episode)
        return []
    course = _course(episode)
    return [course.first.frame, course.last.frame, course.served.frame]


def first_served(episode: Episode, user: User) -> Attempt | None:
    """Return a user's first successful request after the last failed one, or None if no request succeeded again.

    If no request failed, return the first successful request after the fault.
    """
    every = [attempt for attempt in attempts(user) if not _before(attempt, episode.fault)]
    last = next((place for place in range(len(every), 0, -1) if every[place - 1].failure is not None), 0)
    return next((attempt for attempt in every[last:] if attempt.failure is None), None)


def naming_answers(episode: Episode) -> list[DnsMessage]:
    """Return the DNS answers of the CDN's name server that contain the failed replica's address, in order of time."""
    return [answer for answer, addresses in _answers(episode) if episode.fault.address in addresses]


def attempts(user: User) -> list[Attempt]:
    """Return all requests of a user in order of time; a failed DNS lookup counts as a failed request."""
    found = [_attempt(conversation) for conversation in user.load.conversations]
    for exchange in user.dns.exchanges:
        answer = exchange.response
        if answer is None or answer.rcode:
            what = (
                ("gets no response") if answer is None else f"is answered with {RCODES.get(answer.rcode, answer.rcode)}"
            )
            ended_ns = None if answer is None else answer.time_ns
            found.append(Attempt(exchange.query.time_ns, exchange.query.frame, "", ended_ns, f"its DNS query {what}"))
    return sorted(found, key=lambda attempt: attempt.began_ns)


def recovery(episode: Episode, user: User) -> Recovery | None:
    """Return the outage of a user after a fault; None if no request failed, or if none succeeded afterwards."""
    fault = episode.fault
    every = [attempt for attempt in attempts(user) if not _before(attempt, fault)]
    failed = [attempt for attempt in every if attempt.failure is not None]
    if not failed:
        return None
    served = next(
        (attempt for attempt in every if attempt.failure is None and attempt.began_ns > failed[-1].began_ns), None
    )
    if served is None:
        return None
    after = [(one.began_ns - fault.began_ns) / NS for one in (failed[-1], served)]
    return Recovery(user.name, len(failed), max(0.0, after[0]), after[1])


def _gets_objects(user: User) -> None:
    """Raise Contradiction if the content of a 200 response to the user equals no version of the requested object."""
    exchanges = [
        exchange
        for exchange in user.load.exchanges
        if exchange.response is not None and status_of(exchange.response) == 200
    ]
    require(exchanges, user.objects)


def _names_servers(episode: Episode) -> None:
    """Raise Contradiction if a DNS answer has a wrong TTL, or an address that belongs to no server of the object."""
    for answer, addresses in _answers(episode):
        strangers = addresses - episode.serving
        if strangers:
            raise Contradiction(
                f"The answer in frame {answer.frame} names {words(strangers)}, which is not a replica or the origin.",
                answer.frame,
            )
        ttls = {record.ttl for record in answer.answer if record.type == "A"}
        if ttls - {episode.fault.ttl_s}:
            raise Contradiction(
                f"The answer in frame {answer.frame} has TTL {words(map(str, ttls))}, not {episode.fault.ttl_s:g}.",
                answer.frame,
            )


def _attempt(conversation: Conversation) -> Attempt:
    connection = conversation.connection
    responses = [exchange.response for exchange in conversation.exchanges if exchange.response is not None]
    failure, ended_ns = None, responses[-1].last_ns if responses else None
    if not responses:
        reset = connection.from_server.reset
        ended_ns = reset.time_ns if reset else None
        failure = f"reset in frame {reset.frame}" if reset else "no response"
    elif status_of(responses[-1]) != 200:
        failure = f"answered with {status_of(responses[-1])} in frame {responses[-1].frames[0]}"
    return Attempt(connection.syn.time_ns, connection.syn.frame, connection.server.address, ended_ns, failure)


def _before(attempt: Attempt, fault: Fault) -> bool:
    """Return True if a request ended before the replica failed; requests under way at that time may fail."""
    return attempt.ended_ns is not None and attempt.ended_ns < fault.began_ns


def _course(episode: Episode) -> _Course:
    """Check that the outage of each user is short enough; return the longest one."""
    fault = episode.fault
    named = _no_longer_named(episode)
    users = [_served_again(user, fault) for user in episode.users]
    slowest = max(users, key=lambda one: one[1].began_ns)
    return _Course(*slowest, named, max(0.0, _after(slowest[1].began_ns, fault)), _back(episode))


def _terms(episodes: Sequence[Episode]) -> str:
    """Return a text about the terms that bound the outage in addition to the TTL, for the evidence."""
    fault, timeout_s = episodes[-1].fault, max(episode.fault.timeout_s for episode in episodes)
    waits = f", {timeout_s:g} s for the time-out of a check" if timeout_s else ""
    return f"{fault.interval_s:g} s to the next check{waits} and {fault.slack_s:g} s for requests under way"


def _after(time_ns: int, fault: Fault) -> float:
    return (time_ns - fault.began_ns) / NS


def _answers(episode: Episode) -> list[tuple[DnsMessage, set[str]]]:
    """Return (DNS answer, addresses in it) for each answer of the CDN's name server about the alias, by time."""
    found = []
    for exchange in episode.server.exchanges:
        question, answer = exchange.query.question, exchange.response
        if answer is None or question is None or question.qname != canonical(episode.alias) or question.qtype != "A":
            continue
        found.append((answer, {record.rdata for record in answer.answer if record.type == "A"}))
    return sorted(found, key=lambda exchange: exchange[0].time_ns)


def _no_longer_named(episode: Episode) -> DnsMessage:
    """Raise Contradiction if a DNS answer contains the replica's address later than permitted after the failure.

    Returns the last permitted answer with this address. Raises Inconclusive if there is none, or if no query followed
    the fault.
    """
    fault = episode.fault
    until_ns = fault.back_ns or max(
        (attempt.began_ns for user in episode.users for attempt in attempts(user)), default=0
    )
    named = [answer for answer, addresses in _answers(episode) if fault.address in addresses]
    for answer in named:
        if fault.noticed_ns < answer.time_ns < until_ns:
            raise Contradiction(
                f"The answer in frame {answer.frame}, {_after(answer.time_ns, fault):.2f} s after the fault, "
                f"still has {fault.address}.",
                answer.frame,
            )
    before = [answer for answer in named if answer.time_ns <= fault.noticed_ns]
    if not before:
        raise Inconclusive(f"No answer has {fault.address} before the fault.")
    if not any(fault.noticed_ns < answer.time_ns < until_ns for answer, _ in _answers(episode)):
        # A connection without a preceding query shows that a resolver used a cached answer beyond its TTL.
        asked = [answer for answer, _ in _answers(episode) if fault.began_ns < answer.time_ns < until_ns]
        if not asked:
            raise Inconclusive("The capture has no query for the name after the fault.")
    return before[-1]


def _served_again(user: User, fault: Fault) -> tuple[Attempt, Attempt, Attempt]:
    """Return the first failed, the last failed and the next successful request of a user.

    Raises Contradiction if the outage was too long, Inconclusive if the requests do not show it.
    """
    every = attempts(user)
    before = [attempt for attempt in every if _before(attempt, fault)]
    during = [attempt for attempt in every if not _before(attempt, fault)]
    _served_before(user, before, fault)
    failed = [attempt for attempt in during if attempt.failure is not None]
    if not failed:
        raise Inconclusive(f"The fault of {fault.address} affected no request of {user.name}.")
    late = next((attempt for attempt in failed if attempt.began_ns > fault.over_ns), None)
    if late is not None:
        raise Contradiction(
            f"With TTL {fault.ttl_s:g} s the request of {user.name} in frame {late.frame} fails "
            f"{_after(late.began_ns, fault):.2f} s after the fault ({late.failure}); {fault.allowed_s:.2f} s "
            "are allowed.",
            late.frame,
        )
    served = next(
        (attempt for attempt in during if attempt.failure is None and attempt.began_ns > failed[-1].began_ns), None
    )
    if served is None or during[-1].began_ns <= fault.over_ns:
        raise Inconclusive(
            f"{user.name} stopped sending requests before the end of the time that is allowed "
            f"for the fail-over from {fault.address}."
        )
    return failed[0], failed[-1], served


def _served_before(user: User, before: Iterable[Attempt], fault: Fault) -> None:
    before = list(before)
    bad = next((one for one in before if one.failure is not None), None)
    if bad is not None:
        raise Inconclusive(f"The request of {user.name} in frame {bad.frame} failed before the fault: {bad.failure}.")
    if not any(one.address == fault.address for one in before):
        raise Inconclusive(f"No request of {user.name} was served by {fault.address} before the fault.")


def _back(episode: Episode) -> str:
    """Check that a returned replica appears in DNS answers again and serves users. Raises Contradiction otherwise.

    Returns a text for the evidence; empty if the replica does not return.
    """
    fault = episode.fault
    if fault.back_ns is None or fault.used_again_ns is None:
        return ""
    named = next(
        (
            answer
            for answer, addresses in _answers(episode)
            if answer.time_ns > fault.back_ns and fault.address in addresses
        ),
        None,
    )
    every = [attempt for user in episode.users for attempt in attempts(user)]
    served = [
        attempt
        for attempt in every
        if attempt.began_ns > fault.back_ns and attempt.address == fault.address and attempt.failure is None
    ]
    if not any(attempt.began_ns > fault.used_again_ns for attempt in every):
        raise Inconclusive("The capture ends too early after the recovery of the replica.")
    if named is None or not served:
        raise Contradiction(f"The replica {fault.address} recovered, but no user was directed to it again.")
    first = min(served, key=lambda one: one.began_ns)
    after_s = (first.began_ns - fault.back_ns) / NS
    return f"; after its recovery (TTL {fault.ttl_s:g} s), the replica serves users again after {after_s:.2f} s"
