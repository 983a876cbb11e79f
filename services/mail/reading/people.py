"""Who stands in a field of addresses, as text (RFC 5322 section 3.4); whatever the octets are, the time is bounded."""

from dataclasses import dataclass

from services.mail.address import Mailbox
from services.mail.mime.addresses import MISSING_HOST, MISSING_MAILBOX, parse_addresses
from services.mail.mime.words import decode_words


@dataclass(frozen=True, slots=True)
class ReadPerson:
    """A name, which may be empty, and a mailbox as far as one stands there: its parts may be empty, too."""

    name: str
    mailbox: Mailbox

    @property
    def shown(self) -> str:
        """The name where there is one, the mailbox where not."""
        return self.name or str(self.mailbox)


def people_in(value: bytes) -> list[ReadPerson]:
    """Return the people of a field in their order; of a group its members."""
    found = []
    for one in parse_addresses(value):
        if one.host is None or one.mailbox is None:
            # The beginning or the end of a group.
            continue
        local_part = "" if one.mailbox == MISSING_MAILBOX else decode_words(one.mailbox)
        domain = "" if one.host == MISSING_HOST else decode_words(one.host)
        found.append(ReadPerson(decode_words(one.name or b"").strip(), Mailbox(local_part, domain)))
    return found
