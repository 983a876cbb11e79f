"""Greylisting (RFC 6647): the first message of an unknown sender gets 450, and a legitimate MTA sends it again.

The key is the triple of client address, reverse-path and forward-path (section 4.3). A first attempt gets 450; once a
retry arrives after the greylisting delay, the triple passes:

    unseen --attempt: 450--> waiting (delay_s) --retry after delay_s: accepted--> passed (kept FORGET_PASSED_S)
      ^                         |                                                    |
      +----- FORGET_UNSEEN_S ---+---------------- unused for FORGET_PASSED_S --------+

Spam software without a queue does not retry. The cost is one retry interval of delay for the first message of a triple.
Beyond TRIPLES_MAX the least recently used triple is evicted. The state is in memory only and is lost at a restart.
"""

from collections.abc import Callable

# RFC 6647 section 5: a triple expires after a day without a retry, and after a week without use once it passed.
FORGET_UNSEEN_S = 86_400.0
FORGET_PASSED_S = 7 * 86_400.0
TRIPLES_MAX = 100_000

Triple = tuple[str, str, str]


class Greylist:
    """Table of the (client, reverse-path, forward-path) triples seen; `clock` returns seconds."""

    def __init__(self, delay_s: float, clock: Callable[[], float]) -> None:
        self._delay_s = delay_s
        self._clock = clock
        # The table maps a triple to (time from which it passes, time of expiry), least recently used first.
        self._known: dict[Triple, tuple[float, float]] = {}

    def passes(self, triple: Triple) -> bool:
        """Return True if a triple is accepted now, and record the attempt."""
        now = self._clock()
        passes_at, forgotten_at = self._known.pop(triple, (now + self._delay_s, now + FORGET_UNSEEN_S))
        if forgotten_at <= now:
            passes_at, forgotten_at = now + self._delay_s, now + FORGET_UNSEEN_S
        if passes_at <= now:
            forgotten_at = now + FORGET_PASSED_S
        self._known[triple] = (passes_at, forgotten_at)
        if len(self._known) > TRIPLES_MAX:
            del self._known[next(iter(self._known))]
        return passes_at <= now
