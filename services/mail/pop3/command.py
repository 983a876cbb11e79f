"""Entry type of the POP3 command table: states that permit a command, argument count, and handler."""

from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.pop3.session_state import SessionState, State

# A handler returns the text of the +OK, or empty text if it has yielded the whole response.
Handler = Callable[[SessionState, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """Entry of the POP3 command table: permitted states, (minimum, maximum) number of arguments, and handler."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
