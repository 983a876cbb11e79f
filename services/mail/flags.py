"""Command-line flags that the mail programs share: argument types, accounts file, mailboxes and TLS."""

import argparse
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab7.services.errors import ServiceError
from lab7.services.mail.accounts import Accounts
from lab7.services.shell import Shell
from lab7.services.tls import self_signed_context, server_context

# Subject names of a self-signed certificate, in addition to the names that the program passes.
_SELF_SIGNED_NAMES = ("localhost", "127.0.0.1", "::1")


def seconds_or_zero(text: str) -> float:
    """Parse a time of 0 or more seconds; raise ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds")
    return number


def seconds(text: str) -> float:
    """Parse a time of more than 0 seconds; raise ArgumentTypeError."""
    number = seconds_or_zero(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return number


def count(text: str) -> int:
    """Parse an integer above 0; raise ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def port(text: str) -> int:
    """Parse a port number; raise ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number from 0 to 65535")
    return int(text)


def endpoint(text: str) -> tuple[str, int | None]:
    """Parse `host`, `host:port`, `[address]:port` or an IPv6 address; return (host, port or None if absent)."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, port(rest[1:]) if rest.startswith(":") else None
    host, colon, number = text.rpartition(":")
    if not colon or ":" in host:
        return text, None
    return host, port(number)


def add_mailbox_flags(parser: argparse.ArgumentParser, tls_help: str) -> None:
    """Add the flags of every program that serves mailboxes: --maildirs, --accounts, --domain and --tls."""
    parser.add_argument(
        "--maildirs",
        type=Path,
        required=True,
        metavar="DIR",
        help="directory of the mailboxes; a user's Maildir is DIR/domain/user",
    )
    parser.add_argument(
        "--accounts", type=Path, required=True, metavar="FILE", help="file of users, passwords and quotas"
    )
    parser.add_argument(
        "--domain",
        action="append",
        metavar="NAME",
        help="domain to serve (repeatable); users of the first domain may log in without @NAME",
    )
    parser.add_argument("--tls", nargs="*", metavar="FILE", help=tls_help)


class HasAccounts(Protocol):
    """Interface of a server with the attribute `accounts`, which reload_accounts() replaces."""

    accounts: Accounts


def load_accounts(options: argparse.Namespace) -> Accounts:
    """Load the file of --accounts; raise ServiceError if it is unreadable or invalid."""
    return Accounts.load(options.accounts, options.domain or ["localhost"])


def reload_accounts(shell: Shell, server: HasAccounts, options: argparse.Namespace) -> None:
    """Reload the accounts file for a server; if the file is invalid, log an event and keep the old accounts."""
    try:
        server.accounts = load_accounts(options)
    except ServiceError as error:
        shell.log.write("accounts", error=str(error))


def certificate_context(options: argparse.Namespace, names: Sequence[str] = ()) -> ssl.SSLContext | None:
    """Return a server's TLS context for --tls, None without --tls; raise ServiceError for invalid files.

    If --tls names no files, the certificate is self-signed, for the loopback addresses and `names`.
    """
    if options.tls is None:
        return None
    if len(options.tls) not in (0, 2):
        raise ServiceError("--tls takes a certificate and its key, or nothing")
    if options.tls:
        return server_context(*options.tls)
    return self_signed_context([*names, *_SELF_SIGNED_NAMES])


def starttls_context(options: argparse.Namespace, names: Sequence[str] = ()) -> ssl.SSLContext | None:
    """Return the server's TLS context of --tls for STARTTLS, None without --tls; raise ServiceError for invalid files.

    The server sends no TLS 1.3 session tickets, which are optional (RFC 8446 section 4.6.1), for two reasons. A client
    that expects a response whenever octets arrive would block on a ticket, as the reader thread of offlineimap does.
    And a ticket sent to a client that has already closed its connection would cause a TCP reset, which discards the
    last reply.
    """
    context = certificate_context(options, names)
    if context is not None:
        context.num_tickets = 0
    return context
