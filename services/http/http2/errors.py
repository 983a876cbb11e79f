"""HTTP/2 error codes and the two scopes of an error, connection and stream (RFC 9113 sections 5.4 and 7)."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Error codes (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Http2ConnectionError(Exception):
    """A connection error: send GOAWAY with `code`, then close (RFC 9113 section 5.4.1)."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Http2StreamError(Exception):
    """A stream error: send RST_STREAM with `code`; the connection stays open (RFC 9113 section 5.4.2)."""

    def __init__(self, stream_id: int, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.stream_id = stream_id
        self.code = code
        self.detail = detail


class MalformedError(Exception):
    """Error for a malformed header or trailer section (RFC 9113 section 8.1.1)."""
