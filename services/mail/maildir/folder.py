"""Maildir folder as an IMAP mailbox: messages by UID, flags and keywords, append, copy, expunge (RFC 3501).

    folder = Maildir(path).folder("INBOX")
    folder.refresh()                                   rescan the directory
    for uid in folder.uids: folder.messages[uid].flags
    folder.read(uid)                                   octets with CRLF line ends

One Folder can serve several sessions in turn: refresh() reads the changes of other processes, and a session compares
`revision` and `messages` with its own view. Nothing blocks, except on the lock that another process holds while it
writes a few lines. All operations raise OSError on disk errors.
"""

import contextlib
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.mail.maildir.delivery import (
    FLAGS,
    LETTERS,
    NewMessage,
    Quota,
    deliver_files,
    delivery_time,
    locked,
    read_file,
    replace_file,
    sort_key,
    split_name,
    stored_size,
    sync_directory,
    unique_name,
    wire_form,
    wire_size,
    with_flag_letters,
)
from services.mail.maildir.errors import MessageGoneError, NoFolderError, QuotaExceededError, TooManyKeywordsError
from services.mail.maildir.limits import HEADER_PIECE_OCTETS, KEYWORD_OCTETS, KEYWORDS_MAX, SCANS_MAX, SETTLED_S
from services.mail.maildir.mod_sequences import ModSequences
from services.mail.maildir.uid_index import LOCK, UidIndex

SYSTEM_FLAGS = tuple(FLAGS)
PLACES = ("new", "cur")
FILE = "lab7-keywords"
KEYWORDS_LOCK = "lab7-keywords.lock"
_Times = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """The names of all message files in new/ and cur/."""

    new: list[str]
    cur: list[str]


class Scanner:
    """Scanner of a folder's new/ and cur/, which lists a directory only if its mtime has changed.

    `wall_clock`, if given, decides if a directory's mtime is old enough to be trusted.
    """

    def __init__(self, folder: str, wall_clock: Callable[[], float] | None) -> None:
        self._paths = [f"{folder}/{place}" for place in PLACES]
        self._wall_clock = wall_clock
        self._trusted: _Times | None = None

    def scan(self) -> Listing | None:
        """Return the message files, None if unchanged since the last scan; raises NoFolderError and OSError."""
        before = self._times()
        if before == self._trusted:
            return None
        for _ in range(SCANS_MAX):
            now = self._wall_clock() if self._wall_clock is not None else 0.0
            # List new/ first, so that a file renamed to cur/ during the scan is seen twice rather than missed.
            listing = Listing(*(self._list(path) for path in self._paths))
            after = self._times()
            if after == before:
                break
            before = after
        settled = before == after and max(after) / 1e9 < now - SETTLED_S
        self._trusted = after if settled else None
        return listing

    def distrust(self) -> None:
        """List the folder at the next scan() even if it seems unchanged."""
        self._trusted = None

    def _times(self) -> _Times:
        try:
            new, cur = (os.stat(path).st_mtime_ns for path in self._paths)
        except (FileNotFoundError, NotADirectoryError):
            raise NoFolderError("The mailbox has been removed.") from None
        return new, cur

    def _list(self, path: str) -> list[str]:
        try:
            names = os.listdir(path)
        except FileNotFoundError:
            raise NoFolderError("The mailbox has been removed.") from None
        # Ignore names that begin with a dot, as https://cr.yp.to/proto/maildir.html specifies.
        return [name for name in names if not name.startswith(".") and "\n" not in name]


