"""Encrypted transports of a DNS server on separate ports: DNS over TLS (RFC 7858) and DNS over HTTPS (RFC 8484).

RFC 7858 section 3.1 (TLS from the first octet on) and 3.3 (messages as over TCP); RFC 8484. Queries over both are
answered by the same responder as queries over UDP and TCP; responses to padded queries are padded (RFC 8467). Left out:
client certificates.
"""

import argparse
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from lab7.services.dns.codec.message import MESSAGE_OCTETS_MAX
from lab7.services.dns.server.http_messages import error_response, query_in, response_with
from lab7.services.dns.server.responder import Client
from lab7.services.dns.server.server import DNSServer, Respond
from lab7.services.http.errors import HTTPError
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import LazyResponse, Limits
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.inbound import Inbound
from lab7.services.http.server.request_body import read_body
from lab7.services.http.server.server import HTTPServer
from lab7.services.shell import Shell
from lab7.services.tls import HTTP_1, HTTP_2, self_signed_context, server_context

# Protocol name in ALPN, which IANA has registered since RFC 7858 (section 7.1).
DOT_PROTOCOL = "dot"
SELF_SIGNED_NAMES = ("localhost", "127.0.0.1", "::1")

Finish = Callable[[], Coroutine[Any, Any, None]]


class DNSOverHTTPS:
    """DNS over HTTPS (RFC 8484) as request handler of an HTTP server: answers the DNS query in each HTTP request."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: Request, inbound: Inbound) -> LazyResponse[Response]:
        """Handle an HTTP request; return an awaitable of the HTTP response."""
        return LazyResponse(self._answer, request, inbound)

    async def _answer(self, request: Request, inbound: Inbound) -> Response:
        host, _, source_port = inbound.peer.rpartition(":")
        try:
            query = query_in(request)
            content = bytearray()
            await read_body(request, inbound, content.extend, MESSAGE_OCTETS_MAX)
            client = Client(host, int(source_port), over_tcp=True, encrypted=True)
            wire = self._respond(bytes(content) if query is None else query, client)
        except HTTPError as error:
            return error_response(error)
        return response_with(wire if wire is None or isinstance(wire, bytes) else await wire)


def _only_relays(request: Request, body: bytes) -> Response:
    """Return a 500 response; HTTPServer requires a handler, but DNSOverHTTPS takes all requests."""
    del request, body
    return page_response(500, "This server only answers DNS over HTTPS.")


async def listen_encrypted(shell: Shell, options: argparse.Namespace, server: DNSServer) -> Finish:
    """Listen for DNS over TLS and over HTTPS if enabled; return a function that stops the HTTPS server.

    Connections of DNS over TLS belong to `server`, which closes them when it stops.
    """
    if options.dot_port is not None:
        shell.port = options.dot_port
        await shell.open_tcp(server.stream_protocol, _context(options, (DOT_PROTOCOL,)), server.connections)
    if options.doh_port is None:
        return _nothing
    relay = DNSOverHTTPS(server.respond)
    bounds = Limits(body_octets=MESSAGE_OCTETS_MAX)
    https = HTTPServer(_only_relays, shell.log, shell.wall_clock, bounds, relay=relay)
    shell.port = options.doh_port
    await shell.open_tcp(https.protocol, _context(options, (HTTP_2, HTTP_1)), https.connections)
    return https.stop


async def _nothing() -> None:
    """Do nothing; listen_encrypted() returns this function as stop function if DNS over HTTPS is not enabled."""


def _context(options: argparse.Namespace, protocols: tuple[str, ...]) -> ssl.SSLContext:
    if options.tls is not None:
        certificate, key = options.tls
        return server_context(certificate, key, protocols)
    return self_signed_context([*SELF_SIGNED_NAMES, *(options.listen or ())], protocols)
