"""Handlers of IMAP commands that concern no mailbox: CAPABILITY, NOOP, LOGOUT, ID, STARTTLS, login, ENABLE, COMPRESS.

Every state: CAPABILITY, NOOP, LOGOUT (RFC 3501 section 6.1) and ID (RFC 2971). Not authenticated: STARTTLS, LOGIN,
AUTHENTICATE (RFC 3501 section 6.2) with the mechanisms PLAIN (RFC 4616) and LOGIN, and an initial response (SASL-IR,
RFC 4959). Authenticated: ENABLE (RFC 5161) and COMPRESS (RFC 4978).
"""

from lab7.services.mail import sasl
from lab7.services.mail.access.requests import LogIn, Steps, continue_exchange
from lab7.services.mail.imap.errors import BadError, ByeError, NoError
from lab7.services.mail.imap.limits import FAILED_LOGINS_MAX, ID_PAIRS_MAX
from lab7.services.mail.imap.session_state import REV2, SessionState
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.reader import Reader


def capability(session: SessionState, reader: Reader) -> Steps:
    """Handle CAPABILITY (RFC 3501 section 6.1.1): list the capabilities of the session's present state."""
    reader.expect_end()
    yield b"* %b\r\n" % session.capability()
    return "Capability completed."


def noop(_session: SessionState, reader: Reader) -> Steps:
    """Handle NOOP (RFC 3501 section 6.1.2); as for every command, mailbox updates precede its tagged response."""
    reader.expect_end()
    yield b""
    return "NOOP completed."


def logout(session: SessionState, reader: Reader) -> Steps:
    """Handle LOGOUT (RFC 3501 section 6.1.3): send BYE and end the session."""
    reader.expect_end()
    yield b"* BYE Logging out.\r\n"
    session.select(None)
    session.log_out()
    return "Logout completed."


def identify(_session: SessionState, reader: Reader) -> Steps:
    """Handle ID (RFC 2971 section 3.1); the client's parameters are parsed and discarded."""
    reader.expect_space()
    _read_parameters(reader)
    reader.expect_end()
    yield b"* ID (" + encoder.string(b"name") + b" " + encoder.string(b"lab7") + b")\r\n"
    return "ID completed."


# Name in ENABLE -> extensions that it enables (RFC 7162 section 3.2.3, RFC 9051 section 6.3.1).
_ENABLED: dict[bytes, tuple[str, ...]] = {
    b"CONDSTORE": ("CONDSTORE",),
    b"QRESYNC": ("QRESYNC", "CONDSTORE"),
    b"IMAP4REV2": (REV2,),
}


def enable(session: SessionState, reader: Reader) -> Steps:
    """Handle ENABLE (RFC 5161 section 3.1); unknown extensions are ignored."""
    words: list[bytes] = []
    while not reader.at_end or not words:
        reader.expect_space()
        words.append(reader.word("capability"))
    known = [_ENABLED[word] for word in dict.fromkeys(words) if word in _ENABLED]
    yield b"* ENABLED%b\r\n" % "".join(f" {names[0]}" for names in known if names[0] not in session.enabled).encode()
    for names in known:
        session.enabled.update(names)
    return "Enable completed."


def compress(session: SessionState, reader: Reader) -> Steps:
    """Handle COMPRESS (RFC 4978 section 3) with the mechanism DEFLATE."""
    reader.expect_space()
    mechanism = reader.word("mechanism")
    reader.expect_end()
    if mechanism != b"DEFLATE":
        raise BadError("The only mechanism is DEFLATE.")
    if session.compresses:
        raise NoError("Compression is active already.", "COMPRESSIONACTIVE")
    yield b""
    session.compresses = session.compression_requested = True
    return "Compression begins."


def _read_parameters(reader: Reader) -> None:
    if not reader.starts_with(b"("):
        if reader.word("list") != b"NIL":
            raise BadError("ID takes a list or NIL.")
        return
    pairs = 0

    def pair() -> None:
        nonlocal pairs
        pairs += 1
        reader.string()
        reader.expect_space()
        reader.nstring()

    reader.in_parentheses(pair, may_be_empty=True)
    if pairs > ID_PAIRS_MAX:
        raise BadError(f"ID takes {ID_PAIRS_MAX} fields at most.")


def starttls(session: SessionState, reader: Reader) -> Steps:
    """Handle STARTTLS (RFC 3501 section 6.2.1): start TLS on this connection."""
    reader.expect_end()
    if not session.capabilities.tls:
        raise BadError("TLS is not available.")
    # Only mark TLS as requested: the handshake must follow the tagged OK, the last response in cleartext.
    yield b""
    session.tls_requested = True
    return "Begin TLS negotiation now."


def login(session: SessionState, reader: Reader) -> Steps:
    """Handle LOGIN (RFC 3501 section 6.2.3): log in with user name and password."""
    reader.expect_space()
    user = reader.astring()
    reader.expect_space()
    password = reader.astring()
    reader.expect_end()
    return (yield from _log_in(session, user.decode("utf-8", "replace"), password.decode("utf-8", "replace")))


def authenticate(session: SessionState, reader: Reader) -> Steps:
    """Handle AUTHENTICATE (RFC 3501 section 6.2.2): log in by a SASL exchange, PLAIN or LOGIN."""
    reader.expect_space()
    mechanism = reader.word("mechanism")
    initial: bytes | None = None
    if reader.accept(b" "):
        initial = reader.octets[reader.position :]
    else:
        reader.expect_end()
    name = mechanism.decode("ascii")
    if name not in sasl.MECHANISMS:
        raise NoError("Unsupported mechanism.", "CANNOT")
    try:
        credentials = yield from continue_exchange(sasl.exchange(name, initial))
    except sasl.AuthorizationError as error:
        raise NoError(f"Not accepted: {error}.", "AUTHORIZATIONFAILED") from None
    except sasl.SASLError as error:
        raise BadError(f"Not accepted: {error}.") from None
    return (yield from _log_in(session, credentials.user, credentials.password))


def _log_in(session: SessionState, user: str, password: str) -> Steps:
    if not session.capabilities.login_allowed:
        raise NoError("Start TLS first.", "PRIVACYREQUIRED")
    opened = yield LogIn(user, password)
    if opened is None:
        session.failed_logins += 1
        if session.failed_logins >= FAILED_LOGINS_MAX:
            raise ByeError("Too many failed logins.")
        raise NoError("Wrong user name or password.", "AUTHENTICATIONFAILED")
    session.log_in(opened)
    return f"[{session.capability().decode('ascii')}] Logged in."
