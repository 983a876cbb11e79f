"""Handlers of POP3 commands in the TRANSACTION state (RFC 1939 sections 5 and 7), and of QUIT (section 6)."""

from collections.abc import Callable, Iterator

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.maildir.errors import MessageGoneError
from lab7.services.mail.pop3.errors import RefusedError, SyntaxRefusedError
from lab7.services.mail.pop3.limits import SEND_OCTETS
from lab7.services.mail.pop3.maildrop import Maildrop
from lab7.services.mail.pop3.session_state import SessionState

# A number of this many digits is above every number of messages and of lines.
_DIGITS_MAX = 19


def _count(argument: bytes) -> int:
    """Parse a number; all but its first _DIGITS_MAX digits are ignored.

    The value of a longer number is then wrong, but still larger than any message number or number of lines.
    """
    if not argument.isdigit():
        raise SyntaxRefusedError("The argument is not a number.")
    return int(argument.lstrip(b"0")[:_DIGITS_MAX] or b"0")


def _number(maildrop: Maildrop, argument: bytes) -> int:
    number = _count(argument)
    if not 1 <= number <= len(maildrop.uids):
        raise RefusedError("There is no such message.")
    if number in maildrop.marked:
        raise RefusedError("The message is marked as deleted.")
    return number


def stat(session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle STAT: number and total octets of the messages (RFC 1939 section 5)."""
    maildrop = session.opened()
    yield b""
    return f"{len(maildrop.numbers())} {maildrop.octets()}"


def _listing(session: SessionState, arguments: list[bytes], line: Callable[[Maildrop, int], str]) -> Steps:
    maildrop = session.opened()
    if arguments:
        return line(maildrop, _number(maildrop, arguments[0]))
    numbers = maildrop.numbers()
    yield f"+OK {len(numbers)} messages.\r\n".encode("ascii")
    yield "".join(f"{line(maildrop, number)}\r\n" for number in numbers).encode("ascii")
    yield b".\r\n"
    return ""


def scan_list(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle LIST: number and octets of one message or of all (RFC 1939 section 5)."""
    return _listing(session, arguments, lambda maildrop, number: f"{number} {maildrop.sizes[number - 1]}")


def uidl(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle UIDL: number and unique-id of one message or of all (RFC 1939 section 7)."""
    return _listing(session, arguments, lambda maildrop, number: f"{number} {maildrop.unique_id(number)}")


def _read(maildrop: Maildrop, number: int) -> bytes:
    try:
        return maildrop.read(number)
    except MessageGoneError as error:
        raise RefusedError(str(error)) from None


def retr(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle RETR: send a whole message (RFC 1939 section 5)."""
    maildrop = session.opened()
    number = _number(maildrop, arguments[0])
    content = _with_line_end(_read(maildrop, number))
    yield b"+OK %d octets.\r\n" % len(content)
    yield from byte_stuffed(content)
    return ""


def top(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle TOP (RFC 1939 section 7): the header, the empty line and the given number of body lines."""
    maildrop = session.opened()
    number = _number(maildrop, arguments[0])
    count = _count(arguments[1])
    content = _read(maildrop, number)
    yield b"+OK The top of the message follows.\r\n"
    yield from byte_stuffed(_header_and_lines(content, count))
    return ""


def _header_and_lines(content: bytes, count: int) -> bytes:
    if content.startswith(b"\r\n"):
        end = 2
    else:
        index = content.find(b"\r\n\r\n")
        if index < 0:
            return content
        end = index + 4
    for _ in range(count):
        index = content.find(b"\r\n", end)
        if index < 0:
            return content
        end = index + 2
    return content[:end]


def _with_line_end(content: bytes) -> bytes:
    """Return a message with a CRLF at its end: the final dot must be on a line of its own."""
    return content if not content or content.endswith(b"\r\n") else content + b"\r\n"


def byte_stuffed(content: bytes) -> Iterator[bytes]:
    """Yield a message as the lines of a multi-line response, byte-stuffed, with the final dot (RFC 1939 section 3)."""
    content = _with_line_end(content)
    if content.startswith(b"."):
        yield b"."
    content = content.replace(b"\r\n.", b"\r\n..")
    for begin in range(0, len(content), SEND_OCTETS):
        yield content[begin : begin + SEND_OCTETS]
    yield b".\r\n"


def dele(session: SessionState, arguments: list[bytes]) -> Steps:
    """Handle DELE (RFC 1939 section 5): mark a message as deleted; QUIT removes it."""
    maildrop = session.opened()
    number = _number(maildrop, arguments[0])
    yield b""
    maildrop.marked.add(number)
    return "Marked."


def noop(_session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle NOOP: reply +OK without effect (RFC 1939 section 5)."""
    yield b""
    return "Here."


def rset(session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle RSET: unmark all messages (RFC 1939 section 5)."""
    maildrop = session.opened()
    yield b""
    maildrop.marked.clear()
    return f"{len(maildrop.uids)} messages ({maildrop.octets()} octets)."


def quit_session(session: SessionState, _arguments: list[bytes]) -> Steps:
    """Handle QUIT (RFC 1939 section 6): remove marked messages and release the maildrop."""
    yield b""
    session.end()
    if session.maildrop is None:
        return "Good-bye."
    try:
        removed = session.maildrop.remove_marked()
    except OSError:
        raise RefusedError("Some deleted messages were not removed.", "SYS/TEMP") from None
    finally:
        session.release()
    return f"{removed} messages removed."
