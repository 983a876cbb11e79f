"""Command-line flags and start-up of the POP3 and IMAP servers."""

import argparse
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.errors import ServiceError
from services.mail.access.requests import Session
from services.mail.access.server import CONNECTIONS_MAX, IDLE_S, LOGIN_S, AccessServer, Bounds
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
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds above zero")
    return seconds


def access_parser(program: str, description: str, default_port: int) -> argparse.ArgumentParser:
    """Return an argument parser with the flags that both servers share."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--maildirs", type=Path, required=True, metavar="DIR", help="mailboxes: DIR/domain/user")
    parser.add_argument("--accounts", type=Path, required=True, metavar="FILE", help="users and their passwords")
    parser.add_argument(
        "--domain", action="append", metavar="NAME", help="a domain whose users log in here; the first may be left out"
    )
    parser.add_argument(
        "--tls", nargs="*", metavar="FILE", help="offer TLS: with a certificate and key, or a self-signed one"
    )
    parser.add_argument("--need-tls", action="store_true", help="take no password in the clear")
    parser.add_argument(
        "--max-connections", type=int, default=CONNECTIONS_MAX, metavar="N", help="clients at once (%(default)s)"
    )
    parser.add_argument(
        "--login-timeout",
        type=_seconds,
        default=LOGIN_S,
        metavar="S",
        help="time from the connection to the login (%(default)s)",
    )
    parser.add_argument(
        "--idle",
        type=_seconds,
        default=IDLE_S,
        metavar="S",
        help="time without a complete command after which a client is logged out (%(default)s)",
    )
    add_common_flags(parser, default_port)
    return parser


def run_access(name: str, options: argparse.Namespace, make_session: MakeSession) -> int:
    """Serve until SIGTERM; SIGHUP reloads the accounts. Return the exit status."""

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        tls = _tls_context(options)
        bounds = Bounds(connections=options.max_connections, idle_s=options.idle, login_s=options.login_timeout)
        accounts = _accounts(options)
        check_root(options.maildirs, accounts.domains)
        server = AccessServer(shell, accounts, options.maildirs, lambda: make_session(options), tls, bounds)
        shell.on_hangup(lambda: _read_again(shell, server, options))
        await shell.open_tcp(server.protocol, connections=server.connections)
        return server.stop

    return run_service(name, options, start)


def _accounts(options: argparse.Namespace) -> Accounts:
    return Accounts.load(options.accounts, options.domain or ["localhost"])


def _read_again(shell: Shell, server: AccessServer, options: argparse.Namespace) -> None:
    try:
        server.accounts = _accounts(options)
    except ServiceError as error:
        # Keep the old accounts if the new file is invalid.
        shell.log.write("accounts", error=str(error))


def _tls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls is None:
        if options.need_tls:
            raise ServiceError("--need-tls needs a certificate: give one with --tls")
        return None
    if len(options.tls) not in (0, 2):
        raise ServiceError("--tls takes a certificate and its key, or nothing")
    if options.tls:
        context = server_context(*options.tls)
    else:
        context = self_signed_context([*_SELF_SIGNED_NAMES, *(options.listen or ())])
    # Send no TLS 1.3 session tickets (optional by RFC 8446 section 4.6.1): a client that takes every octet after the
    # handshake for a response blocks on them, as the reader thread of offlineimap does.
    context.num_tickets = 0
    return context