class Keywords:
    """The keywords of a folder (RFC 3501 section 2.3.2); a file maps each to a letter a to z in message file names.

    Other processes may add some, so call read() before a listing.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{FILE}"
        self._lock = f"{folder}/{KEYWORDS_LOCK}"
        self.names: list[str] = []
        self._flags: dict[str, frozenset[str]] = {}

    def read(self) -> None:
        """Read the keyword file again if it has changed."""
        octets = read_file(self._path) or b""
        names = octets.decode("ascii", "replace").split("\n")[:-1][:KEYWORDS_MAX]
        if names != self.names:
            self.names = names
            self._flags.clear()

    def flags_of(self, letters: str) -> frozenset[str]:
        """Return the flags for the letters of a file name; unknown letters are ignored."""
        flags = self._flags.get(letters)
        if flags is None:
            flags = frozenset(flag for letter in letters if (flag := self._flag(letter)) is not None)
            self._flags[letters] = flags
        return flags

    def _flag(self, letter: str) -> str | None:
        place = ord(letter) - ord("a")
        if 0 <= place < len(self.names):
            return self.names[place]
        return LETTERS.get(letter)

    def letters_of(self, flags: frozenset[str]) -> str:
        """Return the letters for flags; new keywords are assigned a letter; raises TooManyKeywordsError and OSError."""
        letters = []
        for flag in sorted(flags):
            known = FLAGS.get(flag) or self._find(flag)
            letters.append(known or self._add(flag))
        return "".join(letters)

    def letters_known(self, flags: frozenset[str]) -> str:
        """Return the letters for flags; keywords without a letter are ignored."""
        return "".join(FLAGS.get(flag) or self._find(flag) or "" for flag in flags)

    def _find(self, keyword: str) -> str | None:
        for place, name in enumerate(self.names):
            # RFC 3501 section 9: keywords are case-insensitive.
            if name.lower() == keyword.lower():
                return chr(ord("a") + place)
        return None

    def _add(self, keyword: str) -> str:
        if len(keyword) > KEYWORD_OCTETS:
            raise TooManyKeywordsError("The keyword is too long.")
        with locked(self._lock):
            self.read()
            known = self._find(keyword)
            if known is not None:
                return known
            if len(self.names) >= KEYWORDS_MAX:
                raise TooManyKeywordsError(f"There are {KEYWORDS_MAX} keywords in this mailbox already.")
            names = [*self.names, keyword]
            replace_file(self._path, "".join(f"{name}\n" for name in names).encode("ascii"))
            self.names = names
            self._flags.clear()
        return chr(ord("a") + len(self.names) - 1)


@dataclass(slots=True)
class Message:
    """A message of a folder; `name`: file name relative to the folder; `base`: unique part of the file name."""

    uid: int
    base: str
    name: str
    letters: str
    flags: frozenset[str]
    size_octets: int | None

    @property
    def is_new(self) -> bool:
        """True if the file is in new/, where no reader has seen it."""
        return self.name.startswith("new/")


class Folder:
    """An IMAP mailbox in the Maildir directory `path`; `new_uidvalidity` returns an unused UIDVALIDITY."""

    def __init__(
        self, path: str, quota: Quota, new_uidvalidity: Callable[[], int], wall_clock: Callable[[], float] | None
    ) -> None:
        self.revision = 0
        self.messages: dict[int, Message] = {}
        self.uids: list[int] = []
        self._quota = quota
        self._new_uidvalidity = new_uidvalidity
        self._wall_clock = wall_clock
        self.set_path(path)

    def set_path(self, path: str) -> None:
        """Set the folder's path after the directory was renamed."""
        self.path = path
        self.keywords = Keywords(path)
        self._index = UidIndex(path)
        self.mod_sequences = ModSequences(path)
        # UIDs whose letters may differ from those that mod_sequences has recorded.
        self._unrecorded: set[int] = set()
        self._scanner = Scanner(path, self._wall_clock)

    @property
    def uidvalidity(self) -> int:
        """The folder's UIDVALIDITY (RFC 3501 section 2.3.1.1)."""
        return self._index.uidvalidity

    @property
    def uidnext(self) -> int:
        """The folder's UIDNEXT: the lowest UID that the next message can get (RFC 3501 section 2.3.1.1)."""
        return self._index.uidnext

    @property
    def first_recent(self) -> int:
        r"""The lowest UID that is still \Recent: messages from this UID on were announced to no session yet."""
        return self._index.first_recent

    def refresh(self, added: Sequence[str] = ()) -> None:
        """Rescan the directory; assign UIDs to new messages by time of delivery, then to those in `added` in its order.

        Raises NoFolderError if the folder was removed.
        """
        listing = self._scanner.scan()
        if listing is None and self.uidvalidity:
            # Read the index even if the directory is unchanged: another process may have claimed the \Recent messages.
            self._index.read()
            return
        if listing is not None:
            self.keywords.read()
            files = {split_name(name)[0]: f"new/{name}" for name in listing.new}
            files |= {split_name(name)[0]: f"cur/{name}" for name in listing.cur}
            known_bases = {message.base for message in self.messages.values()}
            if files.keys() - known_bases or not self.uidvalidity:
                self._identify(files, added)
            self._update(files)

    def _identify(self, files: dict[str, str], added: Sequence[str]) -> None:
        """Assign UIDs to new files: by time of delivery, then those in `added` in its order; compact the index."""
        own = frozenset(added)
        with locked(f"{self.path}/{LOCK}"):
            if not self._index.read():
                self._index.create(self._new_uidvalidity())
            uids = self._index.uids
            others = sorted((base for base in files if base not in uids and base not in own), key=sort_key)
            self._index.assign([*others, *(base for base in added if base in files and base not in uids)])
            self._index.compact(files)

    def _update(self, files: dict[str, str]) -> None:
        uids = self._index.uids
        messages: dict[int, Message] = {}
        for base, name in files.items():
            uid = uids[base]
            old = self.messages.get(uid)
            if old is not None and old.name == name:
                messages[uid] = old
            else:
                messages[uid] = self._message(uid, base, name, old)
                self._unrecorded.add(uid)
        self._unrecorded |= self.messages.keys() - messages.keys()
        self._set_messages(messages)

    def _message(self, uid: int, base: str, name: str, old: Message | None) -> Message:
        letters = split_name(name)[1] if name.startswith("cur/") else ""
        size_octets = old.size_octets if old is not None else wire_size(base)
        return Message(uid, base, name, letters, self.keywords.flags_of(letters), size_octets)

    def _set_messages(self, messages: dict[int, Message]) -> None:
        self.messages = {uid: messages[uid] for uid in sorted(messages)}
        for message in self.messages.values():
            message.flags = self.keywords.flags_of(message.letters)
        self.uids = list(self.messages)
        self.revision += 1

    def record_changes(self) -> None:
        """Give the changes since the last call their mod-sequences (RFC 7162); raises NoFolderError and OSError."""
        if self.mod_sequences.highest and not self._unrecorded:
            return
        with self.mod_sequences.locked() as lock:
            if self.mod_sequences.read(lock, self.uidvalidity):
                if not self.messages.keys() >= self.mod_sequences.observed:
                    # Another process may have added and recorded messages after the last listing: list again.
                    self._scanner.distrust()
                    self.refresh()
                self._unrecorded |= self.messages.keys() | self.mod_sequences.observed
            changed, self._unrecorded = self._unrecorded, set()
            try:
                self.mod_sequences.observe(lock, self.messages, changed)
            except OSError:
                self._unrecorded |= changed
                raise

    def claim_recent(self) -> int:
        """Claim new messages for a session: move them to cur/; returns the lowest UID that is recent in the session."""
        moved = [message for message in self.messages.values() if message.is_new]
        for message in moved:
            with contextlib.suppress(MessageGoneError):
                self._rename(message, "")
        if self.first_recent >= self.uidnext:
            return self.uidnext
        with locked(f"{self.path}/{LOCK}"):
            self._index.read()
            return self._index.claim_recent()

    def message(self, uid: int) -> Message:
        """Return the message with a UID; raises MessageGoneError."""
        try:
            return self.messages[uid]
        except KeyError:
            raise MessageGoneError("The message has been removed.") from None

    def read(self, uid: int) -> bytes:
        """Return a message's octets with CRLF line ends; raises MessageGoneError."""
        with open(self._open(uid), "rb") as file:
            content = wire_form(file.read())
        self.message(uid).size_octets = len(content)
        return content

    def read_header(self, uid: int) -> bytes:
        """Return a message's header including the empty line after it; raises MessageGoneError."""
        stored = b""
        with open(self._open(uid), "rb") as file:
            while piece := file.read(HEADER_PIECE_OCTETS):
                begin = max(0, len(stored) - 3)
                stored += piece
                for mark in (b"\n\n", b"\n\r\n"):
                    end = stored.find(mark, begin)
                    if end >= 0:
                        return wire_form(stored[: end + len(mark)])
                if stored.startswith((b"\n", b"\r\n")):
                    return b"\r\n"
        return wire_form(stored)

    def size_octets(self, uid: int) -> int:
        """Return a message's size with CRLF line ends; raises MessageGoneError."""
        size = self.message(uid).size_octets
        return len(self.read(uid)) if size is None else size

    def date(self, uid: int) -> float:
        """Return a message's internal date in seconds since 1970 UTC; raises MessageGoneError."""
        descriptor = self._open(uid)
        try:
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)

    def save_date(self, uid: int) -> float | None:
        """Return the time in seconds since 1970 UTC at which a message was added, None if its name has none (RFC 8514).

        Raises MessageGoneError.
        """
        return delivery_time(self.message(uid).base)

    def _open(self, uid: int) -> int:
        for attempt in (1, 2):
            message = self.message(uid)
            try:
                return os.open(f"{self.path}/{message.name}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._rescan(attempt)
        raise MessageGoneError("The message has been removed.")

    def _rescan(self, attempt: int) -> None:
        # The file may be missing because another program changed the flags, which renames it: rescan once.
        if attempt == 1:
            self.refresh()

    def set_flags(self, uid: int, flags: frozenset[str]) -> None:
        """Replace a message's flags; raises MessageGoneError and TooManyKeywordsError."""
        letters = self.keywords.letters_of(flags)
        for attempt in (1, 2):
            message = self.message(uid)
            others = "".join(letter for letter in message.letters if not self.keywords.flags_of(letter))
            wanted = "".join(sorted({*letters, *others}))
            if wanted == message.letters:
                return
            with contextlib.suppress(MessageGoneError):
                self._rename(message, wanted)
                return
            self._rescan(attempt)
        raise MessageGoneError("The message has been removed.")

    def _rename(self, message: Message, letters: str) -> None:
        name = f"cur/{with_flag_letters(message.base, letters)}"
        try:
            os.rename(f"{self.path}/{message.name}", f"{self.path}/{name}")
        except FileNotFoundError:
            raise MessageGoneError("The message has been removed.") from None
        message.name, message.letters = name, letters
        message.flags = self.keywords.flags_of(letters)
        self._unrecorded.add(message.uid)
        self.revision += 1

    def may_add_keyword(self) -> bool:
        """Return True if the folder has a letter left for a new keyword."""
        return len(self.keywords.names) < KEYWORDS_MAX

    def has_room(self, octets: int) -> bool:
        """Return True if the quota has room for a message of so many octets."""
        return self._quota.allows(octets, 1)

    def append(self, messages: Sequence[NewMessage], flags: Sequence[frozenset[str]] = ()) -> list[int]:
        """Append messages with one set of flags each; returns their UIDs in order.

        Raises QuotaExceededError, MessageTooLargeError and TooManyKeywordsError; then none of them was delivered.
        """
        size = sum(len(message.content) for message in messages)
        if not self._quota.allows(size, len(messages)):
            raise QuotaExceededError("Quota exceeded.")
        lettered = [self.keywords.letters_of(message_flags) for message_flags in flags] or [
            message.letters for message in messages
        ]
        new_messages = [
            NewMessage(message.content, letters, message.date)
            for message, letters in zip(messages, lettered, strict=True)
        ]
        names = deliver_files(self.path, new_messages)
        return self._added(names)

    def _added(self, names: Sequence[str]) -> list[int]:
        bases = [split_name(name.partition("/")[2])[0] for name in names]
        self._quota.add(sum(stored_size(base) or 0 for base in bases), len(bases))
        self.refresh(bases)
        return [self._index.uids[base] for base in bases]

    def copy_to(self, uids: Iterable[int], target: "Folder") -> list[tuple[int, int]]:
        """Copy messages, with their flags and dates, into another folder, all or none.

        Returns (UID here, UID there) of each; removed messages are skipped. Raises QuotaExceededError and
        TooManyKeywordsError.
        """
        messages = [self.messages[uid] for uid in uids if uid in self.messages]
        sizes = [stored_size(message.base) or self.size_octets(message.uid) for message in messages]
        if not self._quota.allows(sum(sizes), len(sizes)):
            raise QuotaExceededError("Quota exceeded.")
        letters = {message.uid: target.keywords.letters_of(message.flags) for message in messages}
        names: dict[int, str] = {}
        now_ns = int(target.now() * 1e9)
        try:
            for message in messages:
                with contextlib.suppress(MessageGoneError):
                    names[message.uid] = self._link(message.uid, letters[message.uid], target, now_ns)
            for place in {name[:3] for name in names.values()}:
                sync_directory(f"{target.path}/{place}")
        except BaseException:
            for name in names.values():
                with contextlib.suppress(OSError):
                    os.unlink(f"{target.path}/{name}")
            raise
        return list(zip(names, target._added(list(names.values())), strict=True))

    def _link(self, uid: int, letters: str, target: "Folder", now_ns: int) -> str:
        """Copy a message by a hard link, since files are immutable; returns the file name in `target`."""
        descriptor = self._open(uid)
        status = os.fstat(descriptor)
        os.close(descriptor)
        base = unique_name(now_ns, status.st_size, self.size_octets(uid))
        name = f"cur/{with_flag_letters(base, letters)}" if letters else f"new/{base}"
        os.link(f"{self.path}/{self.message(uid).name}", f"{target.path}/{name}")
        return name

    def expunge(self, uids: Iterable[int]) -> None:
        """Remove messages; UIDs of messages already removed are skipped."""
        octets = removed = 0
        for uid in [uid for uid in uids if uid in self.messages]:
            with contextlib.suppress(MessageGoneError):
                octets += self._unlink(uid)
                removed += 1
            self.messages.pop(uid, None)
            self._unrecorded.add(uid)
        if removed:
            self.uids = list(self.messages)
            self.revision += 1
            self._quota.add(-octets, -removed)

    def _unlink(self, uid: int) -> int:
        for attempt in (1, 2):
            message = self.message(uid)
            path = f"{self.path}/{message.name}"
            try:
                octets = stored_size(message.base) or os.stat(path).st_size
                os.unlink(path)
            except FileNotFoundError:
                self._rescan(attempt)
            else:
                return octets
        raise MessageGoneError("The message has been removed.")

    def now(self) -> float:
        """Return the current time in seconds since 1970 UTC, by the wall clock or else by the file system."""
        if self._wall_clock is not None:
            return self._wall_clock()
        with locked(f"{self.path}/{LOCK}") as lock:
            os.utime(lock)
            return os.fstat(lock).st_mtime

    def position(self, uid: int) -> int:
        """Return the number of messages with smaller UIDs, which is the index of this UID in `uids`."""
        return bisect_left(self.uids, uid)
