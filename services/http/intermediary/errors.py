"""Errors of the connection to an origin, with the status for the client (RFC 9110 section 15.6)."""


class UpstreamError(Exception):
    """No usable response: status 502 for an invalid or missing one, 504 for a timeout."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class DiedEarlyError(UpstreamError):
    """A persistent connection closed before the first octet of this response (RFC 9112 section 9.3.1)."""

    def __init__(self) -> None:
        super().__init__(502, "the origin closed the connection before its response")
