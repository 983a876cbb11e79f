"""TRANSACTION state commands on the maildrop (RFC 1939 sections 5 and 7), and QUIT (section 6)."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from services.mail.maildir.errors import MessageGoneError
from services.mail.pop3.limits import PIECE_OCTETS
from services.mail.pop3.maildrop import Maildrop
from services.mail.pop3.steps import RefusedError, State, Steps, SyntaxRefusedError

if TYPE_CHECKING:
    from services.mail.pop3.session import Session


def _drop(session: "Session") -> Maildrop:
    if session.maildrop is None:
        raise SyntaxRefusedError("Log in first.")
    return session.maildrop


def _count(argument: bytes) -> int:
    if not argument.isdigit() or len(argument) > 10:
        raise SyntaxRefusedError("This is no number.")
    return int(argument)


def _number(drop: Maildrop, argument: bytes) -> int:
    number = _count(argument)
    if not 1 <= number <= len(drop.uids):
        raise RefusedError("There is no such message.")
    if number in drop.marked:
        raise RefusedError("The message is marked as deleted.")
    return number


def stat(session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle STAT (RFC 1939 section 5)."""
    drop = _drop(session)
    yield b""
    return f"{len(drop.numbers())} {drop.octets()}"


def _listing(session: "Session", arguments: list[bytes], line: Callable[[Maildrop, int], str]) -> Steps:
    drop = _drop(session)
    if arguments:
        return line(drop, _number(drop, arguments[0]))
    numbers = drop.numbers()
    yield f"+OK {len(numbers)} messages.\r\n".encode("ascii")
    yield "".join(f"{line(drop, number)}\r\n" for number in numbers).encode("ascii")
    yield b".\r\n"
    return ""


def scan_list(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle LIST (RFC 1939 section 5)."""
    return _listing(session, arguments, lambda drop, number: f"{number} {drop.sizes[number - 1]}")


def uidl(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle UIDL (RFC 1939 section 7)."""
    return _listing(session, arguments, lambda drop, number: f"{number} {drop.unique_id(number)}")


def _read(drop: Maildrop, number: int) -> bytes:
    try:
        return drop.read(number)
    except MessageGoneError as error:
        raise RefusedError(str(error)) from None


def retr(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle RETR (RFC 1939 section 5)."""
    drop = _drop(session)
    number = _number(drop, arguments[0])
    content = _read(drop, number)
    yield b"+OK %d octets.\r\n" % len(content)
    yield from stuffed(content)
    return ""


def top(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle TOP (RFC 1939 section 7): the header, the empty line and the given number of body lines."""
    drop = _drop(session)
    number = _number(drop, arguments[0])
    count = _count(arguments[1])
    content = _read(drop, number)
    yield b"+OK The top of the message follows.\r\n"
    yield from stuffed(_top_of(content, count))
    return ""


def _top_of(content: bytes, count: int) -> bytes:
    if content.startswith(b"\r\n"):
        place = 2
    else:
        found = content.find(b"\r\n\r\n")
        if found < 0:
            return content
        place = found + 4
    for _ in range(count):
        found = content.find(b"\r\n", place)
        if found < 0:
            return content
        place = found + 2
    return content[:place]


def stuffed(content: bytes) -> Iterator[bytes]:
    """Encode a message as a multi-line response: byte-stuffed, CRLF at the end, final dot (RFC 1939 section 3)."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        yield b"."
    content = content.replace(b"\r\n.", b"\r\n..")
    for begin in range(0, len(content), PIECE_OCTETS):
        yield content[begin : begin + PIECE_OCTETS]
    yield b".\r\n"


def dele(session: "Session", arguments: list[bytes]) -> Steps:
    """Handle DELE (RFC 1939 section 5); the message is removed at QUIT."""
    drop = _drop(session)
    number = _number(drop, arguments[0])
    yield b""
    drop.marked.add(number)
    return "Marked."


def noop(_session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle NOOP (RFC 1939 section 5)."""
    yield b""
    return "Here."


def rset(session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle RSET (RFC 1939 section 5)."""
    drop = _drop(session)
    yield b""
    drop.marked.clear()
    return f"{len(drop.uids)} messages ({drop.octets()} octets)."


def quit_session(session: "Session", _arguments: list[bytes]) -> Steps:
    """Handle QUIT (RFC 1939 section 6): remove marked messages and release the maildrop."""
    yield b""
    session.state = State.ENDED
    if session.maildrop is None:
        return "Good-bye."
    try:
        removed = session.maildrop.remove_marked()
    except OSError:
        raise RefusedError("Some messages that were marked have not been removed.", "SYS/TEMP") from None
    finally:
        session.release()
    return f"Removed {removed} messages."
