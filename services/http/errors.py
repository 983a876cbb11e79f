"""HTTP exceptions: errors of the peer with their status code, and violations by the local side."""


class HTTPError(Exception):
    """Error of the peer; `status`: status code of the response to the peer; `detail`: the reason as one clause."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class TruncatedError(HTTPError):
    """Error for a connection that ended inside a message, which is thus incomplete (RFC 9112 section 8)."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


class UpstreamError(Exception):
    """Error for an upstream server without a usable response: status 502 if invalid or missing, 504 for a timeout."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class LocalProtocolError(Exception):
    """Error for a message to send that the connection's state or the message's framing forbids."""
