"""POP3 command handlers: generators of response octets and of requests to the connection."""

from collections.abc import Callable
from dataclasses import dataclass

from services.mail.access.requests import Steps
from services.mail.pop3.session_state import SessionState, State

# The text that a handler returns is empty if it has sent the whole response.
Handler = Callable[[SessionState, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table; `arguments` is the least and the greatest count."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
