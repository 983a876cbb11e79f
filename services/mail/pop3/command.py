"""Command type of the POP3 server: permitted states, argument count, and a handler that yields responses."""

from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.pop3.session_state import SessionState, State

# A handler returns the text of the +OK, or empty text if it has yielded the whole response.
Handler = Callable[[SessionState, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the command table; `arguments`: minimum and maximum number of arguments."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
