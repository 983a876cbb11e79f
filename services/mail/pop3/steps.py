"""What POP3 commands are made of."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from services.mail.access.requests import Output


class State(Enum):
    """RFC 1939 section 3."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    ENDED = auto()


class RefusedError(Exception):
    """-ERR: the command did not succeed; `code` is a response code (RFC 2449 section 8) without its brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = f"[{code}] {text}" if code else text


class SyntaxRefusedError(RefusedError):
    """-ERR: the command cannot be read, or has no place here."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Sends `prompt` and goes on with the next line of the client."""

    prompt: bytes


# What comes back from the last step is the text after +OK; empty where the handler has said it.
Steps = Generator[Output | Ask, Any, str]
Handler = Callable[[Any, list[bytes]], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table: where it is allowed, and how many arguments it takes."""

    states: frozenset[State]
    arguments: tuple[int, int]
    handler: Handler
