"""When a message that could not go is tried again, and when it is given up (RFC 5321 section 4.5.4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

# The RFC asks for half an hour between tries and likes some more in the first hour; for four to five days before the
# end.
RETRY_S = (60.0, 300.0, 900.0, 1800.0)
EXPIRE_S = 5 * 86_400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits before the second, third, ... try, the last again and again, until `expire_s` from the start."""

    retry_s: Sequence[float] = RETRY_S
    expire_s: float = EXPIRE_S

    def wait_s(self, tries: int) -> float:
        """Return how long to wait after so many tries that failed."""
        return self.retry_s[min(tries, len(self.retry_s)) - 1]

    def is_over(self, accepted_s: float, now_s: float) -> bool:
        """Tell whether a message has been here for too long."""
        return now_s - accepted_s >= self.expire_s


def parse_waits(text: str) -> tuple[float, ...]:
    """Read `1,2,4` as waits in seconds; raises ValueError."""
    waits = tuple(float(word) for word in text.split(","))
    if not all(0 < wait < float("inf") for wait in waits):
        raise ValueError(f"{text!r} has a wait that is no time above zero")
    return waits
