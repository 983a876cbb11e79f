"""Mail queue dispatcher: starts local or remote delivery to each recipient, schedules retries, sends bounces.

A recipient is final after a 2yz reply (delivered) or a 5yz reply (failed), or when its time in the queue has expired
(RFC 5321 section 4.5.4). A failure, and on request a delivery (RFC 3461), is reported to the sender by a delivery
status notification (dsn.py). The notification and the final state are written to the queue in one write, so that no
crash can separate them. A message with the null reverse-path causes no notification (RFC 5321 sections 4.5.5, 6.1).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from lab7.services.eventlog import EventLog
from lab7.services.mail.accounts import Account, Accounts
from lab7.services.mail.address import Mailbox
from lab7.services.mail.delivery import dsn
from lab7.services.mail.delivery.local import Mailboxes
from lab7.services.mail.delivery.remote import Destination, Job, Remote
from lab7.services.mail.queue.entry import Change, Entry, Recipient, Schedule
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.policy import refusal
from lab7.services.mail.smtp.syntax import NO_RECIPIENT_REQUEST, RecipientRequest, Reply

# Seconds until writing a bounce or an expanded message to the queue is tried again after an error, such as a full disk.
BOUNCE_RETRY_S = 10.0
# Maximum number of remote domains in memory; above it, domains without queued messages are evicted.
DESTINATIONS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class DispatcherContext:
    """Dependencies of the dispatcher: event loop, wall clock, random source, log, host name and retry schedule."""

    loop: asyncio.AbstractEventLoop
    wall_clock: Callable[[], float]
    random: Random
    log: EventLog
    hostname: str
    schedule: Schedule


class Dispatcher:
    """Dispatcher of all queued messages: attempts delivery to each recipient until it is delivered or bounced."""

    def __init__(
        self, service: DispatcherContext, spool: Spool, accounts: Callable[[], Accounts], maildirs: Path
    ) -> None:
        # Function set by the MTA that signs a bounce, which is mail of the MTA's own domain.
        self.sign: Callable[[bytes, float], Awaitable[bytes]] | None = None
        self.mailboxes = Mailboxes(service.loop, maildirs, spool, self.report)
        self._service = service
        self._spool = spool
        self._accounts = accounts
        self._destinations: dict[str, Destination] = {}
        self._remote: Remote | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def set_remote(self, remote: Remote) -> None:
        """Set the parameters of remote delivery (connection limits, schedule, TLS)."""
        self._remote = remote

    def new_entry(
        self,
        reverse_path: Mailbox | None,
        recipients: Sequence[Mailbox],
        is_8bit: bool,
        requests: Sequence[RecipientRequest] = (),
    ) -> Entry:
        """Return a queue entry for a new message, without its content: a new id, and lists and forwards expanded.

        `requests` has the DSN request for each recipient, or is empty.
        """
        now = self._service.wall_clock()
        entry_id = f"{int(now * 1_000_000):x}{self._service.random.getrandbits(24):06x}"
        return Entry(entry_id, now, reverse_path, expand(recipients, self._accounts(), requests), 0, is_8bit)

    async def accept(self, entry: Entry, content: bytes) -> None:
        """Write a message to the queue, then start delivery; raises OSError if it cannot be written."""
        entry.content, entry.size_octets = content, len(content)
        await self._spool.add([entry])
        self.dispatch(entry)

    def dispatch(self, entry: Entry, only: Collection[int] | None = None) -> None:
        """Start delivery of a message to its undelivered recipients, or only to the recipients numbered in `only`."""
        if self._closed:
            return
        accounts = self._accounts()
        remote: dict[str, list[int]] = {}
        refused: dict[int, Reply] = {}
        for at in entry.open_recipients if only is None else only:
            mailbox = entry.recipients[at].mailbox
            if not accounts.is_local(mailbox.domain):
                remote.setdefault(mailbox.domain.lower(), []).append(at)
                continue
            resolved = accounts.find(mailbox.local_part, mailbox.domain)
            reply = refusal(resolved, accounts)
            if reply is not None:
                refused[at] = reply
            elif isinstance(resolved, Account):
                self.mailboxes.add(resolved, entry, at)
            else:
                # The name has become an alias since the message was accepted.
                self._start(self._expand_again(entry, at))
        if refused:
            self.report(entry, refused)
        for domain, recipients in remote.items():
            self._destination(domain).add(Job(entry, recipients))

    def report(self, entry: Entry, replies: dict[int, Reply]) -> None:
        """Process the replies for some recipients of a message, keyed by recipient number.

        A 2yz reply is recorded as delivery, a 4yz reply schedules a retry, and a 5yz reply or expiry causes a bounce.
        """
        now = self._service.wall_clock()
        is_expired = self._service.schedule.is_expired(entry.accepted_s, now)
        done = [at for at, reply in replies.items() if reply.is_positive]
        failed = [at for at, reply in replies.items() if reply.is_permanent or (is_expired and not reply.is_positive)]
        later = [at for at in replies if at not in failed and not replies[at].is_positive]
        if self._service.log.enabled:
            self._log(entry, replies)
        for at, reply in replies.items():
            entry.recipients[at].last = reply
        if done:
            self._conclude_delivery(entry, done)
        if failed:
            self._start(self._notify(entry, failed, "FAILURE"))
        if later:
            self._schedule_retry(entry, later, now)

    def defer(self, entry: Entry, recipients: Collection[int], reply: Reply, wait_s: float) -> bool:
        """Record a failed attempt for the recipients of a message at one remote domain.

        The next is in `wait_s` seconds. If the message has expired, bounce it and return False.
        """
        now = self._service.wall_clock()
        if self._service.schedule.is_expired(entry.accepted_s, now):
            self.report(entry, dict.fromkeys(recipients, reply))
            return False
        entry.tries += 1
        entry.next_s = now + wait_s
        changed = any(entry.recipients[at].last != reply for at in recipients)
        for at in recipients:
            entry.recipients[at].last = reply
        # A retry is recorded only to inform users of lab7.services.mail.queue: tries 1, 2, 4, 8, ... suffice.
        if changed or entry.tries & (entry.tries - 1) == 0:
            self._spool.write_later(Change(entry.id, (), dict.fromkeys(recipients, reply), entry.tries, entry.next_s))
        return True

    async def close(self) -> None:
        """Cancel deliveries; undelivered messages remain in the queue for the next start."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        for destination in self._destinations.values():
            await destination.close()
        await self.mailboxes.close()
        for task in list(self._tasks):
            task.cancel()

    def _destination(self, domain: str) -> Destination:
        destination = self._destinations.get(domain)
        if destination is None:
            if self._remote is None:
                raise RuntimeError("set_remote() was not called")
            if len(self._destinations) >= DESTINATIONS_KEPT:
                self._evict_idle()
            destination = self._destinations[domain] = Destination(self._remote, domain)
        return destination

    def _evict_idle(self) -> None:
        for domain in [domain for domain, destination in self._destinations.items() if destination.is_idle]:
            del self._destinations[domain]

    def _apply(self, entry: Entry, change: Change) -> None:
        self._spool.write_later(change)
        self._conclude(entry, change)

    def _conclude(self, entry: Entry, change: Change) -> None:
        """Apply a change to its queue entry in memory; remove the entry if no recipient is undelivered.

        The caller has written the change to the journal, or queued it to be written.
        """
        change.apply(entry)
        if entry.is_final:
            self._spool.remove(entry)

    def _conclude_delivery(self, entry: Entry, done: Sequence[int]) -> None:
        """Record the delivery to some recipients; send a success notification for those recipients that requested one.

        RFC 3461 sections 5.2.2 and 5.2.3. If the request was relayed, the next server reports on the delivery.
        """
        notified = [
            at
            for at in done
            if entry.recipients[at].request.wants("SUCCESS") and not entry.recipients[at].is_request_relayed
        ]
        others = [at for at in done if at not in notified]
        if others:
            self._apply(entry, Change(entry.id, others))
        if notified:
            self._start(self._notify(entry, notified, "SUCCESS"))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._service.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _schedule_retry(self, entry: Entry, recipients: Sequence[int], now: float) -> None:
        entry.tries += 1
        entry.may_be_delivered = True
        wait_s = self._service.schedule.wait_s(entry.tries)
        entry.next_s = now + wait_s
        last = {at: reply for at in recipients if (reply := entry.recipients[at].last) is not None}
        self._spool.write_later(Change(entry.id, (), last, entry.tries, entry.next_s))
        key = f"{entry.id} {recipients[0]}"
        self._timers[key] = self._service.loop.call_later(wait_s, self._retry, key, entry, recipients)

    def _retry(self, key: str, entry: Entry, recipients: Sequence[int]) -> None:
        del self._timers[key]
        self.dispatch(entry, recipients)

    async def _notify(self, entry: Entry, recipients: Sequence[int], condition: str) -> None:
        """Queue a notification of failure or success; in the same write, record that these recipients are final.

        There is no notification if none was requested (RFC 3461 section 4.1), or for the null reverse-path.
        """
        change = Change(entry.id, recipients, {at: reply for at in recipients if (reply := entry.recipients[at].last)})
        reverse_path = entry.reverse_path
        reported = [entry.recipients[at] for at in recipients if entry.recipients[at].request.wants(condition)]
        if reverse_path is None or not reported:
            # RFC 5321 section 6.1: a message with the null reverse-path, such as a bounce, gets no bounce.
            self._service.log.write("dropped" if condition == "FAILURE" else "not_notified", id=entry.id)
            self._apply(entry, change)
            return
        dsn_entry = await self._queue(entry, change, lambda: self._create_dsn(entry, reverse_path, reported))
        event = "bounced" if condition == "FAILURE" else "notified"
        self._service.log.write(event, id=entry.id, bounce=dsn_entry.id)
        self._conclude(entry, change)
        self.dispatch(dsn_entry)

    async def _expand_again(self, entry: Entry, at: int) -> None:
        """Replace recipient number `at`, an alias, by the addresses to which it expands.

        One write adds a new queue entry for these addresses, and records the recipient as done in the old entry.
        """
        change = Change(entry.id, [at])
        new_entry = await self._queue(entry, change, lambda: self._create_expanded(entry, entry.recipients[at]))
        self._service.log.write("expanded", id=entry.id, message=new_entry.id)
        self._conclude(entry, change)
        self.dispatch(new_entry)

    async def _queue(self, entry: Entry, change: Change, create: Callable[[], Awaitable[Entry]]) -> Entry:
        """Write a new entry, made by `create`, and a change of `entry` to the queue in one write; return the new entry.

        A failed write is repeated until it succeeds.
        """
        while True:
            try:
                new_entry = await create()
                await self._spool.add([new_entry], change)
            except OSError as error:
                self._service.log.write("not_queued", id=entry.id, error=str(error))
                await asyncio.sleep(BOUNCE_RETRY_S)
            else:
                return new_entry

    async def _create_expanded(self, entry: Entry, recipient: Recipient) -> Entry:
        content = await self._spool.content(entry)
        new_entry = self.new_entry(entry.reverse_path, [recipient.mailbox], entry.is_8bit, [recipient.request])
        new_entry.request, new_entry.is_smtputf8 = entry.request, entry.is_smtputf8
        new_entry.accepted_s, new_entry.content, new_entry.size_octets = entry.accepted_s, content, len(content)
        for expanded in new_entry.recipients:
            expanded.original = recipient.original or recipient.mailbox
        return new_entry

    async def _create_dsn(self, entry: Entry, reverse_path: Mailbox, recipients: Sequence[Recipient]) -> Entry:
        content = await self._spool.content(entry)
        dsn_entry = self.new_entry(None, [reverse_path], False)
        # The field To of the notification has the address as it is.
        dsn_entry.is_smtputf8 = not str(reverse_path).isascii()
        reported = dsn.ReportedMessage(entry.id, entry.accepted_s, reverse_path, recipients, content, entry.request)
        boundary = f"{dsn_entry.id}-{self._service.random.getrandbits(64):016x}"
        bounce = dsn.notification(reported, self._service.hostname, dsn_entry.accepted_s, boundary)
        dsn_entry.content = bounce if self.sign is None else await self.sign(bounce, dsn_entry.accepted_s)
        dsn_entry.size_octets = len(dsn_entry.content)
        return dsn_entry

    def _log(self, entry: Entry, replies: dict[int, Reply]) -> None:
        for at, reply in replies.items():
            recipient = str(entry.recipients[at].mailbox)
            self._service.log.write("delivery", id=entry.id, recipient=recipient, reply=str(reply))


