"""The first octets of a cleartext connection: HTTP/1, or HTTP/2 by prior knowledge? (RFC 9113 section 3.3)

    opening = Opening()
    opening.feed(b"PRI * HT")     # Choice.OPEN: it may become either
    opening.feed(b"TP/2.0\\r\\n")   # Choice.OPEN
    opening.feed(b"\\r\\nSM\\r\\n\\r\\n")  # Choice.HTTP_2

No request of HTTP/1 begins with the preface (section 3.4), and what differs from it in any octet is left to HTTP/1.
"""

from enum import Enum, auto

from services.http.http2.frames import PREFACE


class Choice(Enum):
    """Which version a connection speaks."""

    OPEN = auto()
    HTTP_1 = auto()
    HTTP_2 = auto()


class Opening:
    """Gathers octets until they tell the version; `octets` are all that came."""

    def __init__(self) -> None:
        self.octets = b""

    def feed(self, data: bytes) -> Choice:
        """Take more octets."""
        self.octets += data
        if self.octets.startswith(PREFACE):
            return Choice.HTTP_2
        return Choice.OPEN if PREFACE.startswith(self.octets) else Choice.HTTP_1
