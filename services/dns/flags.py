"""Command-line options that several DNS server programs share: zones, signing, EDNS, TLS ports, upstream servers."""

import argparse
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from lab7.services.dns.codec.client_subnet import PREFIX6_RECOMMENDED, SubnetPolicy
from lab7.services.dns.codec.codes import DNS_PORT
from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Delegation
from lab7.services.dns.recursion.root_hints import named_roots, roots_from_file
from lab7.services.dns.server.edns_options import SECRET_OCTETS, EDNSOptions
from lab7.services.dns.zones.loading import Prepare, ZoneFiles
from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog, report
from lab7.services.flags import PORT_MAX, address, integer, network, port

# Environment variable by which the worker processes of a server get its cookie secret, in hexadecimal.
_COOKIE_SECRET = "LAB7_DNS_COOKIE_SECRET"
# Maximum number of octets of a server identifier: it is to fit into each response.
NSID_OCTETS_MAX = 128


def prefix_lengths(text: str) -> SubnetPolicy:
    """Parse BITS or BITS,BITS6, the maximum prefix lengths of client subnets for IPv4 and IPv6."""
    words = text.split(",") if "," in text else [text, str(PREFIX6_RECOMMENDED)]
    if len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 3 for word in words):
        prefix4, prefix6 = map(int, words)
        if 1 <= prefix4 <= 32 and 1 <= prefix6 <= 128:
            return SubnetPolicy(prefix4, prefix6)
    raise argparse.ArgumentTypeError(f"invalid prefix length {text!r}: expected 1 to 32, or two such as 24,56")


def add_zone_flags(flags: argparse.ArgumentParser, lists: bool = True) -> None:
    """Add the option --zone and, if `lists`, the option --zones."""
    flags.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="[ORIGIN=]FILE",
        help="master file of a zone to serve; the origin is by default the owner of the SOA (repeatable)",
    )
    if lists:
        flags.add_argument(
            "--zones",
            action="append",
            default=[],
            metavar="LIST",
            help="list of zones: a file with a line `origin<TAB>file` per zone (repeatable)",
        )


def add_edns_flags(flags: argparse.ArgumentParser) -> None:
    """Add the flags of EDNS options in responses: cookies and server identifier."""
    flags.add_argument(
        "--nsid",
        type=_server_identifier,
        default=b"",
        metavar="TEXT",
        help="server identifier for queries that ask for it (RFC 5001, dig +nsid; default: none)",
    )
    flags.add_argument(
        "--cookie-secret-file",
        type=_cookie_secret,
        metavar="FILE",
        help="file with the key of server cookies, 32 hexadecimal digits, that the servers of an anycast address share "
        "(RFC 9018; default: a random key)",
    )
    flags.add_argument(
        "--require-cookie",
        action="store_true",
        help="over UDP, answer only queries with a valid server cookie: BADCOOKIE to others with a cookie, truncation "
        "to others without (RFC 7873; default: no)",
    )


def edns_options(options: argparse.Namespace, now: Callable[[], float]) -> EDNSOptions:
    """Return the EDNSOptions that the flags of add_edns_flags() configure; `now`: clock in seconds since 1970."""
    secret = options.cookie_secret_file
    if secret is None:
        # The worker processes of a server share a port, so that each gets queries with cookies of the others.
        secret = bytes.fromhex(os.environ.get(_COOKIE_SECRET, "")) or secrets.token_bytes(SECRET_OCTETS)
    if getattr(options, "processes", 1) > 1:
        os.environ[_COOKIE_SECRET] = secret.hex()
    return EDNSOptions(now, secret, options.nsid, options.require_cookie)


def _server_identifier(text: str) -> bytes:
    if not 0 < len(text.encode()) <= NSID_OCTETS_MAX:
        raise argparse.ArgumentTypeError(f"a server identifier has 1 to {NSID_OCTETS_MAX} octets")
    return text.encode()


