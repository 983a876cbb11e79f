"""Framing of command lines: split received octets at CRLF, with limits (RFC 5321 sections 2.3.7, 4.5.3.1).

Only CRLF ends a line. The octets of a line that is too long for any command are discarded as they are received, so that
its end is found and the next command parsed; an endless line ends the connection.
"""

from services.mail.smtp import limits

CRLF = b"\r\n"


class EndlessLineError(Exception):
    """A line exceeds ENDLESS_LINE_OCTETS."""


class CommandLines:
    """Buffer of received octets, consumed as lines or as they are."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._searched = 0
        self._skipped = 0

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, data: bytes) -> None:
        """Append octets; the connection stops reading while they are not consumed."""
        self._octets += data

    def pop_all(self) -> bytes:
        """Remove and return all octets."""
        octets_read = bytes(self._octets)
        self.clear()
        return octets_read

    def clear(self) -> None:
        """Discard all octets."""
        self._octets.clear()
        self._searched = self._skipped = 0

    def pop_line(self) -> tuple[bytes, int] | None:
        """Return a line as (retained octets without CRLF, length with CRLF), or None if it is incomplete.

        Raises EndlessLineError.
        """
        end = self._octets.find(CRLF, self._searched)
        if end >= 0 and self._skipped + end <= limits.ENDLESS_LINE_OCTETS:
            line = bytes(self._octets[:end])
            octets = self._skipped + end + len(CRLF)
            del self._octets[: end + len(CRLF)]
            self._searched = self._skipped = 0
            return line, octets
        if self._skipped + len(self._octets) > limits.ENDLESS_LINE_OCTETS + 1:
            raise EndlessLineError
        # The last octet may be the CR of the end.
        self._searched = max(0, len(self._octets) - 1)
        if len(self._octets) > limits.AUTH_LINE_OCTETS:
            self._skipped += self._searched
            del self._octets[: self._searched]
            self._searched = 0
        return None


def line_limit(verb: bytes) -> int:
    """Return the maximum length of a command's line, CRLF counted."""
    if verb == b"MAIL":
        return limits.MAIL_LINE_OCTETS
    return limits.AUTH_LINE_OCTETS if verb == b"AUTH" else limits.COMMAND_LINE_OCTETS
