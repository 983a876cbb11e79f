"""Phases of a client's connection to the HTTP server, each with its own time limit; common to all HTTP versions."""

from enum import Enum, auto


class Phase(Enum):
    """Phase of a connection: idle, receiving a request, sending a response, or lingering after the last response."""

    IDLE = auto()
    REQUEST = auto()
    ANSWER = auto()
    LINGER = auto()