def _cookie_secret(path: str) -> bytes:
    try:
        secret = bytes.fromhex(Path(path).read_text("ascii"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except ValueError:
        secret = b""
    if len(secret) != SECRET_OCTETS:
        raise argparse.ArgumentTypeError(
            f"{path}: the key of server cookies has {2 * SECRET_OCTETS} hexadecimal digits"
        )
    return secret


def add_signing_flags(flags: argparse.ArgumentParser) -> None:
    """Add the options of programs that sign zones (--nsec3 etc.) to an argument parser."""
    source = flags.add_mutually_exclusive_group()
    source.add_argument(
        "--sign-keys",
        metavar="DIRECTORY",
        help="sign the zones that have keys in this directory (of services.dns.sign or dnssec-keygen); zone cuts get "
        "the DS records of the keys there",
    )
    source.add_argument(
        "--sign-seed",
        metavar="TEXT",
        help="sign all zones with keys that are derived from this text, for laboratories: the same text gives the same "
        "keys everywhere, so that parent zones get the DS records of their children",
    )
    flags.add_argument(
        "--insecure",
        action="append",
        default=[],
        type=domain_name,
        metavar="ZONE",
        help="with --sign-seed: zone that is not signed and gets no DS record (repeatable)",
    )
    flags.add_argument(
        "--nsec3", action="store_true", help="sign with NSEC3 instead of NSEC, without salt and iterations (RFC 9276)"
    )
    flags.add_argument(
        "--opt-out", action="store_true", help="with --nsec3: unsigned delegations have no NSEC3 record (RFC 5155)"
    )


def add_encryption_flags(flags: argparse.ArgumentParser) -> None:
    """Add the options for DNS over TLS and DNS over HTTPS."""
    flags.add_argument("--dot-port", type=port, metavar="N", help="answer DNS over TLS on this port, usually 853")
    flags.add_argument(
        "--doh-port", type=port, metavar="N", help="answer DNS over HTTPS (/dns-query) on this port, usually 443"
    )
    flags.add_argument(
        "--tls",
        nargs=2,
        metavar=("CERTIFICATE", "KEY"),
        help="PEM files for --dot-port and --doh-port (default: a self-signed certificate)",
    )


def domain_name(text: str) -> Name:
    """Parse a domain name, with or without the final dot."""
    try:
        return Name.from_text(text)
    except TextError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def zone_files(name: str, options: argparse.Namespace, log: EventLog, prepare: Prepare | None = None) -> ZoneFiles:
    """Return the zones of --zone and --zones; report load errors to the log and to standard error.

    `prepare` is called with each zone that was loaded.
    """

    def report_zone(event: str, sentence: str) -> None:
        report(log, name, event, sentence, "warning: " if event == "zone_warning" else "")

    return ZoneFiles(options.zone, getattr(options, "zones", ()), report_zone, prepare)


def add_upstream_flags(flags: argparse.ArgumentParser) -> None:
    """Add the options of programs that query other servers (--root, --forward etc.) to an argument parser."""
    flags.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="NAME=ADDRESS",
        help="name and IP address of a root server (repeatable)",
    )
    flags.add_argument(
        "--root-hints", metavar="FILE", help="master file with root hints: NS and A records of the root servers"
    )
    flags.add_argument("--outgoing", type=address, metavar="ADDRESS", help="source address of upstream queries")
    flags.add_argument(
        "--upstream-port",
        type=integer(1, PORT_MAX),
        default=DNS_PORT,
        metavar="N",
        help="port of upstream servers (default: %(default)s)",
    )
    flags.add_argument(
        "--allow",
        action="append",
        type=network,
        metavar="NETWORK",
        help="network whose clients may query (repeatable; default: private networks)",
    )
    flags.add_argument(
        "--case-randomisation",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="randomise the case of query names against spoofing (default: yes)",
    )
    flags.add_argument(
        "--ipv6",
        action=argparse.BooleanOptionalAction,
        help="query servers over IPv6, too (default: if this host has a global IPv6 address)",
    )
    flags.add_argument(
        "--may-query",
        action="append",
        default=[],
        type=network,
        metavar="NETWORK",
        help="query servers in this loopback, link-local, multicast or reserved network (repeatable; default: only if "
        "the address of a root server or forwarder is in it)",
    )


def root_servers(options: argparse.Namespace) -> Delegation:
    """Return the delegation of the root zone to the servers in --root or --root-hints; raises ServiceError."""
    if options.root and options.root_hints is not None:
        raise ServiceError("--root and --root-hints are mutually exclusive")
    return named_roots(options.root) if options.root_hints is None else roots_from_file(Path(options.root_hints))
