"""Entry type of the IMAP command table: the session states that permit a command, and its handler (a generator).

A handler yields two kinds of outputs: octets, which the connection sends in order, and requests for I/O (log in, start
TLS, read a continuation line). A long response is yielded in pieces: it is never buffered as a whole, and between two
pieces the connection can run other sessions. The handler's return value is the text of the tagged OK response.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.session_state import SessionState, State
from lab7.services.mail.imap.syntax.reader import Reader

Handler = Callable[[SessionState, Reader], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """Entry of the command table: the session states that permit a command, and its handler.

    If `may_expunge` is True, the untagged responses at the command's end may include EXPUNGE (RFC 3501 section 7.4.1).
    """

    states: frozenset[State]
    handler: Handler
    may_expunge: bool = True
