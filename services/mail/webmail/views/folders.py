"""The folders of a mailbox as webmail shows them, and what it does with messages in them.

On the disk and in addresses a folder has its IMAP name; people see it decoded (RFC 3501 section 5.1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.mail.maildir import utf7
from services.mail.maildir.errors import FolderNameError, MaildirError, NoFolderError
from services.mail.maildir.folder import Folder
from services.mail.maildir.folder_names import INBOX
from services.mail.maildir.store import Maildir
from services.mail.webmail.limits import FOLDERS_COUNTED_MAX, FOLDERS_SHOWN_MAX
from services.mail.webmail.requests import PageError

SENT = "Sent"
TRASH = "Trash"
SEEN, FLAGGED, ANSWERED = "\\Seen", "\\Flagged", "\\Answered"
_ALWAYS = (INBOX, SENT, TRASH)


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder in the list: its name in addresses, as people read it, and how many messages are unread, if counted."""

    name: str
    title: str
    unread: int | None


def title_of(name: str) -> str:
    """Return a folder's name as people read it."""
    try:
        return "Inbox" if name == INBOX else utf7.decode(name)
    except ValueError:
        return name


def listed(maildir: Maildir) -> list[Listed]:
    """Return the folders, those that are always there first."""
    names = maildir.names()
    others = [name for name in names if name not in _ALWAYS]
    found = []
    for place, name in enumerate([*_ALWAYS, *others][:FOLDERS_SHOWN_MAX]):
        found.append(Listed(name, title_of(name), _unread(maildir, name) if place < FOLDERS_COUNTED_MAX else None))
    return found


def _unread(maildir: Maildir, name: str) -> int | None:
    if not maildir.exists(name):
        return 0
    try:
        folder = maildir.folder(name)
        folder.refresh()
    except (MaildirError, OSError):
        return None
    return sum(SEEN not in message.flags for message in folder.messages.values())


def opened(maildir: Maildir, name: str) -> Folder:
    """Return a folder as it is now; raises PageError 404 where there is none."""
    try:
        if name in _ALWAYS and not maildir.exists(name):
            maildir.create(name)
        folder = maildir.folder(name)
        folder.refresh()
    except (FolderNameError, NoFolderError):
        raise PageError(404, "There is no such folder.") from None
    return folder


def created(maildir: Maildir, title: str) -> str:
    """Make a folder that people call so and return its name; raises PageError 400."""
    try:
        name = utf7.encode(title.strip())
        maildir.create(name)
    except UnicodeEncodeError:
        raise PageError(400, "The name has half a character in it.") from None
    except MaildirError as error:
        raise PageError(400, f"The folder cannot be made. {error}") from None
    return name


def move(maildir: Maildir, folder: Folder, uids: Sequence[int], target: str) -> None:
    """Move messages into another folder; raises PageError 404 and MaildirError, and then none has gone."""
    into = opened(maildir, target)
    if into is not folder:
        folder.expunge([uid for uid, _ in folder.copy_to(uids, into)])


def change_flag(folder: Folder, uid: int, flag: str, wanted: bool) -> None:
    """Set or take away a flag of a message; raises MaildirError where it is gone."""
    flags = folder.message(uid).flags
    folder.set_flags(uid, flags | {flag} if wanted else flags - {flag})
