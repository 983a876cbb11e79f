"""TYPE A in stream mode: a line ends in CRLF on the data connection and in LF in a file (RFC 959 section 3.1.1.1).

Each LF of a file is encoded as CRLF and each CRLF decoded to LF, whatever surrounds them; so any file, even a binary
one, survives a round trip.

    >>> to_network(b"a\\nb\\n")
    b'a\\r\\nb\\r\\n'
"""


def to_network(octets: bytes) -> bytes:
    """Encode octets of a file; pieces may be encoded one by one."""
    return octets.replace(b"\n", b"\r\n")


class FromNetwork:
    """Incremental decoder: a CR at the end of a piece is buffered until the next one."""

    def __init__(self) -> None:
        self._held = b""

    def convert(self, octets: bytes) -> bytes:
        """Decode octets of the data connection; return octets for the file."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        return octets.removesuffix(self._held).replace(b"\r\n", b"\n")

    def rest(self) -> bytes:
        """Return the buffered octet at the end of the data connection."""
        held, self._held = self._held, b""
        return held
