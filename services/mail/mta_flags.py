"""Command-line flags of the MTA program (lab7.services.mail.mta)."""

import argparse
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from lab7.services.faults import add_fault_flag
from lab7.services.mail.authentication.flags import add_authentication_flags
from lab7.services.mail.delivery.remote import CONNECTIONS_MAX, MESSAGES_MAX
from lab7.services.mail.faults import MTA_FAULTS
from lab7.services.mail.flags import count, endpoint, port, seconds_or_zero
from lab7.services.mail.queue.entry import EXPIRE_S, RETRY_S, parse_intervals
from lab7.services.mail.smtp import limits
from lab7.services.shell import add_common_flags

DEFAULT_PORT = 25
# RFC 5321 section 4.5.3.2.7: an idle time-out of at least 5 minutes.
IDLE_S = 300.0
# Connection attempts to remote servers time out as with Postfix's smtp_connect_timeout.
CONNECT_S = 30.0
CONNECTIONS = 1_000


def _intervals(text: str) -> tuple[float, ...]:
    try:
        return parse_intervals(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@cache
def parser() -> argparse.ArgumentParser:
    """Return the argparse parser of the MTA's command line."""
    flags = argparse.ArgumentParser(
        prog="python -m lab7.services.mail.mta", description="Accept, queue and deliver mail."
    )
    flags.add_argument(
        "--domain", action="append", required=True, metavar="NAME", help="local domain to accept mail for (repeatable)"
    )
    flags.add_argument(
        "--hostname", metavar="NAME", help="host name of this server in replies and EHLO (default: first --domain)"
    )
    flags.add_argument(
        "--accounts", type=Path, required=True, metavar="FILE", help="file of users, mailing lists and forwards"
    )
    flags.add_argument(
        "--maildirs",
        type=Path,
        required=True,
        metavar="DIR",
        help="directory of the mailboxes; a user's Maildir is DIR/domain/user",
    )
    flags.add_argument("--queue", type=Path, required=True, metavar="DIR", help="directory of the queue")
    _add_submission(flags)
    _add_policy(flags)
    _add_delivery(flags)
    add_authentication_flags(flags)
    add_fault_flag(flags, MTA_FAULTS)
    add_common_flags(flags, DEFAULT_PORT)
    return flags


def _add_submission(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--submission-port", type=port, metavar="N", help="port for message submission with AUTH (usually 587)"
    )
    flags.add_argument(
        "--submissions-port",
        type=port,
        metavar="N",
        help="port for message submission inside TLS from the first octet (implicit TLS, usually 465); needs --tls",
    )
    flags.add_argument(
        "--tls", nargs="*", metavar="FILE", help="enable STARTTLS with a certificate and key (default: self-signed)"
    )
    flags.add_argument("--auth-in-clear", action="store_true", help="allow AUTH outside TLS even with --tls")


def _add_policy(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--relay-from",
        type=_network,
        action="append",
        default=[],
        metavar="NET",
        help="network of clients that may send mail to any domain (repeatable)",
    )
    flags.add_argument(
        "--relay-for",
        type=str.lower,
        action="append",
        default=[],
        metavar="NAME",
        help="domain to accept mail for as backup MX (repeatable)",
    )
    flags.add_argument(
        "--refuse",
        type=_network,
        action="append",
        default=[],
        metavar="NET",
        help="reject connections from this network with 554 (repeatable)",
    )
    flags.add_argument(
        "--greylist", type=seconds_or_zero, metavar="S", help="reject unknown senders with 450 for S seconds (RFC 6647)"
    )
    flags.add_argument("--no-verify", action="store_true", help="disable VRFY and EXPN (252)")
    flags.add_argument(
        "--strict-syntax",
        action="store_true",
        help="reject addresses beyond the grammar of RFC 5321, such as MAIL FROM:a@b, and lines above 1000 octets",
    )
    flags.add_argument(
        "--max-size", type=count, default=limits.MESSAGE_OCTETS, metavar="OCTETS", help="maximum message size in octets"
    )
    flags.add_argument(
        "--max-connections",
        type=count,
        default=CONNECTIONS,
        metavar="N",
        help="maximum concurrent connections; more get 421",
    )
    flags.add_argument(
        "--idle",
        type=seconds_or_zero,
        default=IDLE_S,
        metavar="S",
        help="close idle connections after S seconds with 421",
    )


def _add_delivery(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--resolver", type=endpoint, metavar="ADDR[:PORT]", help="DNS resolver for MX lookups (default: the system's)"
    )
    flags.add_argument(
        "--smarthost", type=endpoint, metavar="HOST[:PORT]", help="relay all non-local mail through this host"
    )
    flags.add_argument(
        "--remote-port", type=port, default=25, metavar="N", help="SMTP port of remote servers (default: 25)"
    )
    flags.add_argument(
        "--remote-tls",
        action="store_true",
        help="use STARTTLS with remote servers that offer it, without verifying certificates",
    )
    flags.add_argument("--no-pipelining", action="store_true", help="disable PIPELINING with remote servers")
    flags.add_argument(
        "--remote-connections",
        type=count,
        default=CONNECTIONS_MAX,
        metavar="N",
        help="maximum concurrent connections to one remote domain (default: %(default)s)",
    )
    flags.add_argument(
        "--remote-messages",
        type=count,
        default=MESSAGES_MAX,
        metavar="N",
        help="maximum messages per connection to a remote server (default: %(default)s)",
    )
    flags.add_argument(
        "--retry",
        type=_intervals,
        default=RETRY_S,
        metavar="S,S,...",
        help="seconds before the second, third, ... delivery attempt; the last interval repeats",
    )
    flags.add_argument(
        "--expire",
        type=seconds_or_zero,
        default=EXPIRE_S,
        metavar="S",
        help="return undelivered mail to its sender after S seconds",
    )
    flags.add_argument(
        "--connect-timeout",
        type=seconds_or_zero,
        default=CONNECT_S,
        metavar="S",
        help="time-out of a connection attempt in seconds (default: %(default)s)",
    )
