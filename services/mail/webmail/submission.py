"""Submission of webmail's messages by SMTP, with AUTH by the user's own password (RFC 6409)."""

import asyncio
import os
import ssl

from lab7.services.eventlog import EventLog
from lab7.services.mail.address import is_domain
from lab7.services.mail.smtp.client import SendResult, Timeouts, send
from lab7.services.mail.smtp.client_session import SessionOptions
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.mail.webmail.limits import CONNECT_S, SEND_S
from lab7.services.mail.webmail.requests import Submit, Submitted

_FALLBACK_NAME = "localhost"
_TOO_SLOW = Reply(451, "Timeout of the mail server", "4.4.2")


class Submission:
    """Client of the submission server at `address`; with a `tls` context, STARTTLS is required before AUTH."""

    def __init__(
        self, log: EventLog, address: tuple[str, int], tls: ssl.SSLContext | None = None, hello: str | None = None
    ) -> None:
        self._log = log
        self._address = address
        self._tls = tls
        name = hello or os.uname().nodename
        self._hello = name if is_domain(name) else _FALLBACK_NAME

    async def send(self, submit: Submit) -> Submitted:
        """Send a message; return the outcome, or the failure as a reply. Raises no errors."""
        has_tls = self._tls is not None
        options = SessionOptions(
            self._hello, tls=has_tls, tls_required=has_tls, user=submit.user, password=submit.password
        )
        try:
            async with asyncio.timeout(SEND_S):
                sent = await send(self._address, [submit.envelope], options, Timeouts(connect_s=CONNECT_S), self._tls)
        except TimeoutError:
            sent = SendResult(failure=_TOO_SLOW)
        submitted = Submitted(sent.outcomes[0] if sent.outcomes else None, sent.failure)
        self._log_result(submit, submitted)
        return submitted

    def _log_result(self, submit: Submit, sent: Submitted) -> None:
        replies = [] if sent.outcome is None else [str(reply) for reply in sent.outcome.replies]
        recipients = [str(mailbox) for mailbox in submit.envelope.forward_paths]
        failure = None if sent.failure is None else str(sent.failure)
        self._log.write("submitted", user=submit.user, recipients=recipients, replies=replies, failure=failure)
