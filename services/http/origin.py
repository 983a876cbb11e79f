"""HTTP origin server for a directory of files (RFC 9110).

    $ python -m lab7.services.http.origin --root www --port 8080
    READY http 127.0.0.1:8080 [::1]:8080
    $ curl -i http://127.0.0.1:8080/

The handler is independent of the connection and of the HTTP version: it returns a Response for a Request and its
content. The connection adds Content-Length, Date and Connection, and omits the content of a response to HEAD.

RFC 9110 sections 8.3, 8.6, 8.8, 9.3, 10.2.1, 13, 14 and 15. Left out: PUT, POST and DELETE of files, TRACE (it could
disclose a client's credentials to a script), CONNECT, directory listings, and content negotiation, which section 12.1
leaves to the server.
"""

import argparse
import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.flags import octets
from lab7.services.http import limits
from lab7.services.http.conditional import CONDITIONAL_NAMES, precondition_status, range_applies
from lab7.services.http.errors import HTTPError
from lab7.services.http.faults import SERVER_FAULTS, FaultyServerConnection
from lab7.services.http.fields import FieldLine, Fields, lower_tokens
from lab7.services.http.files.partial import partial_response
from lab7.services.http.files.static import (
    UNKNOWN_TYPE,
    CacheRule,
    Directory,
    Representation,
    StaticFiles,
    full_response,
    parse_rule,
)
from lab7.services.http.flags import add_idle_flag
from lab7.services.http.messages import (
    ASTERISK,
    HTTP_1_1,
    Request,
    Response,
    Target,
    decode_unreserved,
    percent_encode,
    split_target,
)
from lab7.services.http.ranges import select_ranges
from lab7.services.http.server.context import Limits
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.server import HTTPServer
from lab7.services.shell import Shell, add_common_flags, run_service
from lab7.services.tls import self_signed_context, server_context
from lab7.services.workers import WorkerProcesses, add_processes_flag

DEFAULT_PORT = 8080
# Subject names of a self-signed certificate, in addition to the addresses of --listen.
SELF_SIGNED_NAMES = ("localhost", "127.0.0.1", "::1")

# RFC 9110 section 9: a method that is known but not allowed gets 405, one that is unknown 501.
ALLOW: FieldLine = (b"Allow", b"GET, HEAD, OPTIONS")
ALLOWED_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS"))
KNOWN_METHODS = ALLOWED_METHODS | {b"POST", b"PUT", b"DELETE", b"TRACE", b"PATCH"}
# The echo resource accepts any method but TRACE (RFC 9110 section 9.3.8).
ECHO_ALLOW: FieldLine = (b"Allow", b"GET, HEAD, OPTIONS, POST, PUT, DELETE, PATCH")


class Origin:
    """Request handler of the origin server: files below `root`, and an echo resource at `echo_path`, if given.

    The echo resource returns the content of the request. `cache_rules` determine the Cache-Control of files.
    """

    def __init__(
        self,
        root: Path,
        wall_clock: Callable[[], float],
        echo_path: str | None = None,
        cache_rules: Sequence[CacheRule] = (),
    ) -> None:
        self._files = StaticFiles(root, wall_clock, cache_rules)
        self._wall_clock = wall_clock
        self._echo_path = None if echo_path is None else decode_unreserved(echo_path.encode("utf-8"))

    def __call__(self, request: Request, body: bytes) -> Response:
        """Return the response to a request whose content is complete."""
        try:
            if b"expect" in request.fields:
                _check_expectations(request)
            target = split_target(request.method, request.request_target)
            if self._echo_path is not None and decode_unreserved(target.path) == self._echo_path:
                return _echo(request, body)
            return self._answer(request, target)
        except HTTPError as error:
            return page_response(error.status, error.detail)

    def refusal(self, request: Request) -> Response | None:
        """Return the error response that a request's head causes, whatever its content; None for a valid head."""
        response = self(request, b"")
        if response.status >= 400:
            return response
        if not isinstance(response.body, bytes):
            response.body.close()
        return None

    def _answer(self, request: Request, target: Target) -> Response:
        if request.method not in KNOWN_METHODS:
            return page_response(501, "The server does not support the method.")
        if target.path == ASTERISK:
            return Response(200, Fields((ALLOW,)))
        try:
            representation = self._files.find(target.path)
        except PermissionError:
            return page_response(403, "Access to the file is denied.")
        if representation is None:
            return page_response(404, "The requested file was not found.")
        # RFC 9110 section 15.5.6
        if request.method not in ALLOWED_METHODS:
            return page_response(405, "The method is not allowed for this resource.", ALLOW)
        # RFC 9110 section 9.3.7
        if request.method == b"OPTIONS":
            return Response(200, Fields((ALLOW,)))
        return _redirect(target) if isinstance(representation, Directory) else self._read(request, representation)

    def _read(self, request: Request, representation: Representation) -> Response:
        fields = request.fields
        if not fields.has_any(CONDITIONAL_NAMES):
            return self._whole(request, representation)
        now = self._wall_clock()
        status = precondition_status(request.method, fields, representation.validators, now)
        if status == 304:
            return _not_modified(representation)
        if status == 412:
            return page_response(412, "A precondition of the request is false.")
        # RFC 9110 section 14.2: Range applies to GET, after the preconditions.
        wanted = fields.get_all(b"range")
        if request.method == b"GET" and len(wanted) == 1 and range_applies(fields, representation.validators, now):
            spans = select_ranges(wanted[0], representation.size_octets)
            if spans is not None:
                is_known = b"if-range" in fields
                return self._with_file(
                    representation, lambda: partial_response(self._files, representation, spans, is_known)
                )
        return self._whole(request, representation)

    def _whole(self, request: Request, representation: Representation) -> Response:
        if representation.content is not None:
            return representation.response
        return self._with_file(representation, lambda: full_response(self._files, representation, request.method))

    def _with_file(self, representation: Representation, make: Callable[[], Response]) -> Response:
        try:
            return make()
        except FileNotFoundError:
            # The file was replaced between stat() and open(): the client may retry to get the new one.
            return page_response(503, "The file is being replaced: try again.", (b"Retry-After", b"1"))
        except OSError:
            return page_response(
                503, f"The file {Path(representation.path).name} cannot be opened.", (b"Retry-After", b"1")
            )


