"""Maildir++ mailbox of one user: delivery to INBOX, and folders and subscriptions under IMAP names (RFC 3501).

    maildir = Maildir(Path("maildirs/example.com/alice"))
    name = maildir.deliver(content)               on disk, and in INBOX, on return
    names = maildir.deliver_many([first, second])   many messages, one directory sync
    maildir.create("Work/2026")
    maildir.folder("Work/2026").refresh()

Folder names are IMAP mailbox names: modified UTF-7, with "/" as separator, INBOX in any case.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lab7.services.mail.maildir.delivery import (
    FLAGS,
    NewMessage,
    Quota,
    deliver_files,
    locked,
    read_file,
    replace_file,
    split_name,
    stored_size,
    sync_directory,
)
from lab7.services.mail.maildir.errors import FolderExistsError, FolderNameError, MaildirError, NoFolderError
from lab7.services.mail.maildir.errors import QuotaExceededError as QuotaExceededError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import INBOX, SEPARATOR, checked, checked_new, directory_of, name_of
from lab7.services.mail.maildir.limits import ABANDONED_S, FOLDERS_MAX, SUBSCRIPTIONS_MAX
from lab7.services.mail.maildir.uid_index import LOCK, UidIndex, UidValidities

# Subscribed names need not name existing folders (RFC 3501 section 6.3.6).

SUBSCRIPTIONS_FILE = "subscriptions"


class Subscriptions:
    """The file `subscriptions` in a user's directory: one folder name per line, as in Dovecot."""

    def __init__(self, root: str) -> None:
        self._path = f"{root}/{SUBSCRIPTIONS_FILE}"

    def names(self) -> list[str]:
        """Return the subscribed names, in the order of subscription."""
        octets = read_file(self._path) or b""
        return [line for line in octets.decode("ascii", "replace").split("\n") if line]

    def add(self, name: str) -> None:
        """Subscribe to a folder name; raises MaildirError above SUBSCRIPTIONS_MAX."""
        with locked(f"{self._path}.lock"):
            names = self.names()
            if name in names:
                return
            if len(names) >= SUBSCRIPTIONS_MAX:
                raise MaildirError(f"There are {SUBSCRIPTIONS_MAX} subscriptions already.")
            self._write([*names, name])

    def remove(self, name: str) -> bool:
        """Unsubscribe from a folder name; returns False if it was not subscribed."""
        with locked(f"{self._path}.lock"):
            names = self.names()
            if name not in names:
                return False
            self._write([other for other in names if other != name])
            return True

    def _write(self, names: list[str]) -> None:
        replace_file(self._path, "".join(f"{name}\n" for name in names).encode("ascii"))


_MARK = "maildirfolder"
_GONE = ".lab7-gone"


