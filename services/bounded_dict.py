"""A dictionary with a maximum number of entries, which evicts the least recently used ones (LRU).

The maximum bounds the memory that peers can make a service use, for example for RRsets and encoded responses in a
resolver. Since peers also choose the size of many entries, a large entry may count as several: cost_of(octets) returns
that number.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Octets of memory for which a value counts as one more entry.
COST_OCTETS = 1000


def cost_of(octets: int) -> int:
    """Return the number of entries of a BoundedDict that a value counts as: 1, plus 1 per COST_OCTETS of its size."""
    return 1 + octets // COST_OCTETS


class BoundedDict(Generic[K, V]):
    """Dictionary of at most `entries_max` entries, with LRU eviction; with `entries_max` 0 it stores nothing."""

    __slots__ = ("_entries", "_extra", "_extra_total", "entries_max")

    def __init__(self, entries_max: int) -> None:
        self.entries_max = entries_max
        # get() inserts an entry anew, and a dict keeps the order of insertion: the first entry is the least recent.
        self._entries: dict[K, V] = {}
        # Costs above 1, keyed by the entries that have one, and their sum.
        self._extra: dict[K, int] = {}
        self._extra_total = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return a value and mark it as used; None if the key is missing."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._entries[key] = value
        return value

    def put(self, key: K, value: V, cost: int = 1) -> None:
        """Set the value of a key.

        The value counts as `cost` entries. Evict the least recently used values above the maximum.
        """
        self.drop(key)
        self._entries[key] = value
        if cost > 1:
            self._extra[key] = cost - 1
            self._extra_total += cost - 1
        while len(self._entries) + self._extra_total > self.entries_max:
            self.drop(next(iter(self._entries)))

    def drop(self, key: K) -> None:
        """Remove the value of a key; do nothing if the key is missing."""
        self._entries.pop(key, None)
        if self._extra:
            self._extra_total -= self._extra.pop(key, 0)
