"""Greylisting: who comes for the first time is asked to come again, which a sender with a queue does (RFC 6647).

A triple of client address, reverse_path and forward_path is known for good once it came again after the delay (section
4.3).
"""

from collections.abc import Callable

# RFC 6647 section 5: at least a day must a sender have to come again, and a triple that passed is kept a week.
FORGET_UNSEEN_S = 86_400.0
FORGET_PASSED_S = 7 * 86_400.0
TRIPLES_MAX = 100_000

Triple = tuple[str, str, str]


class Greylist:
    """Knows who came before; `clock` gives seconds."""

    def __init__(self, delay_s: float, clock: Callable[[], float]) -> None:
        self._delay_s = delay_s
        self._clock = clock
        # When a triple may pass, and when it is forgotten; the oldest first.
        self._known: dict[Triple, tuple[float, float]] = {}

    def passes(self, triple: Triple) -> bool:
        """Tell whether a triple may pass now, and remember that it came."""
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
