"""CAPABILITY response, before and after authentication (RFC 3501 section 7.2.1)."""

from dataclasses import dataclass

_ALWAYS = "IMAP4rev1 SASL-IR LITERAL+ ID IDLE"
_AFTER_LOG_IN = "CHILDREN ESEARCH MOVE MULTIAPPEND NAMESPACE UIDPLUS UNSELECT"
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"


@dataclass(slots=True)
class Capabilities:
    """Capabilities that depend on configuration and on TLS.

    `tls` is true while STARTTLS can be offered: a certificate is configured and TLS is not active yet. With `needs_tls`
    LOGINDISABLED is sent until TLS is active (RFC 3501 section 6.2.3).
    """

    tls: bool = False
    needs_tls: bool = False

    @property
    def login_allowed(self) -> bool:
        """True if LOGIN and AUTHENTICATE are permitted now."""
        return not (self.tls and self.needs_tls)

    def encode(self, logged_in: bool) -> bytes:
        """Return the capability data, as it stands in the untagged response and in the response code."""
        words = ["CAPABILITY", _ALWAYS]
        if logged_in:
            words.append(_AFTER_LOG_IN)
        else:
            words += ["STARTTLS"] if self.tls else []
            words.append(_MECHANISMS if self.login_allowed else "LOGINDISABLED")
        return " ".join(words).encode("ascii")
