"""Folder list of webmail, and operations on folders and their messages.

On disk and in URLs a folder has its IMAP name; pages show it decoded from modified UTF-7 (RFC 3501 section 5.1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.mail.maildir import folder_names
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
class FolderEntry:
    """An entry of the folder list: IMAP name, title, number of unread messages (None: not counted)."""

    name: str
    title: str
    unread: int | None


def title_of(name: str) -> str:
    """Return a folder's title for display, decoded from the IMAP name."""
    try:
        return "Inbox" if name == INBOX else folder_names.decode(name)
    except ValueError:
        return name


def folder_entries(maildir: Maildir) -> list[FolderEntry]:
    """Return the folder list with numbers of unread messages: INBOX, Sent and Trash, then the other folders."""
    names = maildir.names()
    others = [name for name in names if name not in _ALWAYS]
    entries = []
    for index, name in enumerate([*_ALWAYS, *others][:FOLDERS_SHOWN_MAX]):
        unread = _unread(maildir, name) if index < FOLDERS_COUNTED_MAX else None
        entries.append(FolderEntry(name, title_of(name), unread))
    return entries


def _unread(maildir: Maildir, name: str) -> int | None:
    if not maildir.exists(name):
        return 0
    try:
        folder = maildir.folder(name)
        folder.refresh()
    except (MaildirError, OSError):
        return None
    return sum(SEEN not in message.flags for message in folder.messages.values())


def open_folder(maildir: Maildir, name: str) -> Folder:
    """Return a folder after a rescan; a missing default folder is created; raise PageError 404 for others."""
    try:
        if name in _ALWAYS and not maildir.exists(name):
            maildir.create(name)
        folder = maildir.folder(name)
        folder.refresh()
    except (FolderNameError, NoFolderError):
        raise PageError(404, "Folder not found.") from None
    return folder


def create_folder(maildir: Maildir, title: str) -> str:
    """Create a folder with this title; return its IMAP name; raise PageError 400 for an invalid title."""
    try:
        name = folder_names.encode(title.strip())
        maildir.create(name)
    except UnicodeEncodeError:
        raise PageError(400, "The folder name contains a lone surrogate.") from None
    except MaildirError as error:
        raise PageError(400, f"The folder cannot be created. {error}") from None
    return name


def move_messages(maildir: Maildir, folder: Folder, uids: Sequence[int], target: str) -> None:
    """Move messages to another folder, all or none; raise PageError 404 and MaildirError."""
    into = open_folder(maildir, target)
    if into is not folder:
        folder.expunge([uid for uid, _ in folder.copy_to(uids, into)])


def change_flag(folder: Folder, uid: int, flag: str, is_set: bool) -> None:
    """Set or clear a flag of a message; raise MaildirError if the message was removed."""
    flags = folder.message(uid).flags
    folder.set_flags(uid, flags | {flag} if is_set else flags - {flag})
