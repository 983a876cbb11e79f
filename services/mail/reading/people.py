"""Address fields decoded for display and for composing (RFC 5322 section 3.4); time is bounded for any input."""

from dataclasses import dataclass

from services.mail.address import Mailbox
from services.mail.mime.addresses import MISSING_HOST, MISSING_MAILBOX, parse_addresses
from services.mail.mime.words import decode_words


@dataclass(frozen=True, slots=True)
class ReadPerson:
    """A display name, possibly empty, and a mailbox that is not validated: its parts may be empty."""

    name: str
    mailbox: Mailbox

    @property
    def shown(self) -> str:
        """The display name, or the mailbox if there is none."""
        return self.name or str(self.mailbox)


def people_in(value: bytes) -> list[ReadPerson]:
    """Parse the mailboxes of an address field in order, including the members of groups."""
    found = []
    for one in parse_addresses(value):
        if one.host is None or one.mailbox is None:
            # Group start or end.
            continue
        local_part = "" if one.mailbox == MISSING_MAILBOX else decode_words(one.mailbox)
        domain = "" if one.host == MISSING_HOST else decode_words(one.host)
        found.append(ReadPerson(decode_words(one.name or b"").strip(), Mailbox(local_part, domain)))
    return found
