"""Record of invalidated cache keys, to recognise responses that were requested before the invalidation (RFC 9111 4.4).

    invalidations = Invalidations()
    begun = invalidations.count             # before a GET is sent to the origin
    invalidations.note(b"http://a/")        # meanwhile, a POST to the same URI has succeeded
    invalidations.is_outdated(b"http://a/", begun)      # True: the response to the GET is not stored

Such a response may have the state of the resource before the change.
"""

# Number of keys kept. Beyond it all are dropped, and any response to a request sent before counts as outdated.
KEYS_KEPT = 4096


class Invalidations:
    """Record of the last invalidation of each cache key; `count` is the number of invalidations so far."""

    def __init__(self) -> None:
        self.count = 0
        self._dropped_at = 0
        self._noted: dict[bytes, int] = {}

    def note(self, key: bytes) -> None:
        """Record that all responses stored under `key` have been invalidated."""
        if len(self._noted) >= KEYS_KEPT:
            self._noted.clear()
            self._dropped_at = self.count
        self.count += 1
        self._noted[key] = self.count

    def is_outdated(self, key: bytes, begun: int) -> bool:
        """Return whether the response to a request may be outdated: `key` has been invalidated in the meantime.

        `begun` is the value of `count` at the time when the request was sent.
        """
        return begun < self._dropped_at or begun < self._noted.get(key, 0)
