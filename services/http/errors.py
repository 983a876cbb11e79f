"""Exceptions of HTTP: errors of the peer, with the status code of the response, and protocol errors of the caller."""


class HTTPError(Exception):
    """Error of the peer. `status` is the status code of the response, `detail` the reason, as one clause."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class TruncatedError(HTTPError):
    """Error for a connection that ended inside a message, which is therefore incomplete (RFC 9112 section 8)."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


class UpstreamError(Exception):
    """Error of an upstream server: 502 for a missing or invalid response, 504 for a timeout."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class LocalProtocolError(Exception):
    """Error of this side: a message to send violates the connection's state or the message's own framing."""
