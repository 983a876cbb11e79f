"""What goes wrong in DNS: octets that are no message, text that is no record, a zone that cannot be served."""


class DNSError(Exception):
    """The root of this room's errors."""


class WireError(DNSError):
    """Octets are no DNS message; `message_id` is theirs where two octets came, so that FORMERR can be sent."""

    def __init__(self, detail: str, message_id: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.message_id = message_id


class NameTooLongError(DNSError):
    """A name has a label over 63 octets, or more than 255 octets in all (RFC 1035 section 2.3.4)."""


class TextError(DNSError):
    """A presentation form is wrong: a name, a number, a type, the data of a record."""


class MasterFileError(DNSError):
    """A master file is wrong; the text begins with `file:line:`."""

    def __init__(self, file: str, line: int, detail: str) -> None:
        super().__init__(f"{file}:{line}: {detail}")
        self.file = file
        self.line = line
        self.detail = detail


class ZoneError(DNSError):
    """The records of a zone contradict each other, or its SOA is missing."""
