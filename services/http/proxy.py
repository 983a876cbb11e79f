"""Caching proxy: a forward proxy for any origin, or a reverse proxy for one (RFC 9110 section 3.7).

    $ python -m lab7.services.http.proxy --port 3128
    READY proxy 127.0.0.1:3128 [::1]:3128
    $ curl -x http://127.0.0.1:3128 http://www.example.com/

    $ python -m lab7.services.http.proxy --port 8080 --origin http://127.0.0.1:8000

Forwarding (intermediary/): RFC 9110 sections 7.1 to 7.7, 9.3.6 and 10.1.1, RFC 9112, and RFC 9931 section 7: a
refused CONNECT closes the connection. Caching (cache/, storage/): RFC 9111.

WebSocket (RFC 6455) is forwarded as a tunnel. A reverse proxy accepts HTTP/2 by prior knowledge, including WebSocket in
HTTP/2 (RFC 8441); a forward proxy does not.

Left out: proxy authentication (RFC 9110 section 11.7; --allow-client restricts the clients), https origins (an https
target gets 421; CONNECT reaches them), forwarding of Upgrade to any other protocol (RFC 9110 section 7.8), and HTTP/2
to origins.
"""

import argparse
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import cache, partial
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.flags import network, octets, positive_integer
from lab7.services.http.cache.decisions import Policy
from lab7.services.http.cache.reuse import cache_identifier
from lab7.services.http.faults import PROXY_FAULTS, SERVER_FAULTS, FaultyServerConnection, WrongDateProxy
from lab7.services.http.fields import is_token
from lab7.services.http.flags import add_idle_flag
from lab7.services.http.intermediary.caching_proxy import CachingProxy
from lab7.services.http.intermediary.proxy import Proxy
from lab7.services.http.intermediary.settings import REQUEST_OCTETS, ConnectTarget, Settings, parse_connect_target
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import Limits
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.server import HTTPServer
from lab7.services.http.storage import limits as storage
from lab7.services.http.storage.store import Store
from lab7.services.http.urls import Origin, parse_url
from lab7.services.shell import Shell, add_common_flags, run_service

DEFAULT_PORT = 3128


def _origin(text: str) -> Origin:
    try:
        link = parse_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if link.origin.scheme != "http" or link.request_target != b"/":
        raise argparse.ArgumentTypeError(f"{text} is not an http URL of host and port only")
    return link.origin


def _allowed(text: str) -> ConnectTarget:
    try:
        return parse_connect_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; the host may be *") from error


def _name(text: str) -> bytes:
    host, _, port = text.partition(":")
    if not (text.isascii() and is_token(host.encode("ascii")) and (not port or port.isdigit())):
        raise argparse.ArgumentTypeError(f"{text!r} is not a token or host:port for Via")
    return text.encode("ascii")


def _add_store_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-cache", action="store_true", help="disable the cache: forward every request")
    for flag, default, quantity in (
        ("--memory", storage.MEMORY_OCTETS, "memory for stored responses"),
        ("--object", storage.OBJECT_OCTETS, "content of one stored response"),
        ("--disk-octets", storage.DISK_OCTETS, "disk space for stored responses"),
    ):
        parser.add_argument(
            flag, type=octets, default=default, metavar="OCTETS", help=f"maximum {quantity} (default: {default})"
        )
    parser.add_argument(
        "--entries",
        type=positive_integer,
        default=storage.ENTRIES_MAX,
        metavar="N",
        help="maximum number of stored responses (default: %(default)s)",
    )
    parser.add_argument(
        "--disk", type=Path, metavar="DIR", help="also store responses on disk, in DIR (default: in memory only)"
    )


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.http.proxy", description="Forward and cache HTTP requests."
    )
    parser.add_argument(
        "--origin", type=_origin, metavar="URL", help="act as a reverse proxy for this origin (default: forward proxy)"
    )
    parser.add_argument(
        "--allow-connect",
        type=_allowed,
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="permit CONNECT to HOST:PORT, * for any host; repeatable (default: none)",
    )
    parser.add_argument(
        "--allow-client",
        type=network,
        action="append",
        default=[],
        metavar="NETWORK",
        help="permit clients of NETWORK, an address or address/bits; repeatable (default: all clients)",
    )
    parser.add_argument(
        "--name",
        type=_name,
        metavar="ID",
        help="name in Via (default: host name and random number) and Cache-Status (default: host:port)",
    )
    _add_store_flags(parser)
    add_idle_flag(parser, Limits().idle_s)
    parser.add_argument("--status", metavar="PATH", help="serve the proxy's counters as JSON under PATH (default: off)")
    add_fault_flag(parser, {**SERVER_FAULTS, **PROXY_FAULTS})
    add_common_flags(parser, DEFAULT_PORT)
    return parser


