"""POP3 command handlers: generators of response octets and of requests to the connection."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from services.mail.access.requests import Output


class State(Enum):
    """Session states (RFC 1939 section 3); ENDED covers UPDATE, which QUIT passes through."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    ENDED = auto()


class RefusedError(Exception):
    """-ERR: the command failed; `code` is a response code (RFC 2449 section 8) without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = f"[{code}] {text}" if code else text


class SyntaxRefusedError(RefusedError):
    """-ERR: a syntax error, or a command that is not valid in this state."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A continuation request (RFC 5034 section 4): sends `prompt`; the client's next line is the answer."""

    prompt: bytes


# The value returned is the text after +OK; empty if the handler has sent the whole response.
Steps = Generator[Output | Ask, Any, str]
Handler = Callable[[Any, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table; `arguments` is the least and the greatest count."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
