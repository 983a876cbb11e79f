"""What a server's connection waits for, which decides how long it may; the same for every version."""

from enum import Enum, auto


class Phase(Enum):
    """The phases of a connection."""

    IDLE = auto()
    REQUEST = auto()
    ANSWER = auto()
    LINGER = auto()
