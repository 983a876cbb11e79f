"""CAPABILITY response, before and after authentication (RFC 3501 section 7.2.1)."""

from dataclasses import dataclass

from services.mail.imap.command import State

_ALWAYS = "IMAP4rev1 SASL-IR LITERAL+ ID IDLE"
_AFTER_LOG_IN = "CHILDREN ESEARCH MOVE MULTIAPPEND NAMESPACE UIDPLUS UNSELECT"
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"


@dataclass(slots=True)
class Offer:
    """Capabilities that depend on configuration and on TLS.

    `tls` is true while STARTTLS can be offered: a certificate is configured and TLS is not active yet. With `needs_tls`
    LOGINDISABLED is sent until TLS is active (RFC 3501 section 6.2.3).
    """

    tls: bool = False
    needs_tls: bool = False

    @property
    def takes_passwords(self) -> bool:
        """True if LOGIN and AUTHENTICATE are permitted now."""
        return not (self.tls and self.needs_tls)

    def capability(self, state: State) -> bytes:
        """Return the capability data in `state`, as it stands in the untagged response and in the response code."""
        words = ["CAPABILITY", _ALWAYS]
        if state is not State.NOT_AUTHENTICATED:
            words.append(_AFTER_LOG_IN)
        else:
            words += ["STARTTLS"] if self.tls else []
            words.append(_MECHANISMS if self.takes_passwords else "LOGINDISABLED")
        return " ".join(words).encode("ascii")
