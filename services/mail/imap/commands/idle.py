"""Handler of IDLE: until the client sends DONE, the connection sends mailbox updates as they occur (RFC 2177)."""

from lab7.services.mail.access.requests import ContinuationRequest, Steps
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.session_state import SessionState
from lab7.services.mail.imap.syntax.reader import Reader


def idle(session: SessionState, reader: Reader) -> Steps:
    """Handle IDLE (RFC 2177 section 3): wait for the line DONE, which is case-insensitive."""
    reader.expect_end()
    session.idling = True
    try:
        line = yield ContinuationRequest(b"+ idling\r\n")
    finally:
        session.idling = False
    if line.upper() != b"DONE":
        raise BadError("DONE ends IDLE.")
    return "Idle completed."
