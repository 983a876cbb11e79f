r"""Mail transfer agent (MTA): SMTP server, queue, local and remote delivery in one process (RFC 5321, RFC 6409).

    $ python -m lab7.services.mail.mta --domain example.com --accounts accounts --maildirs mail --queue queue \
          --port 2525
    READY mta 127.0.0.1:2525 [::1]:2525
    $ swaks --server 127.0.0.1:2525 --from alice@example.org --to bob@example.com

Mail for --domain (repeatable) is accepted on --port from any client and delivered into Maildirs, DIR/domain/user. Mail
for other domains is accepted from the networks of --relay-from and, on --submission-port, from authenticated users; it
is sent to the domain's MX hosts or to --smarthost. The reply 250 is sent once the message is durable in the queue
(services/mail/queue). SIGHUP reloads the accounts; SIGUSR1 prints the size of the queue as one JSON line on standard
output; `python -m lab7.services.mail.queue DIR` lists every message.
"""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab7.services.dns.resolv_conf import servers_of
from lab7.services.errors import ServiceError
from lab7.services.eventlog import report
from lab7.services.mail.accounts import Accounts
from lab7.services.mail.authentication.flags import checks_of, load_keys
from lab7.services.mail.authentication.inbound import Decision
from lab7.services.mail.authentication.mta_sts.policy_source import PolicySource
from lab7.services.mail.authentication.service import Authentication
from lab7.services.mail.delivery.dispatcher import Dispatcher, DispatcherContext
from lab7.services.mail.delivery.mx_lookup import Resolver
from lab7.services.mail.delivery.remote import Remote
from lab7.services.mail.delivery.routes import Host
from lab7.services.mail.delivery.trace import complete_submission, received_field
from lab7.services.mail.faults import FaultyServerSession, late, unstuffed
from lab7.services.mail.flags import starttls_context
from lab7.services.mail.maildir.root import check_root
from lab7.services.mail.mta_flags import parser
from lab7.services.mail.queue.entry import Entry, Schedule
from lab7.services.mail.queue.journal import Journal
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.client import Timeouts
from lab7.services.mail.smtp.client_session import SessionOptions
from lab7.services.mail.smtp.commands import Accept
from lab7.services.mail.smtp.content import stuffed, with_header_end
from lab7.services.mail.smtp.greylist import Greylist
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server import Limits, Port, SMTPServer
from lab7.services.mail.smtp.server_session import Offer
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.shell import Shell, run_service
from lab7.services.tls import Trust, client_context

