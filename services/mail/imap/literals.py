"""Checks of IMAP literals by their announced size, before the client sends the octets (RFC 3501 section 4.3, RFC 7888).

A client with a synchronising literal waits for "+", so that a refused literal is never sent. The refusal of a literal
that is too large has the response code TOOBIG (RFC 4469 section 4.2).
"""

from lab7.services.mail.imap.commands.append import check_literal
from lab7.services.mail.imap.commands.table import parse_command
from lab7.services.mail.imap.errors import BadError, NoError, store_failure_text
from lab7.services.mail.imap.limits import EARLY_LITERAL_OCTETS, LITERAL_OCTETS, MESSAGE_OCTETS, NUMBER_MAX
from lab7.services.mail.imap.session_state import SessionState, State
from lab7.services.mail.imap.syntax.reader import TAG, AnnouncedLiteral, Reader
from lab7.services.mail.maildir.errors import MaildirError


def literal_refusal(session: SessionState, unit: AnnouncedLiteral) -> bytes | None:
    """Check a literal that the client has announced; return the tagged response that refuses it, or None."""
    reader = Reader(unit.received, utf8=session.is_rev2)
    tag = b"*"
    try:
        tag = reader.match(TAG, "tag")
        reader.expect_space()
        parse_command(reader, session.state)
        if unit.size_octets > NUMBER_MAX:
            raise BadError("The number is too large.")
        _check_size(session, unit, reader.position, unit.received[len(tag) + 1 : reader.position].upper())
    except BadError as error:
        return b"%b BAD %b\r\n" % (tag, str(error).encode("ascii"))
    except NoError as error:
        return b"%b NO [%b] %b\r\n" % (tag, error.code.encode("ascii"), error.text.encode("ascii"))
    except (MaildirError, OSError) as error:
        return b"%b NO %b\r\n" % (tag, store_failure_text(error).encode("ascii", "replace"))
    return None


def _check_size(session: SessionState, unit: AnnouncedLiteral, position: int, command: bytes) -> None:
    """Raise NoError if a command with its literals, or a message to APPEND or REPLACE, is too large."""
    is_append, replaces = command == b"APPEND", command in (b"REPLACE", b"UID REPLACE")
    limit = EARLY_LITERAL_OCTETS if session.state is State.NOT_AUTHENTICATED else LITERAL_OCTETS
    if is_append or replaces:
        limit += MESSAGE_OCTETS
    if unit.size_octets + len(unit.received) > limit:
        raise NoError("The literal is too large.", "TOOBIG")
    if is_append or replaces:
        check_literal(session, unit.received, position, unit.size_octets, replaces)
