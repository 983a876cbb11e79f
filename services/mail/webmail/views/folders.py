"""Folder list of webmail, and operations on folders and their messages.

On disk and in URLs a folder has its IMAP name; pages show the name decoded from modified UTF-7 (RFC 3501 section
5.1.3).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lab7.services.mail.maildir import folder_names
from lab7.services.mail.maildir.errors import FolderNameError, MaildirError, NoFolderError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.maildir.steps import with_pauses
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.webmail.limits import FOLDERS_COUNTED_MAX, FOLDERS_SHOWN_MAX
from lab7.services.mail.webmail.requests import IoRequest, PageError, YieldControl

_Result = TypeVar("_Result")

# IMAP announces these folders by their special use (RFC 6154 section 2).
DRAFTS = "Drafts"
SENT = "Sent"
TRASH = "Trash"
SEEN, FLAGGED, ANSWERED, DRAFT = "\\Seen", "\\Flagged", "\\Answered", "\\Draft"
_ALWAYS = (INBOX, DRAFTS, SENT, TRASH)
# Folders of the user's own messages, listed by recipient.
OUTGOING = (DRAFTS, SENT)


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
    """Return the folder list with numbers of unread messages.

    The default folders (INBOX, Drafts, Sent, Trash) come first, then the others.
    """
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
    """Return a folder after a rescan; create a missing INBOX, Drafts, Sent or Trash.

    Raises PageError 404 if any other folder is missing.
    """
    try:
        if name in _ALWAYS:
            # Subscribed, so that mail programs which list subscribed folders only show it too.
            maildir.ensure(name)
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
        maildir.subscriptions.add(name)
    except UnicodeEncodeError:
        raise PageError(400, "The folder name contains a lone surrogate.") from None
    except MaildirError as error:
        raise PageError(400, f"The folder cannot be created. {error}") from None
    return name


def move_steps(maildir: Maildir, folder: Folder, uids: Sequence[int], target: str) -> Generator[IoRequest, None, None]:
    """Move messages to another folder, all or none; raise PageError 404 and MaildirError.

    A generator that yields I/O requests, so that other requests can run meanwhile.
    """
    into = open_folder(maildir, target)
    if into is not folder:
        copied = yield from paced(folder.copy_steps(uids, into, skips_removed=True, is_move=True))
        yield from paced(folder.expunge_steps([uid for uid, _ in copied]))


def paced(steps: Generator[None, None, _Result]) -> Generator[IoRequest, None, _Result]:
    """Return a generator that runs `steps`, lets other HTTP requests run after each step, and returns their result."""
    return with_pauses(steps, YieldControl())


def change_flag(folder: Folder, uid: int, flag: str, is_set: bool) -> None:
    """Set or clear a flag of a message; raise MaildirError if the message was removed."""
    flags = folder.message(uid).flags
    folder.set_flags(uid, flags | {flag} if is_set else flags - {flag})