RESOLV_CONF = Path("/etc/resolv.conf")
NO_ROOM = Reply(452, "No disk space for the queue", "4.3.1")
QUEUE_FAULT = Reply(451, "Cannot write to the queue", "4.3.0")
_NO_ROOM_ERRORS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class MTA:
    """A running MTA: its listening sockets, its queue, and the dispatcher that delivers from the queue."""

    def __init__(self, shell: Shell, options: argparse.Namespace) -> None:
        self._shell = shell
        self._options = options
        self.hostname: str = options.hostname or options.domain[0]
        self.accounts = self._load_accounts()
        check_root(options.maildirs, self.accounts.domains)
        self._journal = Journal(options.queue)
        self.spool = Spool(shell.loop, self._journal, shell.log)
        schedule = Schedule(options.retry, options.expire)
        service = DispatcherContext(shell.loop, shell.wall_clock, shell.random, shell.log, self.hostname, schedule)
        self._dispatcher = Dispatcher(service, self.spool, lambda: self.accounts, options.maildirs)
        self._resolver = self._stub_resolver()
        self._authentication = self._set_up_authentication()
        if self._authentication.is_checking:
            self._dispatcher.mailboxes.is_junk = self._authentication.is_junk
        self._dispatcher.sign = self._authentication.submit
        self._dispatcher.set_remote(self._remote(schedule))
        tls = starttls_context(options, [self.hostname])
        self.server = SMTPServer(self._policy(), shell.log, shell.loop, self._limits(), tls)
        self._make_durable: Callable[[Entry, bytes], Awaitable[None]] = self._dispatcher.accept
        if options.fault:
            self.server.context.session = partial(FaultyServerSession, faults=options.fault)
        if "early-250" in options.fault:
            self._make_durable = late(shell.loop, self._dispatcher.accept)

    def recover(self) -> None:
        """Resume delivery of the messages that an earlier process left in the queue; raises ServiceError."""
        try:
            entries = self._journal.recover()
        except OSError as error:
            raise ServiceError(f"cannot read the queue {self._options.queue}: {error}") from error
        self.spool.restore(entries)
        for entry in entries:
            self._dispatcher.dispatch(entry)

    async def listen(self) -> None:
        """Listen on the SMTP and submission ports; raises ServiceError if a port cannot be bound."""
        options, shell = self._options, self._shell
        has_tls = self.server.context.tls is not None
        strict = options.strict_syntax
        relay = Offer(self.hostname, options.max_size, starttls=has_tls, strict_syntax=strict)
        connections = self.server.connections
        await shell.open_tcp(self.server.protocol(Port(relay, self._accept)), connections=connections)
        in_clear = options.auth_in_clear or not has_tls
        submission = Offer(self.hostname, options.max_size, has_tls, True, in_clear, True, strict)
        if options.submission_port is not None:
            shell.port = options.submission_port
            port = Port(submission, self._accept_submitted)
            await shell.open_tcp(self.server.protocol(port), connections=connections)
        if options.submissions_port is not None:
            tls = self.server.context.tls
            if tls is None:
                raise ServiceError("--submissions-port needs a certificate: give one with --tls")
            # RFC 8314 section 3.3: TLS begins with the first octet, so STARTTLS is not offered.
            shell.port = options.submissions_port
            port = Port(replace(submission, starttls=False), self._accept_submitted)
            await shell.open_tcp(self.server.protocol(port), tls=tls, connections=connections)

    def status(self) -> dict[str, object]:
        """Return the number of queued messages (`queued`), and of those with at least one failed attempt (`tried`).

        SIGUSR1 prints the result.
        """
        entries = self.spool.entries.values()
        return {"event": "status", "queued": len(entries), "tried": sum(entry.tries > 0 for entry in entries)}

    def reload(self) -> None:
        """Reload the accounts file; if it is invalid, the current accounts remain in use."""
        try:
            self.accounts = self._load_accounts()
        except ServiceError as error:
            self._shell.log.write("reload_failed", error=str(error))
            return
        self.server.context.policy.accounts = self.accounts

    def _load_accounts(self) -> Accounts:
        accounts = Accounts.load(self._options.accounts, self._options.domain)
        for alias in accounts.loops:
            report(
                self._shell.log,
                "mta",
                "accounts_warning",
                f"{self._options.accounts}: {alias.name} leads only back to itself, so mail for it is rejected: "
                "add a mailbox to its members, or change its target",
                "warning: ",
            )
        return accounts

    async def stop(self) -> None:
        """Shut down: close SMTP sessions with 421, cancel deliveries, and close the queue, in this order."""
        await self.server.stop()
        await self._dispatcher.close()
        await self.spool.close()

    async def _accept(self, message: Accept, client: Client) -> Reply:
        now = self._shell.wall_clock()
        # Signatures and checks then apply to the header that the queued message has.
        message = replace(message, content=with_header_end(message.content))
        if self.server.context.policy.may_relay(client):
            return await self._enqueue(message, client, await self._authentication.submit(message.content, now))
        if not self._authentication.is_checking:
            return await self._enqueue(message, client, message.content)
        decision, content = await self._authentication.receive(message, client, now)
        self._log_decision(message, client, decision)
        return decision.reply or await self._enqueue(message, client, content, decision.field)

    async def _accept_submitted(self, message: Accept, client: Client) -> Reply:
        now = self._shell.wall_clock()
        message_id = f"{int(now * 1_000_000):x}.{self._shell.random.getrandbits(64):016x}@{self.hostname}"
        content = complete_submission(message.content, message_id, now)
        return await self._enqueue(message, client, await self._authentication.submit(content, now))

    async def _enqueue(self, message: Accept, client: Client, content: bytes, results: bytes = b"") -> Reply:
        """Write a message to the queue; return the reply to the mail data: 250 once the message is on disk.

        `results` is the Authentication-Results field to add above this server's Received field (RFC 8601 section 4.1).
        """
        entry = self._dispatcher.new_entry(
            message.reverse_path, message.recipients, message.is_8bit, message.recipient_requests
        )
        entry.request, entry.is_smtputf8 = message.request, message.is_smtputf8
        single_recipient = message.recipients[0] if len(message.recipients) == 1 else None
        # RFC 6531 section 4.3
        protocol = client.protocol.replace("ESMTP", "UTF8SMTP") if message.is_smtputf8 else client.protocol
        field = received_field(
            client.hello, client.address, self.hostname, protocol, entry.id, single_recipient, entry.accepted_s
        )
        try:
            # The removal of forged fields may have left a message without a header.
            await self._make_durable(entry, results + field + with_header_end(content))
        except OSError as error:
            self._shell.log.write("not_accepted", id=entry.id, error=str(error))
            return NO_ROOM if error.errno in _NO_ROOM_ERRORS else QUEUE_FAULT
        if self._shell.log.enabled:
            self._log(entry.id, message, client)
        return Reply(250, f"Queued as {entry.id}", "2.0.0")

    def _log(self, entry_id: str, message: Accept, client: Client) -> None:
        self._shell.log.write(
            "accepted",
            id=entry_id,
            peer=client.address,
            protocol=client.protocol,
            sender=str(message.reverse_path or ""),
            recipients=[str(recipient) for recipient in message.recipients],
            size_octets=len(message.content),
        )

    def _log_decision(self, message: Accept, client: Client, decision: Decision) -> None:
        self._shell.log.write(
            "authenticated",
            peer=client.address,
            sender=str(message.reverse_path or ""),
            results=decision.summary,
            reply=str(decision.reply or ""),
        )

    def _set_up_authentication(self) -> Authentication:
        options, shell = self._options, self._shell
        checks, keys = checks_of(options), load_keys(options.dkim_key)
        authserv_id = options.authserv_id or self.hostname
        return Authentication(shell.loop, shell.random, self._resolver, authserv_id, checks, keys)

    def _policy(self) -> Policy:
        options = self._options
        greylist = Greylist(options.greylist, self._shell.wall_clock) if options.greylist is not None else None
        return Policy(
            self.accounts,
            options.relay_from,
            options.refuse,
            greylist,
            not options.no_verify,
            self._dispatcher.mailboxes.used_octets,
            self._free_octets,
            relay_for=frozenset(self._options.relay_for),
        )

    def _limits(self) -> Limits:
        return Limits(connections=self._options.max_connections, idle_s=self._options.idle)

    def _free_octets(self) -> int:
        """Return the free disk space in octets for the queue or for the mailboxes, whichever is less."""
        free = []
        for directory in (self._options.queue, self._options.maildirs):
            with suppress(OSError):
                status = os.statvfs(directory)
                free.append(status.f_bavail * status.f_frsize)
        return min(free, default=1 << 62)

    def _remote(self, schedule: Schedule) -> Remote:
        options, shell = self._options, self._shell
        smarthost = options.smarthost
        route = self._smarthost if smarthost is not None else self._route()
        port = smarthost[1] or options.remote_port if smarthost is not None else options.remote_port
        return Remote(
            shell.loop,
            shell.log,
            self.spool,
            route,
            self._dispatcher.report,
            self._dispatcher.defer,
            schedule,
            SessionOptions(
                self.hostname,
                pipelining=not options.no_pipelining,
                encode=unstuffed if "no-dot-stuffing" in options.fault else stuffed,
            ),
            port,
            Timeouts(connect_s=options.connect_timeout),
            # RFC 7435: for opportunistic encryption, the peer's certificate is not verified.
            client_context(Trust(blind=True), "smtp") if options.remote_tls else None,
            options.remote_connections,
            options.remote_messages,
            policies=self._policies() if smarthost is None else None,
        )

    def _policies(self) -> PolicySource | None:
        options, shell = self._options, self._shell
        if not options.mta_sts:
            return None
        return PolicySource(self._resolver, options.authorities, shell.wall_clock, shell.log)

    def _route(self) -> Callable[[str], Awaitable[Sequence[Host] | Reply]]:
        own_names = frozenset((self.hostname.lower(),))
        return lambda domain: self._resolver.route(domain, own_names)

    def _stub_resolver(self) -> Resolver:
        options, shell = self._options, self._shell
        if options.resolver is not None:
            servers, port = [options.resolver[0]], options.resolver[1] or 53
        else:
            servers, port = _system_servers(), 53
        return Resolver(shell.loop, shell.random, shell.log, servers, port)

    async def _smarthost(self, _: str) -> Sequence[Host] | Reply:
        """Return the IP addresses of --smarthost (a gateway, RFC 5321 section 2.3.10); a 4yz reply if none is found."""
        host = self._options.smarthost[0]
        try:
            addresses = await self._shell.loop.getaddrinfo(host, None, type=1)
        except OSError as error:
            return Reply(451, f"The smarthost {host} has no address: {error.strerror}", "4.4.4")
        return [Host(host, str(info[4][0])) for info in addresses]


def _system_servers() -> list[str]:
    try:
        return servers_of(RESOLV_CONF.read_text(encoding="latin-1"))
    except OSError:
        return []


def main(argv: list[str] | None = None) -> int:
    """Run the MTA until SIGTERM; returns its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        mta = MTA(shell, options)
        await mta.listen()
        mta.recover()
        shell.on_hangup(mta.reload)
        shell.loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(mta.status()), flush=True))
        return mta.stop

    return run_service("mta", options, start)


if __name__ == "__main__":
    sys.exit(main())
