"""Maildir delivery: write a message to tmp/, sync, rename into new/ or cur/.

After deliver_files() has returned, the messages survive kill -9 and a power failure. Before that, none, some or all of
them exist, and none in part.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from services.mail.maildir.errors import MessageTooLargeError
from services.mail.maildir.file_names import unique_name, with_flag_letters
from services.mail.maildir.files import sync_directory, write_all
from services.mail.maildir.limits import MESSAGE_OCTETS

_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to deliver; `date`, if given, in seconds since 1970 UTC; `letters` are its flags."""

    content: bytes
    letters: str = ""
    date: float | None = None


def stored_form(content: bytes) -> bytes:
    """Convert a message to its stored form, with LF line ends."""
    return content.replace(b"\r\n", b"\n") if b"\r\n" in content else content


def wire_form(stored: bytes) -> bytes:
    """Convert a stored message to CRLF line ends."""
    if b"\r\n" in stored:
        stored = stored.replace(b"\r\n", b"\n")
    return stored.replace(b"\n", b"\r\n")


def deliver_files(folder: str, messages: Sequence[NewMessage]) -> list[str]:
    """Deliver messages to the folder in the directory `folder`; returns their relative names, in order.

    Raises OSError and MessageTooLargeError; then none of them was delivered.
    """
    written: list[tuple[str, str]] = []
    done: list[str] = []
    try:
        for message in messages:
            written.append(_write(folder, message))
        for temporary, name in written:
            os.rename(f"{folder}/{temporary}", f"{folder}/{name}")
            done.append(name)
        for place in {name[:3] for name in done}:
            sync_directory(f"{folder}/{place}")
    except BaseException:
        _undo(folder, [*done, *(temporary for temporary, _ in written)])
        raise
    return done


def _undo(folder: str, names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/{name}")


def _write(folder: str, message: NewMessage) -> tuple[str, str]:
    """Write and sync a message in tmp/; returns that name and its final name."""
    stored = stored_form(message.content)
    size_octets = len(stored) + stored.count(b"\n")
    if size_octets > MESSAGE_OCTETS:
        raise MessageTooLargeError(f"The message is larger than {MESSAGE_OCTETS} octets.")
    temporary = f"tmp/{os.getpid()}.{os.urandom(12).hex()}"
    descriptor = os.open(f"{folder}/{temporary}", _CREATE, 0o600)
    try:
        write_all(descriptor, stored)
        base = unique_name(os.fstat(descriptor), len(stored), size_octets)
        if message.date is not None:
            os.utime(descriptor, (message.date, message.date))
        os.fsync(descriptor)
    except BaseException:
        _undo(folder, [temporary])
        raise
    finally:
        os.close(descriptor)
    # Names in new/ carry no flags.
    return temporary, f"cur/{with_flag_letters(base, message.letters)}" if message.letters else f"new/{base}"
