"""Whom a message is for once lists and forwards are followed (RFC 5321 section 3.9).

A list here is an alias of section 3.9.1: the reverse_path stays as it is. Whoever is reached in two ways gets one
message.
"""

from collections.abc import Sequence

from services.mail.accounts import Accounts, Forward, MailingList
from services.mail.address import Mailbox
from services.mail.queue.entry import Recipient

# What lists of lists may come to.
EXPANDED_MAX = 10_000


def expand(recipients: Sequence[Mailbox], accounts: Accounts) -> list[Recipient]:
    """Return the final recipients; a name that leads back to itself leads nowhere else."""
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
