"""Phases of a client's connection to an HTTP server: idle, request, response, lingering close; for HTTP/1 and HTTP/2.

Each phase has its own time limit, after which the server closes the connection.
"""

from enum import Enum, auto


class Phase(Enum):
    """Phase of a connection: idle, receiving a request, sending a response, or lingering after the last response."""

    IDLE = auto()
    REQUEST = auto()
    ANSWER = auto()
    LINGER = auto()
