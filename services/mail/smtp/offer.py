"""Service extensions that an SMTP server announces on a port."""

from dataclasses import dataclass

from services.mail.smtp import limits


@dataclass(frozen=True, slots=True)
class Offer:
    """The hostname, size limit and extensions announced on a port."""

    hostname: str
    size_octets: int = limits.MESSAGE_OCTETS
    starttls: bool = False
    auth: bool = False
    # RFC 4954 section 4: no plain-text passwords outside TLS if TLS is available.
    auth_in_clear: bool = False
    auth_required: bool = False
