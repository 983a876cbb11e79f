"""Handler of IDLE, during which the connection sends mailbox updates at once (RFC 2177)."""

from lab7.services.mail.access.requests import ContinuationRequest, Steps
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.session_state import SessionState
from lab7.services.mail.imap.syntax.reader import Reader


def idle(session: SessionState, reader: Reader) -> Steps:
    """Handle IDLE (RFC 2177 section 3), which ends with the line DONE, case-insensitively."""
    reader.expect_end()
    session.idling = True
    try:
        line = yield ContinuationRequest(b"+ idling\r\n")
    finally:
        session.idling = False
    if line.upper() != b"DONE":
        raise BadError("DONE ends IDLE.")
    return "Idle completed."
