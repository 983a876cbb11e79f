"""Parser of mail address fields for display and for replies (RFC 5322 section 3.4), in bounded time for any input."""

from dataclasses import dataclass

from lab7.services.mail.address import Mailbox
from lab7.services.mail.mime.addresses import MISSING_HOST, MISSING_MAILBOX, parse_addresses
from lab7.services.mail.mime.words import decode_words


@dataclass(frozen=True, slots=True)
class UncheckedNameAddr:
    """A display name and a mailbox as received from a field: either may be empty, and the mailbox may be invalid."""

    name: str
    mailbox: Mailbox

    @property
    def display_text(self) -> str:
        """The display name, or the mailbox if the name is empty."""
        return self.name or str(self.mailbox)

    @property
    def mailbox_text(self) -> str:
        """The mailbox as text, to be validated; an empty local part gives `@domain`, not `""@domain`."""
        return str(self.mailbox) if self.mailbox.local_part else f"@{self.mailbox.domain}"


def parse_name_addrs(value: bytes) -> list[UncheckedNameAddr]:
    """Return the display names and mailboxes in an address field, in order, including the members of groups."""
    name_addrs = []
    for address in parse_addresses(value):
        if address.host is None or address.mailbox is None:
            # Skip the start or end of a group.
            continue
        local_part = "" if address.mailbox == MISSING_MAILBOX else decode_words(address.mailbox)
        domain = "" if address.host == MISSING_HOST else decode_words(address.host)
        name_addrs.append(UncheckedNameAddr(decode_words(address.name or b"").strip(), Mailbox(local_part, domain)))
    return name_addrs
