"""Handler of APPEND (RFC 3501 section 6.3.11), with MULTIAPPEND (RFC 3502) and CATENATE (RFC 4469).

The tagged response has the code APPENDUID (RFC 4315).
"""

import re
from collections.abc import Generator
from dataclasses import dataclass

from lab7.services.mail.access.requests import Output, Steps
from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.limits import MESSAGE_OCTETS
from lab7.services.mail.imap.mailbox_url import read_message_url
from lab7.services.mail.imap.session_state import SessionState, pauses
from lab7.services.mail.imap.syntax.dates import read_date_time
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set
from lab7.services.mail.imap.syntax.reader import Reader, read_flag
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.errors import NoFolderError
from lab7.services.mail.maildir.folder import Folder

_MESSAGE_NUMBER = re.compile(rb"[0-9*]+")


@dataclass(frozen=True, slots=True)
class Url:
    """A part of CATENATE that is copied from another message, named by its IMAP URL."""

    url: bytes


@dataclass(frozen=True, slots=True)
class MessageData:
    """A message to append: its flags, its internal date (None: the present time), and the parts of its content."""

    flags: frozenset[str]
    date: float | None
    # Content of a message to append: octets, and CATENATE URLs to read in between.
    parts: list[bytes | Url]


def append(session: SessionState, reader: Reader) -> Steps:
    """Handle APPEND of one or several messages (RFC 3501 section 6.3.11): all messages are appended, or none."""
    reader.expect_space()
    name = reader.mailbox()
    messages = []
    while not reader.at_end:
        messages.append(read_message(reader))
    if not messages:
        raise BadError("A message is missing.")
    yield b""
    folder = target_folder(session, name)
    new_messages = []
    for message in messages:
        content = yield from message_content(session, message)
        new_messages.append(NewMessage(content, date=message.date))
    yield from pauses(folder.refresh_steps())
    uids = folder.append(new_messages, [message.flags for message in messages])
    return f"[APPENDUID {folder.uidvalidity} {format_sequence_set(uids)}] Append completed."


def message_content(session: SessionState, message: MessageData) -> Generator[Output, None, bytes]:
    """Return the octets of a message to append, with the URLs of CATENATE replaced by the octets that they identify.

    Raises NoError.
    """
    content = b""
    for part in message.parts:
        yield b""
        content += read_message_url(session, part.url) if isinstance(part, Url) else part
        if len(content) > MESSAGE_OCTETS:
            # RFC 4469 section 4
            raise NoError("The message is too large.", "TOOBIG")
    return content


def read_message(reader: Reader) -> MessageData:
    """Parse a space and the flags, date and content of a message; raise BadError and NoError."""
    reader.expect_space()
    flags: frozenset[str] = frozenset()
    date = None
    if reader.starts_with(b"("):
        flags = frozenset(reader.in_parentheses(lambda: read_flag(reader), may_be_empty=True))
        reader.expect_space()
    if reader.starts_with(b'"'):
        date = read_date_time(reader)
        reader.expect_space()
    if reader.octets[reader.position : reader.position + 10].upper() == b"CATENATE (":
        reader.position += 9
        return MessageData(flags, date, reader.in_parentheses(lambda: _read_part(reader)))
    content = reader.literal8()
    # RFC 3502 section 6.3.11: a zero-length literal cancels APPEND.
    if not content:
        raise NoError("Empty message.")
    return MessageData(flags, date, [content])


def _read_part(reader: Reader) -> bytes | Url:
    """Parse one part of CATENATE: TEXT with a literal, or URL with an IMAP URL (RFC 4469 section 3)."""
    word = reader.word("TEXT or URL")
    reader.expect_space()
    if word == b"TEXT":
        return reader.literal8()
    if word != b"URL":
        raise BadError("CATENATE takes TEXT and URL.")
    return Url(reader.astring())


def check_literal(session: SessionState, received: bytes, position: int, size_octets: int, replaces: bool) -> None:
    """Check the destination and size of an APPEND, or REPLACE, when the client announces the message literal.

    The check precedes the message's octets: raise NoError if the mailbox does not exist or the quota has no room.
    `received` is the command up to the literal, with the arguments from `position` on. Arguments with syntax errors
    pass; the error is reported when the command is complete.
    """
    reader = Reader(received, position, session.is_rev2)
    try:
        reader.expect_space()
        if replaces:
            reader.match(_MESSAGE_NUMBER, "message number")
            reader.expect_space()
        name = reader.mailbox()
    except BadError:
        return
    folder = target_folder(session, name)
    # The message that REPLACE removes makes room, which is known only when it runs.
    if not replaces and not folder.has_room(size_octets):
        raise NoError("Quota exceeded.", "OVERQUOTA")


def target_folder(session: SessionState, name: str) -> Folder:
    """Return the destination mailbox; if it does not exist, raise NoError with TRYCREATE (RFC 3501 section 6.3.11)."""
    try:
        return session.user_maildir().folder(name)
    except NoFolderError as error:
        # RFC 3501 section 6.3.11: TRYCREATE means that the client can create the mailbox.
        raise NoError(str(error), "TRYCREATE") from None
