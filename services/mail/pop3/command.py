"""POP3 command handlers: generators of response octets and of requests to the connection."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from services.mail.access.requests import Output
from services.mail.pop3.session_state import SessionState, State


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """A continuation request (RFC 5034 section 4): sends `prompt`; the client's next line is the answer."""

    prompt: bytes


# The value returned is the text after +OK; empty if the handler has sent the whole response.
Steps = Generator[Output | ContinuationRequest, Any, str]
Handler = Callable[[SessionState, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table; `arguments` is the least and the greatest count."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