def expand(
    recipients: Sequence[Mailbox], accounts: Accounts, requests: Sequence[RecipientRequest] = ()
) -> list[Recipient]:
    """Return the recipients after expansion of mailing lists and forwards, without duplicates (RFC 5321 section 3.9).

    A list is an alias (section 3.9.1): the reverse-path is unchanged, and so are the DSN requests, of which `requests`
    has one for each recipient, or none. A member that leads back to its list adds no recipient. An alias that leads
    only back to itself (Accounts.loops) is itself a recipient, whose delivery fails, so that every message has at least
    one recipient.
    """
    final: list[Recipient] = []
    seen: set[tuple[str, str]] = set()
    padded = [*requests, *[NO_RECIPIENT_REQUEST] * (len(recipients) - len(requests))]
    waiting = [(mailbox, mailbox, request) for mailbox, request in zip(recipients, padded, strict=True)][::-1]
    while waiting:
        mailbox, original, request = waiting.pop()
        if not mailbox.domain:
            mailbox = Mailbox(mailbox.local_part, accounts.domains[0])
        key = accounts.recipient_key(mailbox)
        if key in seen:
            continue
        seen.add(key)
        resolved = accounts.find(mailbox.local_part, mailbox.domain)
        if resolved is not None and resolved.targets and resolved not in accounts.loops:
            waiting += [(target, original, request) for target in reversed(resolved.targets)]
        else:
            final.append(Recipient(mailbox, original if original.key != mailbox.key else None, request=request))
    return final
