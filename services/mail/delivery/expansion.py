"""Alias expansion: follow lists and forwards to the final recipients (RFC 5321 section 3.9).

A list here is an alias of section 3.9.1: the reverse-path is unchanged. A mailbox reached on two ways gets one copy.
"""

from collections.abc import Sequence

from services.mail.accounts import Accounts, Forward, MailingList
from services.mail.address import Mailbox
from services.mail.queue.entry import Recipient

# Limit on expanded recipients.
EXPANDED_MAX = 10_000


def expand(recipients: Sequence[Mailbox], accounts: Accounts) -> list[Recipient]:
    """Return the final recipients, without duplicates; an alias loop ends at its first repetition."""
    final: dict[tuple[str, str], Recipient] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(mailbox, mailbox) for mailbox in reversed(recipients)]
    while waiting and len(final) < EXPANDED_MAX:
        mailbox, original = waiting.pop()
        if not mailbox.domain:
            mailbox = Mailbox(mailbox.local_part, accounts.domains[0])
        if mailbox.key in seen:
            continue
        seen.add(mailbox.key)
        found = accounts.find(mailbox.local_part, mailbox.domain) if accounts.is_local(mailbox.domain) else None
        if isinstance(found, MailingList):
            waiting += [(member, original) for member in reversed(found.members)]
        elif isinstance(found, Forward) and not found.moved:
            waiting.append((found.target, original))
        else:
            final[mailbox.key] = Recipient(mailbox, original if original.key != mailbox.key else None)
    return list(final.values())
