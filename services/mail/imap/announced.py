"""Whether a literal that a client announces is taken in (RFC 3501 section 4.3, RFC 7888, RFC 4469 section 5.3).

The decision comes before the octets: a client that waits for "+" sends none of a literal that is refused.
"""

from typing import TYPE_CHECKING

from services.mail.imap.errors import BadError
from services.mail.imap.framing import Announced
from services.mail.imap.limits import EARLY_LITERAL_OCTETS, LITERAL_OCTETS, MESSAGE_OCTETS, NUMBER_MAX
from services.mail.imap.reader import TAG, Reader
from services.mail.imap.steps import State
from services.mail.imap.table import command_of

if TYPE_CHECKING:
    from services.mail.imap.session import Session


def literal_allowed(session: "Session", unit: Announced) -> bytes | None:
    """Return None where the literal is taken, and else what the client is told."""
    reader = Reader(unit.so_far)
    tag = b"*"
    try:
        tag = reader.match(TAG, "tag")
        reader.space()
        command_of(reader, session.state)
        if unit.size_octets > NUMBER_MAX:
            raise BadError("The number is too large.")
    except BadError as error:
        return b"%b BAD %b\r\n" % (tag, str(error).encode("ascii"))
    word = unit.so_far[len(tag) + 1 :][:7].upper()
    if word == b"APPEND ":
        limit = MESSAGE_OCTETS + LITERAL_OCTETS - _octets_before(unit)
    else:
        limit = EARLY_LITERAL_OCTETS if session.state is State.NOT_AUTHENTICATED else LITERAL_OCTETS
        limit -= _octets_before(unit)
    if unit.size_octets <= limit:
        return None
    return b"%b NO [TOOBIG] The literal is too large.\r\n" % tag


def _octets_before(unit: Announced) -> int:
    """What of the command there is already: its literals count together."""
    return len(unit.so_far)
