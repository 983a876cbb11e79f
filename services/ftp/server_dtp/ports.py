"""Random port selection for passive data connections, against port stealing (RFC 2577 section 8)."""

from collections.abc import Iterator
from random import Random

# Range of dynamic ports, which are not assigned to services (RFC 6335 section 6).
_DYNAMIC = (49_152, 65_535)
# Number of random ports to try; if all tried ports are in use, the kernel selects one.
_RANDOM_TRIES = 16


def candidates(ports: tuple[int, int] | None, random: Random) -> Iterator[int]:
    """Yield ports to try of the range (lowest, highest): some at random, then all in order from a random one on.

    With None, dynamic ports at random, then 0, the kernel's choice. That is the last resort, since the kernel searches
    all ports, which takes the longer the more connections are in TIME-WAIT.
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
