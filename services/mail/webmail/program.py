"""Webmail server program: serves pages by HTTP, receives forms, and does the I/O that page handlers request."""

import argparse
import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from lab7.services.errors import ServiceError
from lab7.services.http.errors import HTTPError
from lab7.services.http.forms import Form, FormParser
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import EventualResponse, LazyResponse, Limits
from lab7.services.http.server.inbound import Inbound
from lab7.services.http.server.request_body import read_body
from lab7.services.http.server.server import HTTPServer
from lab7.services.mail.access.server import OpenMailboxes
from lab7.services.mail.flags import add_mailbox_flags, certificate_context, endpoint, load_accounts, reload_accounts
from lab7.services.mail.maildir.root import check_root
from lab7.services.mail.webmail.limits import BUFFERED_OCTETS, CHECKS_MAX, MESSAGE_FORM_OCTETS
from lab7.services.mail.webmail.requests import CheckPassword, Steps, Submit, YieldControl
from lab7.services.mail.webmail.site import Admitted, Site
from lab7.services.mail.webmail.submission import Submission
from lab7.services.shell import Shell, add_common_flags, run_service
from lab7.services.tls import HTTP_1, Trust, client_context

DEFAULT_PORT = 8025
SUBMISSION_PORT = 587


class Webmail:
    """Request handler of webmail for the HTTP server, which calls it when the head of a request is complete."""

    def __init__(self, shell: Shell, site: Site, submission: Submission) -> None:
        self.site = site
        self._shell = shell
        self._submission = submission
        self._checks = asyncio.Semaphore(CHECKS_MAX)
        self._buffered_octets = 0
        self._tasks: set[asyncio.Task[Response]] = set()

    def __call__(self, request: Request, inbound: Inbound) -> EventualResponse:
        """Return the response to a request, or an awaitable of the response.

        The request's head is checked before any content is received.
        """
        peer = inbound.peer.rpartition(":")[0]
        admitted = self.site.admit(request, peer, self._shell.wall_clock())
        if isinstance(admitted, Response):
            return admitted
        if not admitted.is_form and inbound.content is not None:
            return self.site.error(400, "The request must not have content.")
        return LazyResponse(self._answer, request, inbound, admitted)

    async def _answer(self, request: Request, inbound: Inbound, admitted: Admitted) -> Response:
        if not admitted.is_form:
            return await self._page(request, admitted, Form())
        length = int(request.fields.get(b"content-length") or admitted.content_octets)
        reserved = min(length, admitted.content_octets)
        if self._buffered_octets + reserved > BUFFERED_OCTETS:
            return self.site.error(503, "The server is busy with other forms: try again in a moment.")
        self._buffered_octets += reserved
        try:
            form = await self._form(request, inbound, admitted)
            return await self._page(request, admitted, form)
        except HTTPError as error:
            return self.site.error(error.status, f"Invalid form: {error.detail}.")
        finally:
            self._buffered_octets -= reserved

    async def _form(self, request: Request, inbound: Inbound, admitted: Admitted) -> Form:
        """Receive and parse the form in a request's content; raise HTTPError."""
        parser = FormParser(request.fields.get(b"content-type"))
        await read_body(request, inbound, parser.feed, admitted.content_octets)
        return parser.finish()

    async def _page(self, request: Request, admitted: Admitted, form: Form) -> Response:
        answer = self.site.answer(admitted, form)
        if isinstance(answer, Response):
            return answer
        steps = self._run(request, answer)
        if not admitted.is_form:
            return await steps
        # Shield the task, so that the action of a form completes even if the browser disconnects.
        return await asyncio.shield(self._start_task(steps))

    def _start_task(self, steps: Coroutine[Any, Any, Response]) -> asyncio.Task[Response]:
        task = self._shell.loop.create_task(steps)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, request: Request, steps: Steps) -> Response:
        """Run a page handler (a generator), do the I/O that it requests, and return its response."""
        answer: object = None
        try:
            while True:
                answer = await self._perform(steps.send(answer))
        except StopIteration as end:
            response: Response = end.value
            return response
        except Exception as error:
            path = request.request_target.partition(b"?")[0]
            self._shell.log.write("failed", path=path, error=f"{type(error).__name__}: {error}")
            return self.site.failed()

    async def _perform(self, io_request: CheckPassword | Submit | YieldControl) -> object:
        if isinstance(io_request, CheckPassword):
            return await self._check(io_request)
        if isinstance(io_request, Submit):
            return await self._submission.send(io_request)
        await asyncio.sleep(0)
        return None

    async def _check(self, io_request: CheckPassword) -> object:
        async with self._checks:
            check = self.site.accounts.check
            account = await self._shell.loop.run_in_executor(None, check, io_request.user, io_request.password)
        self._shell.log.write("login", user=io_request.user, accepted=account is not None)
        return account

    async def close(self) -> None:
        """Wait until running page handlers have completed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.mail.webmail", description="Serve mailboxes by HTTP."
    )
    add_mailbox_flags(parser, "serve HTTPS with a certificate and key, or with a self-signed certificate")
    parser.add_argument(
        "--submission",
        type=endpoint,
        required=True,
        metavar="HOST[:PORT]",
        help=f"submission server (default port: {SUBMISSION_PORT})",
    )
    parser.add_argument("--submission-tls", action="store_true", help="require STARTTLS at the submission server")
    parser.add_argument(
        "--authorities",
        type=Path,
        metavar="FILE",
        help="file of CA certificates to verify the submission server's certificate",
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the submission server's certificate")
    parser.add_argument("--hello", metavar="NAME", help="host name in EHLO (default: the host's name)")
    add_common_flags(parser, DEFAULT_PORT)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve webmail until SIGTERM; return the exit status."""
    options = _parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        tls = _https_context(options)
        accounts = load_accounts(options)
        check_root(options.maildirs, accounts.domains)
        mailboxes = OpenMailboxes(options.maildirs, shell.wall_clock)
        site = Site(accounts, mailboxes.of, os.urandom, tls is not None)
        webmail = Webmail(shell, site, _submission(shell, options))
        bounds = Limits(body_octets=MESSAGE_FORM_OCTETS)
        # Serve HTTP/1.1 only, because the HTTP/2 server buffers content before the handler can refuse it.
        server = HTTPServer(_only_relays, shell.log, shell.wall_clock, bounds, relay=webmail, speaks_http_2=False)
        shell.on_hangup(lambda: reload_accounts(shell, webmail.site, options))
        await shell.open_tcp(server.protocol, tls, server.connections)

        async def finish() -> None:
            await server.stop()
            await webmail.close()

        return finish

    return run_service("webmail", options, start)


def _only_relays(_: Request, __: bytes) -> Response:
    raise TypeError("this server has a relay, not a handler")


def _submission(shell: Shell, options: argparse.Namespace) -> Submission:
    host, port = options.submission
    tls = None
    if options.submission_tls:
        authorities = None if options.authorities is None else str(options.authorities)
        try:
            tls = client_context(Trust(authorities, options.insecure), "smtp")
        except OSError as error:
            raise ServiceError(f"cannot read {authorities} ({error}): name another with --authorities") from error
    return Submission(shell.log, (host, port or SUBMISSION_PORT), tls, options.hello)


def _https_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    context = certificate_context(options, options.listen or ())
    if context is not None:
        context.set_alpn_protocols([HTTP_1])
    return context
