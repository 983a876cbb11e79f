"""A bounded buffer of octets from which a parser takes lines, blocks and counted octets.

Every parser of this room reads through it, so that no peer makes a service hold more than it said it would.
A search that did not find its delimiter is resumed where it stopped, so feeding octet by octet stays linear.
"""

from services.errors import LimitExceededError

CRLF = b"\r\n"

# Taken octets are dropped from the front only when this many have gathered: one move instead of many.
COMPACT_OCTETS = 65_536


class OctetBuffer:
    """Octets that came and were not yet taken, never more than `limit_octets` of them."""

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self._octets = bytearray()
        self._start = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def feed(self, data: bytes) -> None:
        """Append `data`; raises LimitExceededError, and keeps what it had, when that would pass the limit."""
        if len(self) + len(data) > self.limit_octets:
            raise LimitExceededError(f"more than {self.limit_octets} octets wait unread")
        self._octets += data

    def take_through(self, delimiter: bytes, limit_octets: int) -> bytes | None:
        """Take all octets up to and with `delimiter`, or None while it has not come.

        Raises LimitExceededError once `limit_octets` are there, delimiter counted, and it is not among them.
        """
        begin = max(self._start, self._searched - len(delimiter) + 1)
        found = self._octets.find(delimiter, begin, self._start + limit_octets)
        if found < 0:
            if len(self) >= limit_octets:
                raise LimitExceededError(f"no end within {limit_octets} octets")
            self._searched = len(self._octets)
            return None
        return self.take(found + len(delimiter) - self._start)

    def take_line(self, limit_octets: int) -> bytes | None:
        """Take one line that ends in CRLF and return it without; None and errors as in take_through."""
        line = self.take_through(CRLF, limit_octets)
        return None if line is None else line[:-2]

    def take(self, count: int) -> bytes:
        """Take at most `count` octets from the front."""
        end = min(self._start + count, len(self._octets))
        taken = bytes(memoryview(self._octets)[self._start : end])
        self._start = self._searched = end
        if end == len(self._octets):
            self._octets.clear()
            self._start = self._searched = 0
        elif end > COMPACT_OCTETS:
            del self._octets[:end]
            self._start = self._searched = 0
        return taken

    def peek(self, count: int, skip: int = 0) -> bytes:
        """Return at most `count` octets from the front, after `skip` others, and leave them there."""
        begin = self._start + skip
        return bytes(memoryview(self._octets)[begin : begin + count])