def _host_name() -> str:
    return "".join(letter if is_token(letter.encode("utf-8")) else "-" for letter in socket.gethostname())


def _unique_name() -> bytes:
    """Return a pseudonym for Via that no other proxy has.

    Proxies detect forwarding loops by their own pseudonym in Via. Host name and port do not suffice: containers and
    Mininet's hosts may share the machine's name, and their proxies usually have the same port. The random part has a
    constant length, so that sizes do not differ between runs.
    """
    return f"{_host_name()}-{secrets.token_hex(4)}".encode("ascii")


def _cache_name(port: int) -> bytes:
    """Return the cache's name in Cache-Status: the host name, with the port if one is set."""
    return (f"{_host_name()}:{port}" if port else _host_name()).encode("ascii")


def _settings(options: argparse.Namespace) -> Settings:
    if options.status is not None and not options.status.startswith("/"):
        raise ServiceError("the path of --status must start with a slash")
    status = None if options.status is None else options.status.encode("utf-8")
    name = options.name or _unique_name()
    return Settings(name, options.origin, tuple(options.allow_connect), tuple(options.allow_client), status)


def _proxy(options: argparse.Namespace, shell: Shell) -> Proxy:
    settings = _settings(options)
    if options.no_cache:
        return Proxy(settings, shell.loop, shell.log, shell.wall_clock)
    store = Store(
        memory_octets=options.memory,
        object_octets=options.object,
        directory=options.disk,
        disk_octets=options.disk_octets,
        entries_max=options.entries,
        log=shell.log,
    )
    policy = Policy(cache_identifier(options.name or _cache_name(options.port)))
    kind = WrongDateProxy if PROXY_FAULTS.keys() & options.fault else CachingProxy
    return kind(settings, shell.loop, shell.log, shell.wall_clock, store, policy)


def _only_relays(request: Request, body: bytes) -> Response:
    """Return a 500 response.

    HTTPServer requires this handler, but never calls it, because the proxy as its relay gets all requests.
    """
    del request, body
    return page_response(500, "The proxy serves no content of its own.")


def main(argv: list[str] | None = None) -> int:
    """Run the proxy until SIGTERM; return the exit status."""
    options = _parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        proxy = _proxy(options, shell)
        bounds = Limits(body_octets=REQUEST_OCTETS, idle_s=options.idle)
        is_reverse = options.origin is not None
        server = HTTPServer(
            _only_relays,
            shell.log,
            shell.wall_clock,
            bounds,
            relay=proxy,
            speaks_http_2=is_reverse,
            takes_websocket=True,
            keeps_http_1_0=is_reverse,
        )
        if options.fault:
            server.context.core = partial(FaultyServerConnection, faults=options.fault)
        proxy.client_octets = lambda: server.context.sent_octets
        proxy.requests_under_way = lambda: server.under_way_count
        await shell.open_tcp(server.protocol, connections=server.connections)

        async def finish() -> None:
            await server.stop()
            await proxy.close()

        return finish

    return run_service("proxy", options, start)


if __name__ == "__main__":
    sys.exit(main())
