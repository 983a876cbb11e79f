"""Command-line flags of the MTA."""

import argparse
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from services.mail.delivery.remote import CONNECTIONS_MAX, MESSAGES_MAX
from services.mail.queue.entry import EXPIRE_S, RETRY_S, parse_waits
from services.mail.smtp import limits
from services.shell import add_common_flags

DEFAULT_PORT = 25
# RFC 5321 section 4.5.3.2.7
IDLE_S = 300.0
# Postfix's smtp_connect_timeout.
CONNECT_S = 30.0
CONNECTIONS = 1_000


def _waits(text: str) -> tuple[float, ...]:
    try:
        return parse_waits(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 0 to 65535")
    return int(text)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def endpoint(text: str) -> tuple[str, int | None]:
    """Parse `host`, `host:port`, `[address]:port` or an IPv6 address; the port is None if it is missing."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, _port(rest[1:]) if rest.startswith(":") else None
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return text, None
    return host, _port(port)


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of the MTA."""
    made = argparse.ArgumentParser(prog="python -m services.mail.mta", description="Take, keep and deliver mail.")
    made.add_argument("--domain", action="append", required=True, metavar="NAME", help="a domain whose mail ends here")
    made.add_argument("--hostname", metavar="NAME", help="this server's own name (default: the first --domain)")
    made.add_argument("--accounts", type=Path, required=True, metavar="FILE", help="users, lists and forwards")
    made.add_argument("--maildirs", type=Path, required=True, metavar="DIR", help="mailboxes: DIR/domain/user")
    made.add_argument("--queue", type=Path, required=True, metavar="DIR", help="what is not delivered yet")
    _add_policy(made)
    _add_delivery(made)
    add_common_flags(made, DEFAULT_PORT)
    return made


def _add_policy(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--submission-port", type=_port, metavar="N", help="a second port, for users who log in: 587 by custom"
    )
    made.add_argument(
        "--tls", nargs="*", metavar="FILE", help="offer STARTTLS: with a certificate and key, or a self-signed one"
    )
    made.add_argument(
        "--auth-in-clear", action="store_true", help="take passwords outside TLS even where --tls offers it"
    )
    made.add_argument(
        "--relay-from", type=_network, action="append", default=[], metavar="NET", help="relay for these addresses"
    )
    made.add_argument(
        "--relay-for",
        type=str.lower,
        action="append",
        default=[],
        metavar="NAME",
        help="take mail for this domain as its backup: an MX of a later preference",
    )
    made.add_argument(
        "--refuse", type=_network, action="append", default=[], metavar="NET", help="greet these addresses with 554"
    )
    made.add_argument("--greylist", type=_seconds, metavar="S", help="ask whoever comes first to come again after this")
    made.add_argument("--no-verify", action="store_true", help="answer VRFY with 252, and show no list")
    made.add_argument("--max-size", type=_count, default=limits.MESSAGE_OCTETS, metavar="OCTETS", help="of one message")
    made.add_argument("--max-connections", type=_count, default=CONNECTIONS, metavar="N", help="beyond them: 421")
    made.add_argument("--idle", type=_seconds, default=IDLE_S, metavar="S", help="a silent client gets 421 after this")


def _add_delivery(made: argparse.ArgumentParser) -> None:
    made.add_argument("--resolver", type=endpoint, metavar="ADDR[:PORT]", help="name server (default: the system's)")
    made.add_argument("--smarthost", type=endpoint, metavar="HOST[:PORT]", help="send all mail for others there")
    made.add_argument("--remote-port", type=_port, default=25, metavar="N", help="port of other servers (default: 25)")
    made.add_argument("--remote-tls", action="store_true", help="use STARTTLS where another server offers it")
    made.add_argument("--no-pipelining", action="store_true", help="send one command at a time, even where more may go")
    made.add_argument(
        "--remote-connections",
        type=_count,
        default=CONNECTIONS_MAX,
        metavar="N",
        help="at once to the servers of one domain (default: %(default)s)",
    )
    made.add_argument(
        "--remote-messages",
        type=_count,
        default=MESSAGES_MAX,
        metavar="N",
        help="sent one after the other on one connection (default: %(default)s)",
    )
    made.add_argument(
        "--retry", type=_waits, default=RETRY_S, metavar="S,S,...", help="waits before later tries, the last for ever"
    )
    made.add_argument(
        "--expire", type=_seconds, default=EXPIRE_S, metavar="S", help="when to give up and tell the sender"
    )
    made.add_argument("--connect-timeout", type=_seconds, default=CONNECT_S, metavar="S", help="(default: %(default)s)")
