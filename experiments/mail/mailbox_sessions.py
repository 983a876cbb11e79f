"""Results of POP3, IMAP and webmail sessions on a mailbox: time spans, failures, captured traffic, and durations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab7.experiments.harness.judge.decomposition import Decomposition
from lab7.experiments.harness.judge.verdict import Verdict, failed
from lab7.experiments.harness.measurement import LoadFailedError, Window
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.http.lab import timing
from lab7.experiments.http.wire.page_load import PageLoad
from lab7.experiments.mail.claims.evidence import connection_octets, octets_of
from lab7.experiments.mail.lab import AT_BOB
from lab7.experiments.mail.theory.access import WEBMAIL
from lab7.experiments.mail.times import TimedSample
from lab7.experiments.mail.wire.imap import ImapTraffic
from lab7.experiments.mail.wire.mailbox_timing import decompose_imap, decompose_pop3
from lab7.experiments.mail.wire.pop3 import Pop3Traffic
from lab7.topologies.emulation.errors import EmulationError


@dataclass
class Sessions:
    """Time spans of the sessions of a run, keyed by session name, and error texts of failed sessions."""

    windows: dict[str, list[Window]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def attempt(self, name: str, session: Callable[[], Window]) -> None:
        """Run a session, and record its time span or error; do nothing if a session of this name failed before."""
        self.attempt_several(name, lambda: [session()])

    def attempt_several(self, name: str, sessions: Callable[[], list[Window]]) -> None:
        """Run consecutive sessions of one name, and record their time spans or the error.

        Does nothing if an earlier session of this name has failed.
        """
        if name in self.failures:
            return
        try:
            self.windows.setdefault(name, []).extend(sessions())
        except (EmulationError, LoadFailedError) as error:
            self.failures[name] = str(error)

    def first(self, name: str) -> Window:
        """Return the time span of the first session of this name; Window(0, 0) if there is none."""
        return next(iter(self.windows.get(name, [])), Window(0, 0))

    def broken(self, claim: str, *names: str) -> Verdict | None:
        """Return the verdict `failed` on a claim if one of the named sessions was interrupted; else None."""
        first = next((name for name in names if name in self.failures), None)
        return None if first is None else failed(claim, f"The session {first} was interrupted: {self.failures[first]}.")


@dataclass(frozen=True)
class Traffic:
    """POP3, IMAP and HTTP traffic captured at Bob's interface, and the time spans of Bob's sessions."""

    pop3: Pop3Traffic
    imap: ImapTraffic
    http: PageLoad
    sessions: Sessions

    def by_pop3(self, name: str) -> Pop3Traffic:
        """Return the POP3 traffic of the first session of this name."""
        window = self.sessions.first(name)
        return self.pop3.between(window.start_ns, window.end_ns)

    def by_imap(self, name: str) -> ImapTraffic:
        """Return the IMAP traffic of the first session of this name."""
        window = self.sessions.first(name)
        return self.imap.between(window.start_ns, window.end_ns)

    def by_http(self, name: str) -> PageLoad:
        """Return the HTTP traffic of the first webmail session of this name."""
        window = self.sessions.first(name)
        return self.http.between(window.start_ns, window.end_ns)

    def timed(self, protocol: str, window: Window) -> list[TimedSample]:
        """Return the durations, divided into terms, of the sessions by a protocol within a time span.

        The list is empty if a session got no reply.
        """
        start_ns, end_ns = window.start_ns, window.end_ns
        try:
            if protocol == WEBMAIL:
                load = self.http.between(start_ns, end_ns)
                return [
                    _timed(
                        min(conversation.connection.syn.time_ns for conversation in load.conversations), timing(load)
                    )
                ]
            if protocol == "POP3":
                by_pop3 = self.pop3.between(start_ns, end_ns).sessions
                return [_timed(one.connection.syn.time_ns, decompose_pop3(one)) for one in by_pop3]
            by_imap = self.imap.between(start_ns, end_ns).sessions
            return [_timed(one.connection.syn.time_ns, decompose_imap(one)) for one in by_imap]
        except ValueError:
            return []

    def octets(self, protocol: str, name: str) -> int:
        """Return the number of octets of the first session of this name, in both directions, without packet headers."""
        if protocol == WEBMAIL:
            return sum(connection_octets(conversation.connection) for conversation in self.by_http(name).conversations)
        mine = self.by_pop3(name).sessions if protocol == "POP3" else self.by_imap(name).sessions
        return sum(octets_of(one) for one in mine)


def _timed(first_ns: int, found: Timing | Decomposition) -> TimedSample:
    """Return a measured duration as a TimedSample at Bob's interface that begins with the SYN at `first_ns`."""
    last_ns = first_ns + round(found.total_s * 1e9)
    return TimedSample(AT_BOB, first_ns, last_ns, Timing(found.total_s, found.terms))
