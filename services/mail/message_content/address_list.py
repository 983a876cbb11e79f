"""Address fields decoded for display and for composing (RFC 5322 section 3.4); time is bounded for any input."""

from dataclasses import dataclass

from services.mail.address import Mailbox
from services.mail.mime.addresses import MISSING_HOST, MISSING_MAILBOX, parse_addresses
from services.mail.mime.words import decode_words


@dataclass(frozen=True, slots=True)
class UncheckedNameAddr:
    """A display name, possibly empty, and a mailbox that is not validated: its parts may be empty."""

    name: str
    mailbox: Mailbox

    @property
    def display_text(self) -> str:
        """The display name, or the mailbox if there is none."""
        return self.name or str(self.mailbox)

    @property
    def mailbox_text(self) -> str:
        """The mailbox to validate; without a local part it is not that of an empty quoted string."""
        return str(self.mailbox) if self.mailbox.local_part else f"@{self.mailbox.domain}"


def parse_name_addrs(value: bytes) -> list[UncheckedNameAddr]:
    """Parse the mailboxes of an address field in order, including the members of groups."""
    name_addrs = []
    for address in parse_addresses(value):
        if address.host is None or address.mailbox is None:
            # Group start or end.
            continue
        local_part = "" if address.mailbox == MISSING_MAILBOX else decode_words(address.mailbox)
        domain = "" if address.host == MISSING_HOST else decode_words(address.host)
        name_addrs.append(UncheckedNameAddr(decode_words(address.name or b"").strip(), Mailbox(local_part, domain)))
    return name_addrs
