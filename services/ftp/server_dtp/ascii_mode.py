r"""Encoder and decoder of TYPE A: lines end in CRLF on the data connection, in LF in a file (RFC 959 section 3.1.1.1).

Each LF of a file is encoded as CRLF and each CRLF decoded to LF, whatever surrounds them; so any file, even a binary
one, survives a round trip.

    >>> encode_ascii(b"a\nb\n")
    b'a\r\nb\r\n'
"""


def encode_ascii(octets: bytes) -> bytes:
    """Return octets of a file as TYPE A sends them: each LF becomes CRLF. A file may be encoded in pieces."""
    return octets.replace(b"\n", b"\r\n")


class AsciiDecoder:
    """Incremental decoder of TYPE A: each CRLF becomes LF.

    A CR at the end of a piece is buffered until the next piece.
    """

    def __init__(self) -> None:
        self._pending = b""

    def decode(self, octets: bytes) -> bytes:
        """Decode octets of the data connection; return octets for the file."""
        octets = self._pending + octets
        self._pending = b"\r" if octets.endswith(b"\r") else b""
        return octets.removesuffix(self._pending).replace(b"\r\n", b"\n")

    def finish(self) -> bytes:
        """Return the buffered CR, if any, at the end of the data connection."""
        pending, self._pending = self._pending, b""
        return pending
