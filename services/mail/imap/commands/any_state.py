"""Commands valid in every state: CAPABILITY, NOOP, LOGOUT (RFC 3501 section 6.1) and ID (RFC 2971)."""

from services.mail.imap.command import Steps
from services.mail.imap.errors import BadError
from services.mail.imap.limits import ID_PAIRS_MAX
from services.mail.imap.session_state import SessionState
from services.mail.imap.syntax import encoder
from services.mail.imap.syntax.reader import Reader


def capability(session: SessionState, reader: Reader) -> Steps:
    """Handle CAPABILITY (RFC 3501 section 6.1.1)."""
    reader.expect_end()
    yield b"* %b\r\n" % session.capability()
    return "Capability completed."


def noop(_session: SessionState, reader: Reader) -> Steps:
    """Handle NOOP (RFC 3501 section 6.1.2); updates are sent at the end of every command."""
    reader.expect_end()
    yield b""
    return "NOOP completed."


def logout(session: SessionState, reader: Reader) -> Steps:
    """Handle LOGOUT (RFC 3501 section 6.1.3)."""
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
