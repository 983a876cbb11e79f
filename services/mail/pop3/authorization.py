"""Handlers of POP3 commands before login: USER, PASS, APOP (RFC 1939), AUTH (5034), STLS (2595), CAPA (2449)."""

import re

from lab7.services.mail import sasl
from lab7.services.mail.access.requests import Challenge, LogIn, Opened, Steps, continue_exchange
from lab7.services.mail.pop3.errors import RefusedError, SyntaxRefusedError
from lab7.services.mail.pop3.limits import FAILED_LOGINS_MAX
from lab7.services.mail.pop3.maildrop import InUseError, Maildrop
from lab7.services.mail.pop3.session_state import SessionState, State

_DIGEST = re.compile(rb"[0-9a-f]{32}\Z")


def user(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle USER (RFC 1939 section 7); any name gets +OK, so that replies do not reveal valid user names."""
    _check_privacy(session)
    yield b""
    session.user = arguments[0]
    return "Send PASS."


def password(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle PASS (RFC 1939 section 7), which is valid directly after USER only."""
    if session.user is None:
        raise SyntaxRefusedError("Send USER first.")
    name, session.user = session.user, None
    opened = yield LogIn(_text(name), _text(arguments[0]))
    return (yield from _open(session, opened))


def apop(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle APOP: name, and MD5 digest of the greeting's timestamp and the password (RFC 1939 section 7)."""
    name, digest = arguments
    if not _DIGEST.match(digest):
        raise SyntaxRefusedError("The digest is not 16 octets in hexadecimal.")
    opened = yield Challenge(_text(name), session.capabilities.timestamp, digest)
    return (yield from _open(session, opened))


def auth(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle AUTH (RFC 5034 section 4); without an argument, list the mechanisms, as older clients expect."""
    if not arguments:
        yield b"+OK\r\nPLAIN\r\n.\r\n"
        return ""
    if arguments[0].upper() != b"PLAIN":
        raise RefusedError("Unsupported mechanism.")
    _check_privacy(session)
    initial = arguments[1] if len(arguments) > 1 else None
    try:
        credentials = yield from continue_exchange(sasl.exchange("PLAIN", initial))
    except sasl.CancelledError:
        raise RefusedError("Authentication cancelled.") from None
    except sasl.SASLError as error:
        raise SyntaxRefusedError(f"Not accepted: {error}.") from None
    opened = yield LogIn(credentials.user, credentials.password)
    return (yield from _open(session, opened))


def stls(session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle STLS (RFC 2595 section 4): start TLS on this connection."""
    if not session.capabilities.tls:
        raise RefusedError("TLS is not available.")
    yield b""
    session.tls_requested = True
    return "Begin TLS negotiation now."


def capa(session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle CAPA (RFC 2449 section 5): list the capabilities."""
    words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION lab7"]
    if session.state is State.AUTHORIZATION:
        words += ["STLS"] if session.capabilities.tls else []
        words += ["USER", "SASL PLAIN"] if session.capabilities.login_allowed else []
    else:
        words += ["USER"]
    lines = "".join(f"{word}\r\n" for word in words)
    yield f"+OK Capability list follows.\r\n{lines}.\r\n".encode("ascii")
    return ""


def _check_privacy(session: SessionState) -> None:
    if not session.capabilities.login_allowed:
        raise RefusedError("Start TLS first.", "AUTH")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _open(session: SessionState, opened: Opened | None) -> Steps:
    if opened is None:
        session.failed_logins += 1
        if session.failed_logins >= FAILED_LOGINS_MAX:
            session.end()
        # RFC 3206 section 4: AUTH is the response code for wrong credentials.
        raise RefusedError("Wrong user name or password.", "AUTH")
    try:
        maildrop = Maildrop(opened.maildir)
        yield from maildrop.load()
    except InUseError as error:
        # RFC 2449 section 8.1.2: IN-USE is the response code for a locked maildrop.
        raise RefusedError(str(error), "IN-USE") from None
    except OSError:
        # RFC 3206 section 3: SYS/TEMP is the response code for a temporary problem of the server.
        raise RefusedError("The maildrop cannot be used at the moment.", "SYS/TEMP") from None
    session.open(maildrop)
    return f"{len(maildrop.uids)} messages ({maildrop.octets()} octets)."
