"""Phases of a server's connection, each with a time limit; the same for every version."""

from enum import Enum, auto


class Phase(Enum):
    """IDLE, receiving a request, responding, or lingering after the last response."""

    IDLE = auto()
    REQUEST = auto()
    ANSWER = auto()
    LINGER = auto()
