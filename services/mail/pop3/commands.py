"""POP3 command table: for each command, the session states that permit it, argument count, and handler (RFC 1939)."""

from lab7.services.mail.pop3 import authorization, transaction
from lab7.services.mail.pop3.command import Command
from lab7.services.mail.pop3.session_state import State

_FIRST = frozenset((State.AUTHORIZATION,))
_THEN = frozenset((State.TRANSACTION,))
_BOTH = _FIRST | _THEN
# RFC 1939 section 7: a password may contain spaces, so PASS takes all text after the first space.
REST_OF_LINE = frozenset((b"PASS",))

COMMANDS: dict[bytes, Command] = {
    # RFC 1939 sections 4 and 7: commands of the AUTHORIZATION state.
    b"USER": Command(_FIRST, (1, 1), authorization.user),
    b"PASS": Command(_FIRST, (1, 1), authorization.password),
    b"APOP": Command(_FIRST, (2, 2), authorization.apop),
    # RFC 5034, RFC 2595
    b"AUTH": Command(_FIRST, (0, 2), authorization.auth),
    b"STLS": Command(_FIRST, (0, 0), authorization.stls),
    # RFC 2449
    b"CAPA": Command(_BOTH, (0, 0), authorization.capa),
    b"QUIT": Command(_BOTH, (0, 0), transaction.quit_session),
    # RFC 1939 section 5
    b"STAT": Command(_THEN, (0, 0), transaction.stat),
    b"LIST": Command(_THEN, (0, 1), transaction.scan_list),
    b"RETR": Command(_THEN, (1, 1), transaction.retr),
    b"DELE": Command(_THEN, (1, 1), transaction.dele),
    b"NOOP": Command(_THEN, (0, 0), transaction.noop),
    b"RSET": Command(_THEN, (0, 0), transaction.rset),
    # RFC 1939 section 7
    b"TOP": Command(_THEN, (2, 2), transaction.top),
    b"UIDL": Command(_THEN, (0, 1), transaction.uidl),
}
