"""What can go wrong on the way to an origin, as the status that the client gets for it (RFC 9110 section 15.6)."""


class UpstreamError(Exception):
    """No usable response came: 502 for one that is broken or none at all, 504 for one that did not come in time."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class DiedEarlyError(UpstreamError):
    """A connection that had served before ended without an octet of this response (RFC 9112 section 9.3.1)."""

    def __init__(self) -> None:
        super().__init__(502, "the origin closed the connection instead of answering")
