"""Stub resolver: sends one query and prints the response like dig.

    $ python -m lab7.services.dns.stub www.example.com A @127.0.0.1 --port 5353
    $ python -m lab7.services.dns.stub -x 192.0.2.1

Without @SERVER it queries the servers of /etc/resolv.conf in turn. A truncated response is retried over TCP. The exit
codes are dig's: 0 for a response with any rcode, 9 for no response, 1 for a usage error. RFC 1034 section 5.3.1
(stubs), RFC 1035 section 3.5 and RFC 3596 section 2.5 (reverse mapping).
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from random import SystemRandom
from typing import NoReturn

from lab7.services.dns.codec.codes import DNS_PORT, RRType, type_from_text
from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.message import UDP_SIZE_DEFAULT, Question
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.dig_output import Received, as_json, as_short, as_text
from lab7.services.dns.recursion.query import Outcome, Replied, UpstreamQuery
from lab7.services.dns.recursion.transport import Upstream
from lab7.services.dns.resolv_conf import servers_of
from lab7.services.eventlog import EventLog
from lab7.services.flags import PORT_MAX, integer, seconds

EXIT_USAGE = 1
EXIT_NO_REPLY = 9
RESOLV_CONF = Path("/etc/resolv.conf")
# Default values of dig.
TRIES = 3
TIMEOUT_S = 5.0
TRIES_MAX = 100
# Permitted values of --timeout in seconds: from practically no wait to a day.
TIMEOUT_MIN_S, TIMEOUT_MAX_S = 0.001, 86_400.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"stub: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = _Parser(prog="python -m lab7.services.dns.stub", description="Query a name server and print the response.")
    flags.add_argument(
        "words",
        nargs="*",
        metavar="NAME [TYPE] [@SERVER]",
        help="question and server (default: . NS at the servers of /etc/resolv.conf)",
    )
    flags.add_argument("-x", dest="reverse", metavar="ADDRESS", help="reverse lookup: query PTR for an address")
    port, size, tries = integer(1, PORT_MAX), integer(0, 65_535), integer(1, TRIES_MAX)
    timeout = seconds(TIMEOUT_MIN_S, TIMEOUT_MAX_S)
    flags.add_argument(
        "--port", type=port, default=DNS_PORT, metavar="N", help="port of the name server (default: %(default)s)"
    )
    flags.add_argument("--tcp", action="store_true", help="query over TCP instead of UDP")
    flags.add_argument("--norecurse", action="store_true", help="clear RD: request a non-recursive answer")
    flags.add_argument("--dnssec", action="store_true", help="set DO: request DNSSEC records; needs EDNS")
    flags.add_argument("--cd", action="store_true", help="set CD: request the answer even if it is bogus")
    flags.add_argument(
        "--bufsize",
        type=size,
        default=UDP_SIZE_DEFAULT,
        metavar="N",
        help="EDNS UDP payload size of the query in octets; 0 disables EDNS",
    )
    flags.add_argument(
        "--time", type=timeout, default=TIMEOUT_S, metavar="S", help="timeout per try in seconds (default: 5)"
    )
    flags.add_argument("--tries", type=tries, default=TRIES, metavar="N", help="tries per server (default: 3)")
    form = flags.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="print the rdata of the answers only")
    form.add_argument("--json", action="store_true", help="print the response as one JSON object")
    return flags


def question_of(words: Sequence[str], reverse: str | None) -> tuple[Question, str | None]:
    """Parse the words NAME, TYPE and @SERVER; return (question, server or None); raises TextError."""
    servers = [word[1:] for word in words if word.startswith("@")]
    rest = [word for word in words if not word.startswith("@")]
    if reverse is not None:
        return Question(_reverse_name(reverse), RRType.PTR), servers[-1] if servers else None
    if len(rest) > 2:
        raise TextError(f"unexpected argument {rest[2]!r}")
    name = Name.from_text(rest[0]) if rest else ROOT
    rtype = type_from_text(rest[1]) if len(rest) > 1 else RRType.A if rest else RRType.NS
    return Question(name, rtype), servers[-1] if servers else None


def _reverse_name(text: str) -> Name:
    try:
        return Name.from_text(ip_address(text).reverse_pointer + ".")
    except ValueError as error:
        raise TextError(f"invalid address {text!r}") from error


async def query_servers(question: Question, servers: Sequence[str], options: argparse.Namespace) -> Received | None:
    """Query the servers in turn, --tries times; return the first response, None if no server responds."""
    loop = asyncio.get_running_loop()
    upstream = Upstream(loop, SystemRandom(), EventLog(None, time.time), options.port)
    for _ in range(options.tries):
        for server in servers:
            for tcp in (False, True)[options.tcp :]:
                started = loop.time()
                outcome = await upstream.send(_upstream_query(question, server, tcp, options))
                if isinstance(outcome, Replied) and (tcp or not outcome.message.tc):
                    return _received(outcome, server, tcp, loop.time() - started, options.port)
                if not isinstance(outcome, Replied):
                    _report(outcome, server, options.port)
                    break
    return None


def _upstream_query(question: Question, server: str, tcp: bool, options: argparse.Namespace) -> UpstreamQuery:
    return UpstreamQuery(
        address=server,
        question=question,
        spelling=question.name,
        zone=ROOT,
        timeout_s=options.time,
        tcp=tcp,
        edns=options.bufsize > 0,
        udp_size=options.bufsize,
        recursion_desired=not options.norecurse,
        dnssec_ok=options.dnssec,
        checking_disabled=options.cd,
    )


def _received(reply: Replied, server: str, tcp: bool, time_s: float, port: int) -> Received:
    return Received(reply.message, server, port, "tcp" if tcp else "udp", time_s, reply.size_octets)


def _report(outcome: Outcome, server: str, port: int) -> None:
    print(f";; {type(outcome).__name__.lower()}: {server}#{port}", file=sys.stderr)


async def _addresses(server: str, port: int) -> list[str]:
    """Return the addresses of a server given by name or address; raises OSError."""
    entries = await asyncio.get_running_loop().getaddrinfo(server, port)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def _run(options: argparse.Namespace, question: Question, server: str | None) -> Received | None:
    if server is not None:
        return await query_servers(question, (await _addresses(server, options.port))[:1], options)
    return await query_servers(question, servers_of(RESOLV_CONF.read_text(encoding="latin-1")), options)


def main(argv: list[str] | None = None) -> int:
    """Send one query and print the response; return dig's exit code."""
    flags = parser()
    # Arguments and flags may be in any order, as with dig.
    options = flags.parse_intermixed_args(argv)
    try:
        question, server = question_of(options.words, options.reverse)
    except TextError as error:
        flags.error(str(error))
    try:
        # asyncio's own event loop is used even if uvloop is installed, whose clock has a resolution of milliseconds.
        received = asyncio.run(_run(options, question, server))
    except OSError as error:
        print(f"stub: {error}", file=sys.stderr)
        return EXIT_NO_REPLY
    if received is None:
        print(";; no servers could be reached", file=sys.stderr)
        return EXIT_NO_REPLY
    if options.json:
        print(json.dumps(as_json(received)))
    else:
        print(as_short(received) if options.short else as_text(received), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
