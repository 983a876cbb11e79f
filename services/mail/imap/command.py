"""What a command does, step by step: octets for the client, and what it needs from outside.

A handler is a generator. It yields octets, which are sent in order, and requests; what it returns is the text of the
tagged OK. So nothing is held back until a command is done, and none waits where others could go on.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from services.mail.access.requests import Output


class State(Enum):
    """RFC 3501 section 3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


@dataclass(frozen=True, slots=True)
class Ask:
    """Sends `prompt` and goes on with the next line of the client."""

    prompt: bytes


Steps = Generator[Output | Ask, Any, str]
Handler = Callable[[Any, Any], Steps]


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table of commands.

    `may_expunge`: whether messages that others removed may be announced at its end (RFC 3501 section 7.4.1).
    """

    states: frozenset[State]
    handler: Handler
    may_expunge: bool = True