class Maildir:
    """A user's Maildir++ mailbox in the directory `path`, which is created if missing.

    `quota_octets` 0 means no quota. If `wall_clock` is given, a folder is rescanned only if it may have changed. Raises
    OSError if the directory cannot be used.
    """

    def __init__(self, path: Path, quota_octets: int = 0, wall_clock: Callable[[], float] | None = None) -> None:
        self._root = str(path)
        self._wall_clock = wall_clock
        self._folders: dict[str, Folder] = {}
        _make(self._root)
        self.quota = Quota(self._root, quota_octets, self._paths)
        self.subscriptions = Subscriptions(self._root)
        self._uid_validities = UidValidities(self._root)

    def deliver(self, content: bytes, flags: Sequence[str] = ()) -> str:
        """Deliver a message to INBOX, with flags such as `\\Seen`; returns the unique part of the file name.

        The message is on disk on return. Raises QuotaExceededError, MessageTooLargeError and OSError.
        """
        return self._deliver([NewMessage(content, "".join(FLAGS[flag] for flag in flags))])[0]

    def deliver_many(self, contents: Sequence[bytes]) -> list[str]:
        """Deliver messages to INBOX, all or none; returns their unique names in order; raises as deliver()."""
        return self._deliver([NewMessage(content) for content in contents])

    def _deliver(self, messages: Sequence[NewMessage]) -> list[str]:
        if not self.quota.allows(sum(len(message.content) for message in messages), len(messages)):
            raise QuotaExceededError("Quota exceeded.")
        names = deliver_files(self._root, messages)
        bases = [split_name(name[4:])[0] for name in names]
        self.quota.add(sum(stored_size(base) or 0 for base in bases), len(bases))
        return bases

    def folder(self, name: str) -> Folder:
        """Return the folder with an IMAP name; raises FolderNameError and NoFolderError."""
        name = checked(name)
        path = self._path(name)
        if not os.path.isdir(f"{path}/cur"):
            self._folders.pop(name, None)
            raise NoFolderError("There is no such mailbox.")
        folder = self._folders.get(name)
        if folder is None:
            folder = Folder(path, self.quota, self._uid_validities.new, self._wall_clock)
            self._folders[name] = folder
        return folder

    def path_of(self, name: str) -> str:
        """Return the path of the directory for a folder name; raises FolderNameError."""
        return self._path(checked(name))

    def exists(self, name: str) -> bool:
        """Return True if a folder has this name."""
        try:
            return os.path.isdir(self._path(checked(name)) + "/cur")
        except FolderNameError:
            return False

    def ensure(self, name: str) -> str:
        """Return the path of a folder's directory; if it is missing, create the folder and subscribe to it.

        Raises as create() does.
        """
        if not self.exists(name):
            self.create(name)
            self.subscriptions.add(name)
        return self._path(checked(name))

    def names(self) -> list[str]:
        """Return the names of all folders: INBOX first, then sorted."""
        names = (name_of(entry.name) for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False))
        return [INBOX, *sorted(name for name in names if name is not None and name != INBOX)]

    def create(self, name: str) -> None:
        """Create a folder; raises FolderNameError, FolderExistsError, and MaildirError above FOLDERS_MAX."""
        name = checked_new(name)
        if self.exists(name):
            raise FolderExistsError("The mailbox already exists.")
        if len(self.names()) >= FOLDERS_MAX:
            raise MaildirError(f"There are {FOLDERS_MAX} mailboxes already.")
        path = self._path(name)
        _make(path)
        with open(f"{path}/{_MARK}", "wb"):
            pass
        sync_directory(self._root)

    def remove(self, name: str) -> None:
        """Remove a folder and its messages, but not its subfolders; raises NoFolderError and FolderNameError."""
        name = checked(name)
        if name == INBOX:
            raise FolderNameError("INBOX cannot be removed.")
        folder = self.folder(name)
        self._uid_validities.retire(name, UidIndex(folder.path).stored_uidvalidity())
        # Rename the directory first, which is atomic; if rmtree is interrupted, the next removal completes it.
        gone = f"{self._root}/{_GONE}"
        os.makedirs(gone, mode=0o700, exist_ok=True)
        os.rename(folder.path, f"{gone}/{os.urandom(8).hex()}")
        self._folders.pop(name, None)
        shutil.rmtree(gone, ignore_errors=True)
        if self.quota.quota_octets:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._root}/maildirsize")

    def rename(self, name: str, new_name: str) -> None:
        """Rename a folder and its subfolders; for INBOX, move its messages (RFC 3501 section 6.3.5).

        Raises NoFolderError, FolderExistsError and FolderNameError.
        """
        name, new_name = checked(name), checked_new(new_name)
        if self.exists(new_name):
            raise FolderExistsError("The new mailbox already exists.")
        if name == INBOX:
            self._move_inbox(new_name)
            return
        below = [other for other in self.names() if other.startswith(name + SEPARATOR)]
        if not self.exists(name) and not below:
            raise NoFolderError("There is no such mailbox.")
        if new_name.startswith(name + SEPARATOR):
            raise FolderNameError("A mailbox cannot be moved below itself.")
        moves = [(old, checked(new_name + old[len(name) :])) for old in [name, *below] if self.exists(old)]
        for _, new in moves:
            if self.exists(new):
                raise FolderExistsError(f"The mailbox {new} already exists.")
        for old, new in moves:
            self._change_uidvalidity(old, new)
            os.rename(self._path(old), self._path(new))
            folder = self._folders.pop(old, None)
            if folder is not None:
                folder.set_path(self._path(new))
                self._folders[new] = folder
        sync_directory(self._root)

    def _change_uidvalidity(self, name: str, new_name: str) -> None:
        """Prepare the rename of a folder: record its UIDVALIDITY as that of the old name, and raise it if necessary.

        A new, larger UIDVALIDITY is necessary if an earlier folder with the new name had a larger one.
        """
        index = UidIndex(self._path(name))
        uidvalidity = index.stored_uidvalidity()
        self._uid_validities.retire(name, uidvalidity)
        if 0 < uidvalidity < self._uid_validities.former(new_name):
            with locked(f"{self._path(name)}/{LOCK}"):
                if index.read():
                    index.renew(self._uid_validities.new())

    def _move_inbox(self, new_name: str) -> None:
        inbox = self.folder(INBOX)
        inbox.refresh()
        self.create(new_name)
        try:
            moved = inbox.copy_to(inbox.uids, self.folder(new_name), is_move=True)
        except (MaildirError, OSError):
            self.remove(new_name)
            raise
        inbox.expunge([uid for uid, _ in moved])

    def clean(self) -> None:
        """Remove files older than 36 hours from tmp/ of all folders, left by writers that were killed."""
        if self._wall_clock is None:
            return
        oldest = self._wall_clock() - ABANDONED_S
        for path in self._paths():
            for entry in os.scandir(f"{path}/tmp"):
                with contextlib.suppress(OSError):
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(entry.path)

    def _path(self, name: str) -> str:
        directory = directory_of(name)
        return f"{self._root}/{directory}" if directory else self._root

    def _paths(self) -> list[str]:
        return [self._path(name) for name in self.names() if self.exists(name)]


def _make(path: str) -> None:
    for place in ("tmp", "new", "cur"):
        os.makedirs(f"{path}/{place}", mode=0o700, exist_ok=True)
