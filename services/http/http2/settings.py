"""SETTINGS of HTTP/2: codec, valid ranges, and the server's own values (RFC 9113 6.5 and 6.5.2, RFC 8441 section 3).

    >>> parse_settings(bytes.fromhex("000400000000"))
    [(<Setting.INITIAL_WINDOW_SIZE: 4>, 0)]

Left out: a HEADER_TABLE_SIZE above the default, which no encoder has to use.
"""

import struct
from collections.abc import Iterable
from enum import IntEnum

from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError

_ENTRY = struct.Struct(">HL")


class Setting(IntEnum):
    """Identifiers of settings (RFC 9113 section 6.5.2, RFC 8441 section 9.1)."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8


# Smallest and largest valid value of a setting, and the error code for a value outside.
_RANGES = {
    Setting.ENABLE_PUSH: (0, 1, ErrorCode.PROTOCOL_ERROR),
    Setting.INITIAL_WINDOW_SIZE: (0, limits.LARGEST_WINDOW, ErrorCode.FLOW_CONTROL_ERROR),
    Setting.MAX_FRAME_SIZE: (16_384, 2**24 - 1, ErrorCode.PROTOCOL_ERROR),
    Setting.ENABLE_CONNECT_PROTOCOL: (0, 1, ErrorCode.PROTOCOL_ERROR),
}
_KNOWN = frozenset(Setting)


class PeerSettings:
    """Settings that the client has announced, with the initial values of RFC 9113 section 6.5.2."""

    def __init__(self) -> None:
        self.header_table_size = limits.HEADER_TABLE_OCTETS
        self.enable_push = True
        self.max_concurrent_streams: int | None = None
        self.initial_window_size = limits.INITIAL_WINDOW
        self.max_frame_size = limits.FRAME_OCTETS
        # SETTINGS_ENABLE_CONNECT_PROTOCOL has no meaning if a client sends it (RFC 8441 section 3).
        self.enable_connect_protocol = 0

    def apply(self, entries: Iterable[tuple[Setting, int]]) -> None:
        """Apply SETTINGS values in the order of the frame (RFC 9113 section 6.5.3)."""
        for setting, value in entries:
            if setting is Setting.ENABLE_PUSH:
                self.enable_push = bool(value)
            else:
                setattr(self, setting.name.lower(), value)


def parse_settings(payload: bytes) -> list[tuple[Setting, int]]:
    """Parse a SETTINGS payload into its known entries, in order; raises Http2ConnectionError for an invalid value."""
    # RFC 9113 section 6.5: the payload is a sequence of entries of six octets.
    if len(payload) % _ENTRY.size:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "the length of SETTINGS is not a multiple of 6")
    entries: list[tuple[Setting, int]] = []
    for identifier, value in _ENTRY.iter_unpack(payload):
        # RFC 9113 section 6.5.2: unknown settings are ignored.
        if identifier not in _KNOWN:
            continue
        setting = Setting(identifier)
        smallest, largest, code = _RANGES.get(setting, (0, 2**32 - 1, ErrorCode.PROTOCOL_ERROR))
        if not smallest <= value <= largest:
            raise Http2ConnectionError(code, f"{setting.name} of {value}")
        entries.append((setting, value))
    return entries


def encode_settings(entries: Iterable[tuple[Setting, int]]) -> bytes:
    """Return the payload of a SETTINGS frame with these settings, six octets each (RFC 9113 section 6.5.1)."""
    return b"".join(_ENTRY.pack(setting, value) for setting, value in entries)


def announced(extended_connect: bool = False) -> bytes:
    """Return the payload of the server's SETTINGS frame; `extended_connect` announces WebSocket support (RFC 8441)."""
    entries = [
        (Setting.MAX_CONCURRENT_STREAMS, limits.CONCURRENT_STREAMS),
        (Setting.MAX_HEADER_LIST_SIZE, limits.HEADER_LIST_OCTETS),
    ]
    return encode_settings([*entries, *([(Setting.ENABLE_CONNECT_PROTOCOL, 1)] if extended_connect else [])])
