"""Command-line flags and start-up of the POP3 and IMAP servers."""

import argparse
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from services.errors import ServiceError
from services.mail.access.requests import Session
from services.mail.access.server import CONNECTIONS_MAX, IDLE_S, LOGIN_S, AccessServer, Limits
from services.mail.accounts import Accounts
from services.mail.maildir.root import check_root
from services.shell import Shell, add_common_flags, run_service
from services.tls import self_signed_context, server_context

MakeSession = Callable[[argparse.Namespace], Session]
# Subject names of a self-signed certificate, beside the addresses of --listen.
_SELF_SIGNED_NAMES = ("localhost", "127.0.0.1", "::1")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


def add_mailbox_flags(parser: argparse.ArgumentParser, tls_help: str) -> None:
    """Add the flags of every program that serves mailboxes: --maildirs, --accounts, --domain and --tls."""
    parser.add_argument(
        "--maildirs", type=Path, required=True, metavar="DIR", help="directory of mailboxes, DIR/domain/user"
    )
    parser.add_argument("--accounts", type=Path, required=True, metavar="FILE", help="accounts file")
    parser.add_argument(
        "--domain",
        action="append",
        metavar="NAME",
        help="domain to serve (repeatable); users of the first may log in without @NAME",
    )
    parser.add_argument("--tls", nargs="*", metavar="FILE", help=tls_help)


def access_parser(program: str, description: str, default_port: int) -> argparse.ArgumentParser:
    """Return an argument parser with the flags that both servers share."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    add_mailbox_flags(parser, "offer STARTTLS with a certificate and key, or with a self-signed certificate")
    parser.add_argument("--need-tls", action="store_true", help="refuse passwords before TLS is active")
    parser.add_argument(
        "--max-connections",
        type=int,
        default=CONNECTIONS_MAX,
        metavar="N",
        help="maximum concurrent connections (default: %(default)s)",
    )
    parser.add_argument(
        "--login-timeout",
        type=_seconds,
        default=LOGIN_S,
        metavar="S",
        help="seconds from connection to login (default: %(default)s)",
    )
    parser.add_argument(
        "--idle",
        type=_seconds,
        default=IDLE_S,
        metavar="S",
        help="idle time-out in seconds (default: %(default)s)",
    )
    add_common_flags(parser, default_port)
    return parser


def run_access(name: str, options: argparse.Namespace, make_session: MakeSession) -> int:
    """Serve until SIGTERM; SIGHUP reloads the accounts. Return the exit status."""

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        tls = _starttls_context(options)
        limits = Limits(connections=options.max_connections, idle_s=options.idle, login_s=options.login_timeout)
        accounts = load_accounts(options)
        check_root(options.maildirs, accounts.domains)
        server = AccessServer(shell, accounts, options.maildirs, lambda: make_session(options), tls, limits)
        shell.on_hangup(lambda: reload_accounts(shell, server.context, options))
        await shell.open_tcp(server.protocol, connections=server.connections)
        return server.stop

    return run_service(name, options, start)


class HasAccounts(Protocol):
    """A server or site whose accounts are replaced by a reload."""

    accounts: Accounts


def load_accounts(options: argparse.Namespace) -> Accounts:
    """Load the accounts file; raise ServiceError."""
    return Accounts.load(options.accounts, options.domain or ["localhost"])


def reload_accounts(shell: Shell, server: HasAccounts, options: argparse.Namespace) -> None:
    """Replace the accounts; keep the old ones and log an event if the file is invalid."""
    try:
        server.accounts = load_accounts(options)
    except ServiceError as error:
        shell.log.write("accounts", error=str(error))


def certificate_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """Return the TLS context of --tls, with a self-signed certificate if none is given; raise ServiceError."""
    if options.tls is None:
        return None
    if len(options.tls) not in (0, 2):
        raise ServiceError("--tls takes a certificate and its key, or nothing")
    if options.tls:
        return server_context(*options.tls)
    return self_signed_context([*_SELF_SIGNED_NAMES, *(options.listen or ())])


def _starttls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    context = certificate_context(options)
    if context is not None:
        # Send no TLS 1.3 session tickets (optional by RFC 8446 section 4.6.1): a client that takes every octet after
        # the handshake for a response blocks on them, as the reader thread of offlineimap does.
        context.num_tickets = 0
    elif options.need_tls:
        raise ServiceError("--need-tls needs a certificate: give one with --tls")
    return context
