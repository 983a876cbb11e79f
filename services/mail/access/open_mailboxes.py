"""The mailboxes that are open: one object for each, however many sessions look at it, and some kept for the next."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from services.mail.accounts import Account
from services.mail.maildir.store import Maildir

# Mailboxes that stay in memory after their last client; each takes some hundred octets a message.
MAILBOXES_KEPT = 64


class OpenMailboxes:
    """The mailboxes below the directory `root`."""

    def __init__(self, root: Path, wall_clock: Callable[[], float]) -> None:
        self._root = root
        self._wall_clock = wall_clock
        self._open: WeakValueDictionary[Account, Maildir] = WeakValueDictionary()
        self._kept: OrderedDict[Account, Maildir] = OrderedDict()

    def of(self, account: Account) -> Maildir:
        """Return a user's mailbox, which is made if it is not there; raises OSError."""
        maildir = self._open.get(account)
        if maildir is None:
            maildir = Maildir(account.directory(self._root), account.quota_octets or 0, self._wall_clock)
            maildir.clean()
            self._open[account] = maildir
        self._kept[account] = maildir
        self._kept.move_to_end(account)
        if len(self._kept) > MAILBOXES_KEPT:
            self._kept.popitem(last=False)
        return maildir
