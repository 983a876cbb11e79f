"""Which ports to try for a passive data connection (RFC 2577 section 8: one that can be guessed can be stolen)."""

from collections.abc import Iterator
from random import Random

# RFC 6335 section 6: the dynamic ports, which nobody has by name.
_DYNAMIC = (49_152, 65_535)
# Tried at random. Where that many of the dynamic ports are taken, the system is left to search.
_RANDOM_TRIES = 16


def candidates(ports: tuple[int, int] | None, random: Random) -> Iterator[int]:
    """Yield ports of a range, lowest and highest given: some at random, then each, from a random one on.

    With None, dynamic ports at random, then 0, the system's choice: the system searches all ports, which takes it the
    longer the more connections have ended within the last minute.
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
