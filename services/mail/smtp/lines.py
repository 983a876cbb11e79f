"""Command lines out of octets: bounded, whatever a client sends in place of them (RFC 5321 sections 2.3.7, 4.5.3.1).

Nothing but CRLF ends a line. A line that is too long for any command is thrown away as it comes, so that its end is
found and the next command is understood; one that does not end at all is a reason to end the connection.
"""

from services.mail.smtp import limits

CRLF = b"\r\n"


class EndlessLineError(Exception):
    """A line is longer than this side listens to."""


class CommandLines:
    """Octets that came and were not yet taken, as lines or as they are."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._searched = 0
        self._skipped = 0

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, data: bytes) -> None:
        """Append octets; the shell stops reading while nothing takes them."""
        self._octets += data

    def take_all(self) -> bytes:
        """Take everything as it is."""
        taken = bytes(self._octets)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._octets.clear()
        self._searched = self._skipped = 0

    def take_line(self) -> tuple[bytes, int] | None:
        """Take a line: what is kept of it, without CRLF, and how long it was with it; None while it has not come.

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
    """Return how long a command's line may be, CRLF counted."""
    if verb == b"MAIL":
        return limits.MAIL_LINE_OCTETS
    return limits.AUTH_LINE_OCTETS if verb == b"AUTH" else limits.COMMAND_LINE_OCTETS
