"""Where a session stands: what the login has come to, and whether the one command before was RNFR."""

from enum import Enum, auto


class State(Enum):
    """States of server_pi that decide which commands are in sequence."""

    START = auto()
    PASSWORD = auto()
    ACCOUNT = auto()
    READY = auto()
    RENAMING = auto()


ALWAYS = frozenset(State)
LOGGED_IN = frozenset((State.READY, State.RENAMING))
