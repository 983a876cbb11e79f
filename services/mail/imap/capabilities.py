"""What this server can do (RFC 3501 section 7.2.1), before log-in and after it."""

from dataclasses import dataclass

from services.mail.imap.command import State

_ALWAYS = "IMAP4rev1 SASL-IR LITERAL+ ID IDLE"
_AFTER_LOG_IN = "CHILDREN ESEARCH MOVE MULTIAPPEND NAMESPACE UIDPLUS UNSELECT"
_MECHANISMS = "AUTH=PLAIN AUTH=LOGIN"


@dataclass(slots=True)
class Offer:
    """`tls` is there and not yet in use; `needs_tls` before a password may cross."""

    tls: bool = False
    needs_tls: bool = False

    @property
    def takes_passwords(self) -> bool:
        """Whether a client may log in now."""
        return not (self.tls and self.needs_tls)

    def capability(self, state: State) -> bytes:
        """Return the words of CAPABILITY."""
        words = ["CAPABILITY", _ALWAYS]
        if state is not State.NOT_AUTHENTICATED:
            words.append(_AFTER_LOG_IN)
        else:
            words += ["STARTTLS"] if self.tls else []
            words.append(_MECHANISMS if self.takes_passwords else "LOGINDISABLED")
        return " ".join(words).encode("ascii")
