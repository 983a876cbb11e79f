"""A stub: asks one question and prints the answer as dig does.

    $ python -m services.dns.stub www.example.com A @127.0.0.1 --port 5353
    $ python -m services.dns.stub -x 192.0.2.1

Without @SERVER it asks the servers of /etc/resolv.conf, one after the other. An answer that does not fit a datagram is
asked for again over TCP. Exits with 0 when an answer came, whatever it says, with 9 when none did, and with 1 when the
command line was wrong: the codes of dig. RFC 1034 section 5.3.1 (stubs), RFC 1035 section 3.5 (names of addresses),
RFC 3596 section 2.5.
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

from services.dns.codec.codes import RRType, type_from_text
from services.dns.codec.edns import UDP_SIZE_DEFAULT
from services.dns.codec.errors import TextError
from services.dns.codec.name import ROOT, Name
from services.dns.codec.records import Question
from services.dns.dig_output import Received, as_json, as_short, as_text
from services.dns.recursion.query import Ask, Outcome, Replied
from services.dns.recursion.transport import DNS_PORT, Upstream
from services.dns.resolv_conf import servers_of
from services.eventlog import EventLog

EXIT_USAGE = 1
EXIT_NO_REPLY = 9
RESOLV_CONF = Path("/etc/resolv.conf")
# dig's: three tries of five seconds.
TRIES = 3
TIMEOUT_S = 5.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"stub: {message}\n")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no size from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time above zero")
    return seconds


def _tries(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = _Parser(prog="python -m services.dns.stub", description="Ask a name server and print its answer.")
    made.add_argument("words", nargs="*", metavar="NAME [TYPE] [@SERVER]", help="default: . NS")
    made.add_argument("-x", dest="reverse", metavar="ADDRESS", help="ask for the name of an address")
    made.add_argument("--port", type=_port, default=DNS_PORT, metavar="N", help="port (default: %(default)s)")
    made.add_argument("--tcp", action="store_true", help="ask over TCP")
    made.add_argument("--norecurse", action="store_true", help="ask for what the server knows itself (RD=0)")
    made.add_argument("--bufsize", type=_size, default=UDP_SIZE_DEFAULT, metavar="N", help="EDNS size; 0: no EDNS")
    made.add_argument("--time", type=_seconds, default=TIMEOUT_S, metavar="S", help="seconds a try (default: 5)")
    made.add_argument("--tries", type=_tries, default=TRIES, metavar="N", help="tries a server (default: 3)")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="print the data of the answers only")
    form.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def question_of(words: Sequence[str], reverse: str | None) -> tuple[Question, str | None]:
    """Return what the words ask, and the server that one of them names; raises TextError."""
    servers = [word[1:] for word in words if word.startswith("@")]
    rest = [word for word in words if not word.startswith("@")]
    if reverse is not None:
        return Question(_reverse_name(reverse), RRType.PTR), servers[-1] if servers else None
    if len(rest) > 2:
        raise TextError(f"{rest[2]!r} is one word too many")
    name = Name.from_text(rest[0]) if rest else ROOT
    rtype = type_from_text(rest[1]) if len(rest) > 1 else RRType.A if rest else RRType.NS
    return Question(name, rtype), servers[-1] if servers else None


def _reverse_name(text: str) -> Name:
    try:
        return Name.from_text(ip_address(text).reverse_pointer + ".")
    except ValueError as error:
        raise TextError(f"{text!r} is no address") from error


async def ask_servers(question: Question, servers: Sequence[str], options: argparse.Namespace) -> Received | None:
    """Ask each server in turn, each so many times; None when no answer came."""
    loop = asyncio.get_running_loop()
    upstream = Upstream(loop, SystemRandom(), EventLog(None, time.time), options.port)
    for _ in range(options.tries):
        for server in servers:
            for tcp in (False, True)[options.tcp :]:
                begun = loop.time()
                outcome = await upstream.ask(_ask(question, server, tcp, options))
                if isinstance(outcome, Replied) and (tcp or not outcome.message.tc):
                    return _received(outcome, server, tcp, loop.time() - begun, options.port)
                if not isinstance(outcome, Replied):
                    _complain(outcome, server, options.port)
                    break
    return None


def _ask(question: Question, server: str, tcp: bool, options: argparse.Namespace) -> Ask:
    return Ask(
        address=server,
        question=question,
        spelling=question.name,
        zone=ROOT,
        timeout_s=options.time,
        tcp=tcp,
        edns=options.bufsize > 0,
        udp_size=options.bufsize,
        recursion_desired=not options.norecurse,
    )


def _received(replied: Replied, server: str, tcp: bool, time_s: float, port: int) -> Received:
    return Received(replied.message, server, port, "tcp" if tcp else "udp", time_s, replied.size_octets)


def _complain(outcome: Outcome, server: str, port: int) -> None:
    print(f";; {type(outcome).__name__.lower()}: {server}#{port}", file=sys.stderr)


async def _addresses(server: str, port: int) -> list[str]:
    """Return the addresses of a server that is named or numbered; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(server, port)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _run(options: argparse.Namespace, question: Question, server: str | None) -> Received | None:
    if server is not None:
        return await ask_servers(question, (await _addresses(server, options.port))[:1], options)
    return await ask_servers(question, servers_of(RESOLV_CONF.read_text(encoding="latin-1")), options)


def main(argv: list[str] | None = None) -> int:
    """Ask once; returns dig's exit codes."""
    made = parser()
    # Words and flags in any order, as with dig.
    options = made.parse_intermixed_args(argv)
    try:
        question, server = question_of(options.words, options.reverse)
    except TextError as error:
        made.error(str(error))
    try:
        # Python's own loop, wherever uvloop is: its clock has microseconds, uvloop's has milliseconds.
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
