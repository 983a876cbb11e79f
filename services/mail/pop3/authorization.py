"""AUTHORIZATION state commands: USER, PASS, APOP (RFC 1939 sections 4 and 7), AUTH (5034), STLS (2595), CAPA (2449)."""

import base64
import binascii
import re
from typing import TYPE_CHECKING

from services.mail.access.requests import Challenge, LogIn, Opened
from services.mail.pop3.limits import FAILED_LOGINS_MAX
from services.mail.pop3.maildrop import InUseError, Maildrop
from services.mail.pop3.steps import Ask, RefusedError, State, Steps, SyntaxRefusedError

if TYPE_CHECKING:
    from services.mail.pop3.session import Session

_DIGEST = re.compile(rb"[0-9a-f]{32}\Z")


def user(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle USER (RFC 1939 section 7); any name is accepted, to prevent enumeration of users."""
    _check_privacy(session)
    yield b""
    session.user = arguments[0]
    return "The password, please."


def password(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle PASS (RFC 1939 section 7), valid only directly after USER."""
    if session.user is None:
        raise SyntaxRefusedError("USER comes first.")
    name, session.user = session.user, None
    opened = yield LogIn(_text(name), _text(arguments[0]))
    return _open(session, opened)


def apop(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle APOP (RFC 1939 section 7)."""
    name, digest = arguments
    if not _DIGEST.match(digest):
        raise SyntaxRefusedError("The digest is not 16 octets in hexadecimal.")
    opened = yield Challenge(_text(name), session.offer.timestamp, digest)
    return _open(session, opened)


def auth(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle AUTH (RFC 5034 section 4) with PLAIN; without an argument list the mechanisms, as older clients expect."""
    if not arguments:
        yield b"+OK\r\nPLAIN\r\n.\r\n"
        return ""
    if arguments[0].upper() != b"PLAIN":
        raise RefusedError("There is no such mechanism here.")
    _check_privacy(session)
    response = arguments[1] if len(arguments) > 1 else (yield Ask(b"+ \r\n"))
    if response == b"*":
        raise RefusedError("Authentication was ended.")
    try:
        parts = base64.b64decode(response, validate=True).split(b"\0")
    except binascii.Error:
        raise SyntaxRefusedError("The response is not written in base64.") from None
    if len(parts) != 3 or parts[0] not in (b"", parts[1]):
        raise SyntaxRefusedError("The response of PLAIN has three parts, and you may only act as yourself.")
    opened = yield LogIn(_text(parts[1]), _text(parts[2]))
    return _open(session, opened)


def stls(session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle STLS (RFC 2595 section 4)."""
    if not session.offer.tls:
        raise RefusedError("There is no TLS here.")
    yield b""
    session.wants_tls = True
    return "Begin TLS negotiation now."


def capa(session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle CAPA (RFC 2449 section 5)."""
    words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION lab7"]
    if session.state is State.AUTHORIZATION:
        words += ["STLS"] if session.offer.tls else []
        words += ["USER", "SASL PLAIN"] if session.offer.takes_passwords else []
    else:
        words += ["USER"]
    lines = "".join(f"{word}\r\n" for word in words)
    yield f"+OK What there is:\r\n{lines}.\r\n".encode("ascii")
    return ""


def _check_privacy(session: "Session") -> None:
    if not session.offer.takes_passwords:
        raise RefusedError("Begin TLS first.", "AUTH")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _open(session: "Session", opened: Opened | None) -> str:
    if opened is None:
        session.failed_logins += 1
        if session.failed_logins >= FAILED_LOGINS_MAX:
            session.state = State.ENDED
        # RFC 3206 section 4
        raise RefusedError("The name or the password is wrong.", "AUTH")
    try:
        session.maildrop = Maildrop(opened.maildir)
    except InUseError as error:
        # RFC 2449 section 8.1.2
        raise RefusedError(str(error), "IN-USE") from None
    except OSError:
        # RFC 3206 section 3
        raise RefusedError("The maildrop cannot be used at the moment.", "SYS/TEMP") from None
    session.state = State.TRANSACTION
    return f"{len(session.maildrop.uids)} messages ({session.maildrop.octets()} octets)."
