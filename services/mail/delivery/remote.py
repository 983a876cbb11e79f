"""Remote delivery by SMTP to one mail domain: its waiting messages, connections and retries (RFC 5321 section 4.5.4.1).

The first connection probes the destination. If it succeeds, more connections are opened while messages are waiting, and
each connection sends several messages. If all hosts fail temporarily, all messages for the domain wait, and a single
connection tries again after the schedule's interval: an unreachable server sees one attempt per interval, regardless of
the number of messages. A connection stalls if its network path fails, and stays open until a timeout of section
4.5.3.2, which may take minutes. After STALLED_S seconds without progress, another connection is therefore opened in
addition.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lab7.services.eventlog import EventLog
from lab7.services.mail.delivery.routes import Host
from lab7.services.mail.queue.entry import Entry, Schedule
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.client import Connection, ConnectionFailedError, Timeouts
from lab7.services.mail.smtp.client_session import ClientSession, Envelope, SessionOptions, Step
from lab7.services.mail.smtp.syntax import Reply

# Maximum number of connections to a domain; Postfix's 20 would not help small emulated servers.
CONNECTIONS_MAX = 4
# Number of waiting messages per additional connection.
MESSAGES_A_CONNECTION = 4
# Maximum number of recipients per transaction, which every server accepts (RFC 5321 section 4.5.3.1.8).
RECIPIENTS_MAX = 100
# Maximum number of messages per connection; Postfix instead reuses connections for 300 s.
MESSAGES_MAX = 1_000

# Seconds without progress after which a connection is stalled: a few times a retransmission timeout (RFC 6298).
STALLED_S = 10.0

NOT_IN_POLICY = Reply(451, "The mail server is not in the domain's MTA-STS policy", "4.7.5")


class TLSPolicy(Protocol):
    """Interface of the TLS policy of a mail domain (RFC 8461)."""

    @property
    def is_enforced(self) -> bool:
        """True if mail must not be delivered over a connection that violates the policy."""

    def matches(self, host: str) -> bool:
        """Return True if the policy permits an MX host."""


class TLSPolicies(Protocol):
    """Interface of a source of TLS policies.

    `smtp_context` is the TLS context for SMTP connections to domains with an enforced policy.
    """

    smtp_context: ssl.SSLContext

    async def policy(self, domain: str) -> TLSPolicy | None:
        """Return the TLS policy of a mail domain, None without one."""


Route = Callable[[str], Awaitable[Sequence[Host] | Reply]]
Report = Callable[[Entry, dict[int, Reply]], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One SMTP transaction to send: a queue entry, and the numbers of its recipients at this domain."""

    entry: Entry
    recipients: Sequence[int]


@dataclass(frozen=True, slots=True)
class Remote:
    """Parameters and callbacks of remote delivery.

    `report` receives the replies for a message's recipients. `defer` records that a message waits for a retry; it
    returns False if the message has expired.
    """

    loop: asyncio.AbstractEventLoop
    log: EventLog
    spool: Spool
    route: Route
    report: Report
    defer: Callable[[Entry, Collection[int], Reply, float], bool]
    schedule: Schedule
    options: SessionOptions
    port: int
    timeouts: Timeouts
    tls: ssl.SSLContext | None = None
    # The next two fields limit the concurrent connections to one domain, and the messages per connection.
    connections: int = CONNECTIONS_MAX
    messages: int = MESSAGES_MAX
    stalled_s: float = STALLED_S
    # Source of MTA-STS policies; None: MTA-STS is off.
    policies: TLSPolicies | None = None


