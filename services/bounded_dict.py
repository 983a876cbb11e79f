"""A dictionary with a maximum number of entries, which evicts the least recently used entry (LRU).

The maximum bounds what peers can make a resolver store: RRsets, server addresses, encoded responses.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(Generic[K, V]):
    """Dictionary of at most `entries_max` entries, with LRU eviction; with `entries_max` 0 it stores nothing."""

    __slots__ = ("_entries", "entries_max")

    def __init__(self, entries_max: int) -> None:
        self.entries_max = entries_max
        # get() inserts an entry anew, and a dict keeps the order of insertion: the first entry is the least recent.
        self._entries: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return a value and mark it as used; None if the key is missing."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._entries[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value; evict the least recently used entry if more than `entries_max` would remain."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self.entries_max:
            del self._entries[next(iter(self._entries))]

    def drop(self, key: K) -> None:
        """Remove the value of a key; do nothing if the key is missing."""
        self._entries.pop(key, None)
