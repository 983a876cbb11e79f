"""Random port selection for passive data connections, against port stealing (RFC 2577 section 8)."""

from collections.abc import Iterator
from random import Random

# Range of dynamic ports, which are not assigned to services (RFC 6335 section 6).
_DYNAMIC = (49_152, 65_535)
# Number of random ports to try; if all tried ports are in use, the kernel selects one.
_RANDOM_TRIES = 16


def candidates(ports: tuple[int, int] | None, random: Random) -> Iterator[int]:
    """Yield port numbers to try for a listening socket, beginning with _RANDOM_TRIES random ports.

    With a range (lowest, highest), all of its ports follow, starting at a random one. Without a range (None), the
    random ports are dynamic ports, and the last candidate is 0, for which the kernel selects a port. 0 comes last,
    because the kernel's search takes longer, the more connections are in TIME-WAIT.
    """
    low, high = ports or _DYNAMIC
    for _ in range(_RANDOM_TRIES):
        yield random.randint(low, high)
    if ports is None:
        yield 0
        return
    begin = random.randint(low, high)
    yield from range(begin, high + 1)
    yield from range(low, begin)