class Destination:
    """One remote mail domain as a destination: waiting messages, open SMTP connections, and time of the next retry."""

    def __init__(self, remote: Remote, domain: str) -> None:
        self.domain = domain
        self._remote = remote
        self._waiting: deque[Job] = deque()
        # Time of the last progress of each connection's task (event loop's clock), to find stalled connections.
        self._workers: dict[asyncio.Task[None], float] = {}
        self._failures = 0
        self._retry_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._is_up = False

    @property
    def is_idle(self) -> bool:
        """True if no message waits and no connection is open."""
        return not self._waiting and not self._workers

    def add(self, job: Job) -> None:
        """Queue an entry for this domain, split into transactions of at most RECIPIENTS_MAX recipients."""
        for begin in range(0, len(job.recipients), RECIPIENTS_MAX):
            self._waiting.append(Job(job.entry, job.recipients[begin : begin + RECIPIENTS_MAX]))
        self._start_workers()

    async def close(self) -> None:
        """Cancel all connections; unfinished messages remain in the queue."""
        for timer in (self._retry_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        for worker in list(self._workers):
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    def _start_workers(self) -> None:
        if self._retry_timer is not None:
            return
        wanted = len(self._waiting) // MESSAGES_A_CONNECTION + 1 if self._is_up else 1
        while self._waiting and self._active_workers < wanted and len(self._workers) < self._remote.connections:
            worker = self._remote.loop.create_task(self._run())
            self._workers[worker] = self._remote.loop.time()
            worker.add_done_callback(self._worker_done)
        if self._waiting and self._workers and self._stall_timer is None:
            self._stall_timer = self._remote.loop.call_later(self._remote.stalled_s, self._check_stalled)

    @property
    def _active_workers(self) -> int:
        """The number of connections that made progress within STALLED_S."""
        since_s = self._remote.loop.time() - self._remote.stalled_s
        return sum(progress_s > since_s for progress_s in self._workers.values())

    def _check_stalled(self) -> None:
        """Open further connections in place of those that have stalled, up to the connection limit."""
        self._stall_timer = None
        self._start_workers()

    def _note_progress(self) -> None:
        worker = asyncio.current_task(self._remote.loop)
        if worker in self._workers:
            self._workers[worker] = self._remote.loop.time()

    def _worker_done(self, worker: "asyncio.Task[None]") -> None:
        self._workers.pop(worker, None)
        if not worker.cancelled():
            if worker.exception() is not None:
                self._remote.log.write("fault", domain=self.domain, error=repr(worker.exception()))
                self._defer(Reply(451, "Local error in processing", "4.3.0"))
            self._start_workers()

    async def _run(self) -> None:
        """Connect to the first host that accepts a connection, and send the waiting messages over it."""
        route = await self._remote.route(self.domain)
        if isinstance(route, Reply):
            self._fail(route)
            return
        policies = self._remote.policies
        policy = await policies.policy(self.domain) if policies is not None else None
        connection = await self._connect(route, policy)
        if isinstance(connection, Reply):
            self._fail(connection)
            return
        self._failures = 0
        self._is_up = True
        try:
            for _ in range(self._remote.messages):
                if not self._waiting or connection.session.step is not Step.READY:
                    break
                self._note_progress()
                self._start_workers()
                await self._send_next(connection)
            await connection.close()
        finally:
            connection.abort()
        if connection.session.failure is not None and self._waiting:
            self._defer(connection.session.failure)

    async def _connect(self, hosts: Sequence[Host], policy: TLSPolicy | None = None) -> Connection | Reply:
        """Try the hosts in order (RFC 5321 section 5.1); return a connection, or an SMTP reply if all hosts failed."""
        remote = self._remote
        failures: list[Reply] = []
        for host in hosts:
            if policy is not None and not policy.matches(host.name):
                self._note("not_in_policy", host, enforced=policy.is_enforced)
                if policy.is_enforced:
                    failures.append(NOT_IN_POLICY)
                    continue
            # RFC 8461 section 5: under an enforced policy, no delivery without TLS and a valid certificate.
            verified = remote.policies.smtp_context if policy and policy.is_enforced and remote.policies else None
            context = verified or remote.tls
            for tls in (True,) if verified else (True, False) if context is not None else (False,):
                options = replace(remote.options, tls=tls, tls_required=verified is not None, server=host.name)
                connection = Connection(ClientSession(options), remote.timeouts, None)
                try:
                    await connection.open((host.address, remote.port), context, server_name=host.name)
                except ConnectionFailedError as error:
                    failures.append(error.reply)
                    self._note("connect_failed", host, reply=str(error.reply))
                    # RFC 7435: with opportunistic TLS, a failed handshake is followed by a connection in plain text.
                    if not connection.session.tls_failed:
                        break
                else:
                    self._note("connected", host, tls=connection.session.uses_tls)
                    return connection
        temporary = [reply for reply in failures if not reply.is_permanent]
        return temporary[-1] if temporary else failures[-1]

    async def _send_next(self, connection: Connection) -> None:
        job = self._waiting.popleft()
        try:
            await self._send(connection, job)
        except Exception:
            # After a fault of this program, _worker_done() defers all waiting messages, so this one must be among them.
            self._waiting.appendleft(job)
            raise

    async def _send(self, connection: Connection, job: Job) -> None:
        entry = job.entry
        try:
            content = await self._remote.spool.content(entry)
        except OSError:
            self._remote.report(entry, dict.fromkeys(job.recipients, Reply(451, "Queue error", "4.3.0")))
            return
        recipients = [entry.recipients[at] for at in job.recipients]
        paths = tuple(recipient.mailbox for recipient in recipients)
        requests = tuple(recipient.request for recipient in recipients)
        envelope = Envelope(
            entry.reverse_path, paths, content, entry.is_8bit, entry.request, requests, entry.is_smtputf8
        )
        outcome = await connection.deliver(envelope)
        for recipient in recipients:
            recipient.is_request_relayed = connection.session.relays_dsn_requests
        if connection.session.in_doubt:
            # RFC 5321 section 6.1: the server may have accepted the message; retry, at the risk of a duplicate.
            self._remote.log.write("in_doubt", id=entry.id, domain=self.domain)
        self._remote.report(entry, dict(zip(job.recipients, outcome.replies, strict=True)))

    def _fail(self, reply: Reply) -> None:
        """Handle the failure of all hosts: bounce the messages if it is permanent, else schedule a retry."""
        if not reply.is_permanent:
            self._defer(reply)
            return
        jobs, self._waiting = self._waiting, deque()
        for job in jobs:
            self._remote.report(job.entry, dict.fromkeys(job.recipients, reply))

    def _defer(self, reply: Reply) -> None:
        """Schedule the destination's next retry; messages that have expired are bounced, and no longer wait here."""
        self._is_up = False
        self._failures += 1
        wait_s = self._remote.schedule.wait_s(self._failures)
        defer = self._remote.defer
        self._waiting = deque(job for job in self._waiting if defer(job.entry, job.recipients, reply, wait_s))
        if self._retry_timer is None and self._waiting:
            self._retry_timer = self._remote.loop.call_later(wait_s, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        self._start_workers()

    def _note(self, event: str, host: Host, **values: object) -> None:
        self._remote.log.write(event, domain=self.domain, host=host.name, address=host.address, **values)
