"""SMTP client for message submission, on Python's smtplib (RFC 5321, RFC 6409).

    refused = send(Server("mail.example.org", 587, "alice", "secret"), [prepare(content)])
    {"carol@example.com": "550 5.1.1 No such user here"}     # each refused recipient, with the server's reply

prepare() takes the octets of a message. Sender and recipients are taken from the fields From, To, Cc and Bcc unless
they are given; the Bcc field is removed (RFC 5322 section 3.6.3). Several messages share one connection. Left out:
delivery status notifications (RFC 3461).
"""

import os
import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.services.mail.address import Mailbox, MailboxError, PathError, is_domain, parse_mailbox
from lab7.services.mail.agent.errors import AgentError, failure_reason
from lab7.services.mail.agent.limits import RECIPIENTS_MAX, TIMEOUT_S
from lab7.services.mail.message_content.address_list import parse_name_addrs
from lab7.services.mail.mime.header import parse_header

_LINE_END = re.compile(rb"\r\n|\r|\n")
_RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_FALLBACK_NAME = "localhost"


@dataclass(frozen=True, slots=True)
class Server:
    """Address and credentials of a submission server.

    The client uses no STARTTLS if `tls` is None, and no AUTH if `user` is empty.
    """

    host: str
    port: int = 587
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    hello: str = ""
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Submission:
    """A message to submit: its content and its envelope (sender and recipients)."""

    reverse_path: str
    forward_paths: tuple[str, ...]
    content: bytes


def prepare(content: bytes, sender: str = "", recipients: Sequence[str] = ()) -> Submission:
    """Return a Submission of the message; `sender` and `recipients` default to the header fields; raise AgentError."""
    # RFC 5321 section 2.3.8: lines end in CRLF; bare CR and LF are forbidden.
    content = _LINE_END.sub(b"\r\n", content)
    header = parse_header(content)
    senders = _mailboxes(list(header.all(b"from"))[:1]) if not sender else [_mailbox(sender)]
    if not senders:
        raise AgentError("The message has no From field: give the sender.")
    values = [value for name in _RECIPIENT_FIELDS for value in header.all(name)]
    mailboxes = [_mailbox(recipient) for recipient in recipients] or _mailboxes(values)
    forward_paths = tuple(dict.fromkeys(map(str, mailboxes)))
    if not 0 < len(forward_paths) <= RECIPIENTS_MAX:
        raise AgentError(f"The message has {len(forward_paths)} recipients: 1 to {RECIPIENTS_MAX} are permitted.")
    kept = header.chosen([b"bcc"], inverted=True)
    header_octets = sum(len(field.raw) for field in header.fields)
    return Submission(str(senders[0]), forward_paths, kept + content[header_octets:])


def _mailboxes(values: Sequence[bytes]) -> list[Mailbox]:
    return [_mailbox(name_addr.mailbox_text) for value in values for name_addr in parse_name_addrs(value)]


def _mailbox(text: str) -> Mailbox:
    try:
        return parse_mailbox(text)
    except (MailboxError, PathError) as error:
        raise AgentError(f"{text} is not a mailbox: {error}.") from None


def send(server: Server, messages: Sequence[Submission]) -> dict[str, str]:
    """Send messages over one connection; return {refused recipient: the server's reply}, empty if all were accepted.

    Raises AgentError if the server cannot be used or refuses all recipients of a message.
    """
    refused: dict[str, str] = {}
    try:
        with _connect(server) as client:
            for message in messages:
                refused |= _send_message(client, message)
    except smtplib.SMTPException as error:
        raise AgentError(_smtp_error_text(server, error)) from error
    except (OSError, UnicodeError) as error:
        raise AgentError(f"Cannot use {server.host} port {server.port}: {failure_reason(error)}.") from error
    return refused


def _connect(server: Server) -> smtplib.SMTP:
    name = server.hello or os.uname().nodename
    client = smtplib.SMTP(server.host, server.port, name if is_domain(name) else _FALLBACK_NAME, server.timeout_s)
    try:
        if server.tls is not None:
            client.starttls(context=server.tls)
        if server.user:
            client.login(server.user, server.password)
    except BaseException:
        client.close()
        raise
    return client


def _send_message(client: smtplib.SMTP, message: Submission) -> dict[str, str]:
    client.ehlo_or_helo_if_needed()
    # RFC 6152 section 3: BODY=8BITMIME declares content with octets beyond ASCII.
    is_8bit = not message.content.isascii()
    if is_8bit and not client.has_extn("8bitmime"):
        raise AgentError("The message is not ASCII, and the server does not support 8BITMIME.")
    options = ["BODY=8BITMIME"] if is_8bit else []
    refused = client.sendmail(message.reverse_path, message.forward_paths, message.content, options)
    return {name: f"{code} {_text(reply)}" for name, (code, reply) in refused.items()}


def _text(reply: bytes | str) -> str:
    return reply if isinstance(reply, str) else reply.decode("utf-8", "replace")


def _smtp_error_text(server: Server, error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        replies = "; ".join(f"{name}: {code} {_text(reply)}" for name, (code, reply) in error.recipients.items())
        return f"{server.host} refused every recipient: {replies}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{server.host} said {error.smtp_code} {_text(error.smtp_error)}"
    return f"{server.host} port {server.port}: {error}"
