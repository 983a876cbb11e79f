"""POP3 maildrop on an INBOX: message numbers, deletion marks, exclusive lock (RFC 1939 sections 3, 5 and 8).

The list of messages is fixed when the maildrop is opened. Messages marked by DELE are removed in the UPDATE state only.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from lab7.services.mail.maildir.errors import MaildirError, MessageGoneError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import INBOX
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.pop3.limits import TURN_MESSAGES

LOCK = "lab7-pop3.lock"
_OPEN = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class InUseError(MaildirError):
    """Error for a maildrop that another session has locked."""


class Maildrop:
    """A user's INBOX, opened and locked for one POP3 session.

    Raises InUseError if another session has locked it, OSError if it cannot be read.
    """

    def __init__(self, maildir: Maildir) -> None:
        folder: Folder = maildir.folder(INBOX)
        self._lock = _lock_file(f"{folder.path}/{LOCK}")
        self.folder = folder
        self.uids: list[int] = []
        # Octets of each message as RETR sends it (RFC 1939 section 11), without byte-stuffing.
        self.sizes: list[int] = []
        self.marked: set[int] = set()

    def load(self) -> Iterator[bytes]:
        """Read the messages' sizes; yield b"" now and then, so that other sessions can run. Raise OSError."""
        try:
            for _ in self.folder.refresh_steps():
                yield b""
            for index, uid in enumerate(list(self.folder.uids)):
                with contextlib.suppress(MessageGoneError):
                    # RETR appends CRLF to a message that does not end in CRLF.
                    missing = 0 if self.folder.ends_in_line_end(uid) else 2
                    self.sizes.append(self.folder.size_octets(uid) + missing)
                    self.uids.append(uid)
                if index % TURN_MESSAGES == 0:
                    yield b""
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock; further calls do nothing."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def numbers(self) -> list[int]:
        """Return the numbers of the messages not marked as deleted."""
        return [number for number in range(1, len(self.uids) + 1) if number not in self.marked]

    def octets(self) -> int:
        """Return the total size in octets, with CRLF line ends, of the messages not marked as deleted."""
        return sum(self.sizes[number - 1] for number in self.numbers())

    def unique_id(self, number: int) -> str:
        """Return a message's unique-id for UIDL, which is persistent and never reused (RFC 1939 section 7)."""
        return f"{self.folder.uidvalidity:08x}{self.uids[number - 1]:08x}"

    def read(self, number: int) -> bytes:
        """Return a message's octets; raise MessageGoneError if another program removed the message."""
        return self.folder.read(self.uids[number - 1])

    def remove_marked(self) -> int:
        """Remove the marked messages from the INBOX (UPDATE state); return their number."""
        uids = [self.uids[number - 1] for number in sorted(self.marked)]
        with contextlib.suppress(MessageGoneError):
            self.folder.expunge(uids)
        return len(uids)


def _lock_file(path: str) -> int:
    descriptor = os.open(path, _OPEN, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUseError("The maildrop is locked by another session.") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
