"""Command type of the IMAP server: permitted states, and a handler that yields responses and requests for I/O.

A handler yields octets, which the connection sends in order, and requests (log in, start TLS, read a continuation
line); the value that it returns is the text of the tagged OK. A long response is therefore never buffered as a whole,
and at each yield the connection can schedule other sessions.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.session_state import SessionState, State
from lab7.services.mail.imap.syntax.reader import Reader

Handler = Callable[[SessionState, Reader], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the command table: the states in which a command is permitted, and its handler.

    With `may_expunge` the untagged responses at the command's end may include EXPUNGE (RFC 3501 section 7.4.1).
    """

    states: frozenset[State]
    handler: Handler
    may_expunge: bool = True
