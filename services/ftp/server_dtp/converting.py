"""TYPE A in stream mode: a line ends in CRLF on the data connection and in LF in a file (RFC 959 section 3.1.1.1).

Each LF of a file is sent as CRLF and each CRLF becomes LF, whatever stands around them; so any file, even one that is
no text, comes back as it was.

    >>> to_network(b"a\\nb\\n")
    b'a\\r\\nb\\r\\n'
"""


def to_network(octets: bytes) -> bytes:
    """Return a file's octets as TYPE A sends them; pieces may be converted one by one."""
    return octets.replace(b"\n", b"\r\n")


class FromNetwork:
    """Converts what comes, piece by piece: a CR at the end of one waits for the next."""

    def __init__(self) -> None:
        self._held = b""

    def convert(self, octets: bytes) -> bytes:
        """Return what the file gets of these octets."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        return octets.removesuffix(self._held).replace(b"\r\n", b"\n")

    def rest(self) -> bytes:
        """Return what is left when nothing follows."""
        held, self._held = self._held, b""
        return held
