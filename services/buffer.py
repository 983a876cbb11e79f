r"""A bounded buffer of octets, from which parsers take lines, blocks and counted octets.

    buffer = OctetBuffer(65_536)
    buffer.feed(b"EHLO client")
    buffer.take_line(512)           # None: CRLF has not arrived
    buffer.feed(b"\r\nMAIL")
    buffer.take_line(512)           # b"EHLO client"

Every parser of the services reads from such a buffer, so that no peer can make a service store more than the buffer's
limit. A search for a delimiter resumes at the end of the previous search, so that the cost stays linear if a peer sends
octet by octet.
"""

from lab7.services.errors import LimitExceededError

CRLF = b"\r\n"

# Number of taken octets above which the buffer deletes them from the front: one memmove for many calls of take().
COMPACT_OCTETS = 65_536


class OctetBuffer:
    """Buffer of at most `limit_octets` received octets, from which parsers take lines and blocks."""

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self._octets = bytearray()
        self._start = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def feed(self, data: bytes) -> None:
        """Append `data`; if the limit would be exceeded, append nothing and raise LimitExceededError."""
        if len(self) + len(data) > self.limit_octets:
            raise LimitExceededError(f"more than {self.limit_octets} octets are buffered")
        self._octets += data

    def take_through(self, delimiter: bytes, limit_octets: int) -> bytes | None:
        """Take all octets up to and including `delimiter`; None while the delimiter has not arrived.

        Raises LimitExceededError if the first `limit_octets` octets do not contain the delimiter.
        """
        begin = max(self._start, self._searched - len(delimiter) + 1)
        position = self._octets.find(delimiter, begin, self._start + limit_octets)
        if position < 0:
            if len(self) >= limit_octets:
                raise LimitExceededError(f"no line ending within {limit_octets} octets")
            self._searched = len(self._octets)
            return None
        return self.take(position + len(delimiter) - self._start)

    def take_line(self, limit_octets: int) -> bytes | None:
        """Take a line and return it without CRLF; None while CRLF has not arrived.

        Raises LimitExceededError if a line is longer than `limit_octets`, CRLF included.
        """
        line = self.take_through(CRLF, limit_octets)
        return None if line is None else line[:-2]

    @property
    def has_lf(self) -> bool:
        """True if the buffer contains LF.

        After take_line() has returned None, this is a bare LF, without CR before it.
        """
        return self._octets.find(b"\n", self._start) >= 0

    def take(self, count: int) -> bytes:
        """Remove and return at most `count` octets from the front of the buffer."""
        end = min(self._start + count, len(self._octets))
        octets = bytes(memoryview(self._octets)[self._start : end])
        self._start = self._searched = end
        if end == len(self._octets):
            self._octets.clear()
            self._start = self._searched = 0
        elif end > COMPACT_OCTETS:
            del self._octets[:end]
            self._start = self._searched = 0
        return octets

    def peek(self, count: int, skip: int = 0) -> bytes:
        """Return at most `count` octets after the first `skip` octets, without taking them from the buffer."""
        begin = self._start + skip
        return bytes(memoryview(self._octets)[begin : begin + count])