def _check_expectations(request: Request) -> None:
    """Raise HTTPError 417 for an unknown expectation in Expect (RFC 9110 section 10.1.1); ignore HTTP/1.0 clients."""
    expected = lower_tokens(request.fields.get(b"expect"))
    if request.version >= HTTP_1_1 and any(member != b"100-continue" for member in expected):
        raise HTTPError(417, "the Expect field has an expectation other than 100-continue")


def _echo(request: Request, body: bytes) -> Response:
    # RFC 9110 section 9.3.8: TRACE would reflect the request, with the client's credentials.
    if request.method == b"TRACE":
        return page_response(405, "The method is not allowed for this resource.", ECHO_ALLOW)
    kind = request.fields.get(b"content-type") or UNKNOWN_TYPE.encode("ascii")
    # RFC 9110 section 9.3.7
    allow = (ECHO_ALLOW,) if request.method == b"OPTIONS" else ()
    return Response(200, Fields(((b"Content-Type", kind), *allow)), body)


def _redirect(target: Target) -> Response:
    # Two leading slashes would start an authority (RFC 3986 section 4.2), and browsers take a backslash for a slash.
    location = b"/" + target.path.lstrip(b"/") + b"/"
    if target.query is not None:
        location += b"?" + target.query
    value = percent_encode(location)
    return page_response(301, "The resource is a directory: its URL ends in a slash.", (b"Location", value))


def _not_modified(representation: Representation) -> Response:
    """Build a 304 with the fields that update a stored response, such as ETag and Cache-Control (RFC 9110 15.4.5)."""
    return Response(304, representation.response.fields.without((b"content-type", b"last-modified", b"accept-ranges")))


def _cache_rule(text: str) -> CacheRule:
    try:
        return parse_rule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.http.origin", description="Serve the files of a directory over HTTP."
    )
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="serve the files of this directory")
    parser.add_argument(
        "--echo", metavar="PATH", help="respond to requests for PATH with their own content, for any method but TRACE"
    )
    parser.add_argument(
        "--max-body",
        type=octets,
        default=limits.REQUEST_BODY_OCTETS,
        metavar="OCTETS",
        help="maximum size of a request's content (default: %(default)s)",
    )
    add_idle_flag(parser, Limits().idle_s)
    add_processes_flag(parser)
    parser.add_argument("--push", action="store_true", help="push a page's objects to HTTP/2 clients that allow it")
    parser.add_argument(
        "--cache-control",
        type=_cache_rule,
        action="append",
        default=[],
        metavar="PATTERN=VALUE",
        help="send Cache-Control: VALUE for files whose path matches PATTERN; repeatable, the first match applies",
    )
    parser.add_argument(
        "--tls",
        nargs="*",
        metavar="FILE",
        help="enable TLS with the PEM files of a certificate and its key; without FILE, with a self-signed certificate",
    )
    add_fault_flag(parser, SERVER_FAULTS)
    add_common_flags(parser, DEFAULT_PORT)
    return parser


def _tls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls is None:
        return None
    if len(options.tls) not in (0, 2):
        raise ServiceError("--tls takes two files, the certificate and its key, or no file")
    if not options.tls and options.processes > 1:
        raise ServiceError("--tls without FILE takes one process: each would have a certificate of its own")
    if options.tls:
        return server_context(*options.tls)
    return self_signed_context([*SELF_SIGNED_NAMES, *(options.listen or ())])


def main(argv: list[str] | None = None) -> int:
    """Run the origin server until SIGTERM; return the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(arguments)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        origin = Origin(options.root, shell.wall_clock, options.echo, options.cache_control)
        bounds = Limits(body_octets=options.max_body, idle_s=options.idle)
        server = HTTPServer(origin, shell.log, shell.wall_clock, bounds, options.push, origin.refusal)
        if options.fault:
            server.context.core = partial(FaultyServerConnection, faults=options.fault)
        workers = WorkerProcesses("lab7.services.http.origin", options.processes, arguments)
        shell.reuse_port = workers.reuse_port
        await shell.open_tcp(server.protocol, _tls_context(options), server.connections)
        await workers.start(shell.port)

        async def finish() -> None:
            await asyncio.gather(workers.stop(), server.stop())

        return finish

    return run_service("http", options, start)


if __name__ == "__main__":
    sys.exit(main())
