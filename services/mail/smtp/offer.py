"""What an SMTP server offers on a port."""

from dataclasses import dataclass

from services.mail.smtp import limits


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers on a port."""

    hostname: str
    size_octets: int = limits.MESSAGE_OCTETS
    starttls: bool = False
    auth: bool = False
    # RFC 4954 section 4: no password in the clear where TLS can be had.
    auth_in_clear: bool = False
    auth_required: bool = False
