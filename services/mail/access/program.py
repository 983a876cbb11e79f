"""Command-line parser, start-up and shutdown of the POP3 and IMAP server programs."""

import argparse
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial

from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.mail.access.requests import Session
from lab7.services.mail.access.server import CONNECTIONS_MAX, IDLE_S, LOGIN_S, AccessServer, Limits
from lab7.services.mail.faults import FaultyAccessSession
from lab7.services.mail.flags import (
    add_mailbox_flags,
    count,
    load_accounts,
    port,
    reload_accounts,
    seconds,
    starttls_context,
)
from lab7.services.mail.maildir.root import check_root
from lab7.services.shell import Shell, add_common_flags, run_service

# MakeSession(offers_starttls, requires_starttls) returns the session of a new connection.
MakeSession = Callable[[bool, bool], Session]


def run_access(
    name: str,
    description: str,
    default_port: int,
    tls_port: int,
    session: MakeSession,
    argv: list[str] | None,
    faults: Mapping[str, str],
) -> int:
    """Run a POP3 or IMAP server until SIGTERM; SIGHUP reloads the accounts. Return the exit status.

    `session` creates the session of a new connection; `tls_port` is the usual port of implicit TLS. `faults` maps the
    name of each deliberate protocol violation that `--fault NAME` can enable to its description.
    """
    options = _parser(name, description, default_port, tls_port, tuple(faults.items())).parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        tls = starttls_context(options, options.listen or ())
        for flag, is_given in (("--need-tls", options.need_tls), ("--tls-port", options.tls_port is not None)):
            if tls is None and is_given:
                raise ServiceError(f"{flag} needs a certificate: give one with --tls")
        limits = Limits(connections=options.max_connections, idle_s=options.idle, login_s=options.login_timeout)
        accounts = load_accounts(options)
        check_root(options.maildirs, accounts.domains)

        def factory(offers_starttls: bool) -> Callable[[], Session]:
            correct = partial(session, offers_starttls, options.need_tls)
            return (lambda: FaultyAccessSession(correct(), options.fault)) if options.fault else correct

        server = AccessServer(shell, accounts, options.maildirs, factory(tls is not None), tls, limits)
        shell.on_hangup(lambda: reload_accounts(shell, server.context, options))
        await shell.open_tcp(server.protocol, connections=server.connections)
        if options.tls_port is not None:
            # RFC 8314 section 3: TLS begins with the first octet, so STARTTLS is not offered.
            shell.port = options.tls_port
            in_tls = server.protocol_of(factory(False))
            await shell.open_tcp(in_tls, tls=tls, connections=server.connections)
        return server.stop

    return run_service(name, options, start)


@cache
def _parser(
    name: str, description: str, default_port: int, tls_port: int, faults: tuple[tuple[str, str], ...]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m lab7.services.mail.{name}", description=description)
    add_mailbox_flags(parser, "offer STARTTLS with a certificate and key, or with a self-signed certificate")
    parser.add_argument("--need-tls", action="store_true", help="reject logins before TLS is active")
    parser.add_argument(
        "--tls-port",
        type=port,
        metavar="N",
        help=f"port for TLS from the first octet (implicit TLS, usually {tls_port}); needs --tls",
    )
    parser.add_argument(
        "--max-connections",
        type=count,
        default=CONNECTIONS_MAX,
        metavar="N",
        help="maximum concurrent connections (default: %(default)s)",
    )
    parser.add_argument(
        "--login-timeout",
        type=seconds,
        default=LOGIN_S,
        metavar="S",
        help="time-out for login in seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--idle", type=seconds, default=IDLE_S, metavar="S", help="idle time-out in seconds (default: %(default)s)"
    )
    add_common_flags(parser, default_port)
    add_fault_flag(parser, dict(faults))
    return parser
