"""Parameters of MAIL and RCPT: paths and extension values (RFC 5321 sections 4.1.1.2, 4.1.1.3, 4.1.1.11).

Supported on MAIL: SIZE (RFC 1870), BODY (RFC 6152) and AUTH (RFC 4954 section 5), which is validated and otherwise
ignored. RCPT supports none.
"""

import re
from dataclasses import dataclass

from services.mail.address import Mailbox, MailboxError, PathError, PathTooLongError, parse_path
from services.mail.smtp.reply import Reply

_KEYWORD = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")
# RFC 1870 section 4: up to 20 digits.
_SIZE = re.compile(rb"[0-9]{1,20}\Z")

NOT_TAKEN = Reply(555, "This server does not know the parameter", "5.5.4")
NOT_UNDERSTOOD = Reply(501, "The parameter has no such value", "5.5.4")
TWICE = Reply(501, "The parameter is there twice", "5.5.4")
NOT_IMPLEMENTED = Reply(504, "This server does not implement that value of BODY", "5.5.4")


class ParameterError(Exception):
    """An invalid parameter of a command; `reply` is the reply to send."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailParameters:
    """The parsed MAIL command: a reverse_path of None is the null one; a size of 0 was not declared."""

    reverse_path: Mailbox | None
    size_octets: int = 0
    is_8bit: bool = False


def parse_mail(argument: bytes, with_auth: bool) -> MailParameters:
    """Parse the argument of MAIL; raises ParameterError. `with_auth` allows the parameter AUTH."""
    mailbox, rest = _path(argument, b"FROM:", "5.1.7")
    if mailbox is not None and not mailbox.domain:
        raise ParameterError(Reply(553, "The mailbox has no domain", "5.1.7"))
    values = _keywords(rest)
    size, body = 0, b""
    for keyword, value in values.items():
        if keyword == b"SIZE":
            if not _SIZE.match(value):
                raise ParameterError(NOT_UNDERSTOOD)
            size = int(value)
        elif keyword == b"BODY":
            body = _body(value)
        elif not (keyword == b"AUTH" and with_auth and value):
            raise ParameterError(NOT_TAKEN)
    return MailParameters(mailbox, size, body == b"8BITMIME")


def parse_rcpt(argument: bytes) -> Mailbox:
    """Parse the argument of RCPT; raises ParameterError."""
    mailbox, rest = _path(argument, b"TO:", "5.1.3")
    if mailbox is None:
        raise ParameterError(Reply(553, "A message is for somebody", "5.1.3"))
    if _keywords(rest):
        raise ParameterError(NOT_TAKEN)
    return mailbox


def _body(value: bytes) -> bytes:
    body = value.upper()
    # BINARYMIME (RFC 3030 section 3) requires BDAT, which is not implemented.
    if body == b"BINARYMIME":
        raise ParameterError(NOT_IMPLEMENTED)
    if body not in (b"7BIT", b"8BITMIME"):
        raise ParameterError(NOT_UNDERSTOOD)
    return body


def _path(argument: bytes, prefix: bytes, enhanced: str) -> tuple[Mailbox | None, bytes]:
    if argument[: len(prefix)].upper() != prefix:
        raise ParameterError(Reply(501, f"The syntax is {prefix.decode()}<mailbox>", "5.5.4"))
    try:
        # Section 3.3 allows no space after the colon, but many programs send one.
        return parse_path(argument[len(prefix) :].lstrip(b" "))
    except PathTooLongError as error:
        raise ParameterError(Reply(501, f"The mailbox cannot be used: {error}", enhanced)) from None
    except PathError as error:
        raise ParameterError(Reply(501, f"The syntax is {prefix.decode()}<mailbox>: {error}", "5.5.4")) from None
    except MailboxError as error:
        raise ParameterError(Reply(553, f"The mailbox cannot be used: {error}", enhanced)) from None


def _keywords(octets: bytes) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for word in octets.split():
        match = _KEYWORD.match(word)
        if match is None:
            raise ParameterError(NOT_UNDERSTOOD)
        keyword = match[1].upper()
        if keyword in values:
            raise ParameterError(TWICE)
        values[keyword] = match[2] or b""
    return values
