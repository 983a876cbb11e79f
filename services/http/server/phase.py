"""Phases of a server's connection, each with a time limit; common to all HTTP versions."""

from enum import Enum, auto


class Phase(Enum):
    """Phase of a connection: idle, receiving a request, responding, or lingering after the last response."""

    IDLE = auto()
    REQUEST = auto()
    ANSWER = auto()
    LINGER = auto()
