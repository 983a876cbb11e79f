"""Cache of open mailboxes: one Maildir object per user, shared by all sessions, with an LRU of recently used ones."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from services.mail.accounts import Account
from services.mail.maildir.store import Maildir

# Mailboxes kept open after their last session; each costs a few hundred octets per message.
MAILBOXES_KEPT = 64


class OpenMailboxes:
    """Open mailboxes below the directory `root`."""

    def __init__(self, root: Path, wall_clock: Callable[[], float]) -> None:
        self._root = root
        self._wall_clock = wall_clock
        self._open: WeakValueDictionary[Account, Maildir] = WeakValueDictionary()
        self._kept: OrderedDict[Account, Maildir] = OrderedDict()

    def of(self, account: Account) -> Maildir:
        """Return a user's mailbox, created if missing; raise OSError."""
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
