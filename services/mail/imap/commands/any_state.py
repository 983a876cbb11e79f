"""Commands of every state (RFC 3501 section 6.1; ID of RFC 2971)."""

from typing import TYPE_CHECKING

from services.mail.imap.command import State, Steps
from services.mail.imap.errors import BadError
from services.mail.imap.limits import ID_PAIRS_MAX
from services.mail.imap.syntax import formatting
from services.mail.imap.syntax.reader import Reader

if TYPE_CHECKING:
    from services.mail.imap.session import Session


def capability(session: "Session", reader: Reader) -> Steps:
    """RFC 3501 section 6.1.1."""
    reader.end()
    yield b"* %b\r\n" % session.offer.capability(session.state)
    return "Capability completed."


def noop(_session: "Session", reader: Reader) -> Steps:
    """RFC 3501 section 6.1.2: what is new is said at the end of any command."""
    reader.end()
    yield b""
    return "NOOP completed."


def logout(session: "Session", reader: Reader) -> Steps:
    """RFC 3501 section 6.1.3."""
    reader.end()
    yield b"* BYE Logging out.\r\n"
    session.select(None)
    session.state = State.LOGOUT
    return "Logout completed."


def identify(_session: "Session", reader: Reader) -> Steps:
    """RFC 2971 section 3.1: what the client says of itself is for its own statistics, and not kept."""
    reader.space()
    _read_parameters(reader)
    reader.end()
    yield b"* ID (" + formatting.string(b"name") + b" " + formatting.string(b"lab7") + b")\r\n"
    return "ID completed."


def _read_parameters(reader: Reader) -> None:
    if not reader.next_is(b"("):
        if reader.word("list") != b"NIL":
            raise BadError("ID takes a list or NIL.")
        return
    pairs = 0

    def pair() -> None:
        nonlocal pairs
        pairs += 1
        reader.string()
        reader.space()
        reader.nstring()

    reader.in_parentheses(pair, may_be_empty=True)
    if pairs > ID_PAIRS_MAX:
        raise BadError(f"ID takes {ID_PAIRS_MAX} fields at most.")
