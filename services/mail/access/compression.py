"""Compression of an IMAP connection with DEFLATE, in both directions (COMPRESS=DEFLATE, RFC 4978).

Compressed data may expand a thousandfold. Each call of inflate() therefore returns a limited number of octets, and
leaves the rest of the input compressed until the next call.
"""

import zlib

# RFC 4978 section 4: raw DEFLATE (RFC 1951) with a window of 32 KiB.
_RAW = -15
# Memory level of the compressor: level 5 takes 150 KiB, zlib's default 260 KiB.
_MEMORY_LEVEL = 5


class CompressionError(Exception):
    """Error for received octets that are not DEFLATE data, or that follow the end of the DEFLATE data."""


class Compression:
    """Compressor of sent octets and decompressor of received octets, for one connection."""

    def __init__(self) -> None:
        # True if inflate() may return more octets without further input.
        self.has_more = False
        self._compressor = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, _RAW, _MEMORY_LEVEL)
        self._decompressor = zlib.decompressobj(_RAW)
        self._compressed = b""

    def deflate(self, octets: bytes) -> bytes:
        """Compress octets with a sync flush (Z_SYNC_FLUSH), so that the peer can decompress all of `octets`."""
        return self._compressor.compress(octets) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def inflate(self, received: bytes, limit_octets: int) -> bytes:
        """Decompress received octets, and return at most `limit_octets`; the next call continues with the rest.

        Raises CompressionError.
        """
        try:
            octets = self._decompressor.decompress(self._compressed + received, limit_octets)
        except zlib.error as error:
            raise CompressionError("not DEFLATE data") from error
        self._compressed = self._decompressor.unconsumed_tail
        if self._decompressor.eof:
            raise CompressionError("the DEFLATE data has ended")
        self.has_more = bool(self._compressed) or len(octets) == limit_octets
        return octets
