"""Exceptions of the DNS packages: for malformed messages, malformed text and invalid zones."""


class DNSError(Exception):
    """Base class of the exceptions of lab7.services.dns."""


class WireError(DNSError):
    """Error for a malformed DNS message.

    `message_id` is the id of the message, None if the message has fewer than two octets.
    """

    def __init__(self, detail: str, message_id: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.message_id = message_id


class NameTooLongError(DNSError):
    """Error for a name with a label over 63 octets, or over 255 octets in total (RFC 1035 section 2.3.4)."""


class TextError(DNSError):
    """Error for a name, number, type or rdata whose presentation format is invalid."""


class MasterFileError(DNSError):
    """Error in a master file; the message begins with `file:line:`."""

    def __init__(self, file: str, line: int, detail: str) -> None:
        super().__init__(f"{file}:{line}: {detail}")
        self.file = file
        self.line = line
        self.detail = detail


class ZoneError(DNSError):
    """Error for an invalid zone: contradictory records, or no SOA."""
