"""What goes wrong in HTTP: a peer's mistake, which has a status code, and a mistake of this program's own."""


class HTTPError(Exception):
    """A peer broke the protocol; `status` is the response that it earns, `detail` says why in one clause."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class TruncatedError(HTTPError):
    """The connection ended inside a message (RFC 9112 section 8)."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


class LocalProtocolError(Exception):
    """This side tried to send what the state of the connection, or the framing of the message, forbids."""
