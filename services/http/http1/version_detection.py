"""Version detection on a cleartext connection: HTTP/1, or HTTP/2 by prior knowledge (RFC 9113 section 3.3).

    detector = VersionDetector()
    detector.feed(b"PRI * HT")     # Detected.UNDECIDED
    detector.feed(b"TP/2.0\\r\\n")   # Detected.UNDECIDED
    detector.feed(b"\\r\\nSM\\r\\n\\r\\n")  # Detected.HTTP_2

No HTTP/1 request starts with the connection preface of HTTP/2 (section 3.4); any other octets are HTTP/1.
"""

from enum import Enum, auto

from services.http.http2.frames import PREFACE


class Detected(Enum):
    """Results of version detection."""

    UNDECIDED = auto()
    HTTP_1 = auto()
    HTTP_2 = auto()


class VersionDetector:
    """Buffers octets until they determine the version; `octets` are all octets received."""

    def __init__(self) -> None:
        self.octets = b""

    def feed(self, data: bytes) -> Detected:
        """Add octets and return the result so far."""
        self.octets += data
        if self.octets.startswith(PREFACE):
            return Detected.HTTP_2
        return Detected.UNDECIDED if PREFACE.startswith(self.octets) else Detected.HTTP_1
