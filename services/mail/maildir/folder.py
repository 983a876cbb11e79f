"""Maildir folder as an IMAP mailbox: messages by UID, flags and keywords, append, copy, expunge (RFC 3501).

    folder = Maildir(path).folder("INBOX")
    folder.refresh()                                   rescan the directory
    for uid in folder.uids: folder.messages[uid].flags
    folder.read(uid)                                   octets with CRLF line ends

One Folder object serves several sessions in turn: refresh() reads the changes of other processes, and each session
compares `revision` (a counter of changes) and `messages` with its own view. Operations that take long in a large folder
can be run in steps (refresh_steps, copy_steps, expunge_steps). These are generators that yield after a bounded number
of messages, and hold no lock while suspended. An operation waits only for the folder's lock, which another process
holds only while it appends lines to the folder's index files. All operations raise OSError on disk errors.
"""

import contextlib
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from lab7.services.mail.maildir.delivery import (
    FLAGS,
    NewMessage,
    Quota,
    deliver_files,
    delivery_time,
    locked,
    sort_key,
    split_name,
    stored_size,
    sync_directory,
    unique_name,
    wire_form,
    wire_size,
    with_flag_letters,
)
from lab7.services.mail.maildir.errors import MessageGoneError, QuotaExceededError, TooManyKeywordsError
from lab7.services.mail.maildir.keywords import KEYWORD_LETTERS, Keywords
from lab7.services.mail.maildir.limits import (
    DEAD_LINES_MAX,
    HEADER_PIECE_OCTETS,
    KEYWORDS_MAX,
    REFRESHES_MAX,
    STEP_MESSAGES,
    TURN_FILES,
)
from lab7.services.mail.maildir.mod_sequences import ModSequences
from lab7.services.mail.maildir.scanner import Scanner
from lab7.services.mail.maildir.steps import batches, run_steps
from lab7.services.mail.maildir.uid_index import LOCK, UidIndex

SYSTEM_FLAGS = tuple(FLAGS)
# Length of "new/" and "cur/".
_PLACE = 4


@dataclass(slots=True)
class Message:
    """A message of a folder.

    `name` is the file name relative to the folder; `base` is the unique part of the file name, which never changes.
    """

    uid: int
    base: str
    name: str
    letters: str
    flags: frozenset[str]
    size_octets: int | None

    @property
    def is_new(self) -> bool:
        """True if the file is in new/: no mail program has seen the message yet."""
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
        self.keywords = Keywords(path, self._letters_in_use)
        self._index = UidIndex(path)
        self.mod_sequences = ModSequences(path)
        # UIDs whose letters may differ from those that mod_sequences has recorded.
        self._unrecorded: set[int] = set()
        # UIDs by file name, relative to the folder.
        self._files = {message.name: uid for uid, message in self.messages.items()}
        # Counter of changes of `messages`, by which a refresh in steps notices changes by other sessions.
        self._changes = 0
        if self.messages:
            # The index was moved with the directory, so the UIDs stay the same.
            self._index.read()
        self._scanner = Scanner(path, self._wall_clock)

    @property
    def uidvalidity(self) -> int:
        """The folder's UIDVALIDITY (RFC 3501 section 2.3.1.1)."""
        return self._index.uidvalidity

    @property
    def first_uidvalidity(self) -> int:
        """The UIDVALIDITY that the folder had first; it identifies the folder even if a rename changes UIDVALIDITY."""
        return self._index.first_uidvalidity

    @property
    def uidnext(self) -> int:
        """The folder's UIDNEXT: the next message gets this UID or a higher one (RFC 3501 section 2.3.1.1)."""
        return self._index.uidnext

    @property
    def first_recent(self) -> int:
        r"""The lowest UID that is still \Recent: no session has claimed the messages from this UID on."""
        return self._index.first_recent

    def refresh(self, added: Sequence[str] = ()) -> None:
        """Read changes by other processes, and assign UIDs to new messages in order of delivery.

        The messages in `added` get the last UIDs, in the given order. Raises NoFolderError if the folder was removed.
        """
        for _ in self.refresh_steps(added):
            pass

    def refresh_steps(self, added: Sequence[str] = ()) -> Generator[None, None, None]:
        """Do refresh() as a generator that pauses, so that other sessions can run; raises the same errors."""
        for _ in range(REFRESHES_MAX):
            if (yield from self._refresh_once(added)):
                return
        # Other sessions change the folder again and again, so finish the refresh without a pause.
        while not run_steps(self._refresh_once(added)):
            pass

    def _refresh_once(self, added: Sequence[str]) -> Generator[None, None, bool]:
        """Compare the files in the directory with those known, and add, rename and remove messages accordingly.

        A generator that pauses for other sessions; it returns False if another session has changed the folder
        meanwhile.
        """
        listing = self._scanner.scan()
        if listing is None:
            # Read the index even if no file has changed: another process may have claimed the \Recent messages.
            self._index.read()
            if self.uidvalidity:
                return True
            self._scanner.distrust()
            return False
        changes = self._changes
        yield
        has_new_keywords = self.keywords.read()
        files = set(map("new/".__add__, listing.new))
        files.update(map("cur/".__add__, listing.cur))
        yield
        if not self.uidvalidity:
            self._files.clear()
            self._remove([*self.messages])
            changes = self._changes
        fresh = files - self._files.keys()
        gone = self._files.keys() - files
        yield
        if changes != self._changes:
            return False
        if has_new_keywords:
            for message in self.messages.values():
                message.flags = self.keywords.flags_of(message.letters)
            self.revision += 1
        bases: dict[str, str] = {}
        for index, name in enumerate(fresh):
            base = split_name(name[_PLACE:])[0]
            # A file that is renamed during the scan is listed in new/ as well as in cur/.
            if base not in bases or name.startswith("cur/"):
                bases[base] = name
            if index % STEP_MESSAGES == 0:
                yield
        if (bases or not self.uidvalidity) and not (yield from self._identify(bases, added, len(files))):
            return False
        return changes == self._changes and (yield from self._apply(bases, gone))

    def _identify(self, bases: Collection[str], added: Sequence[str], live: int) -> Generator[None, None, bool]:
        """Assign UIDs to new files in order of delivery, then to the files in `added` in the given order.

        Also compacts the UID index if needed. Returns False if the index was recreated: then all UIDs change.
        """
        before = self.uidvalidity
        yield from self._index.read_steps()
        with locked(f"{self.path}/{LOCK}"):
            if not self._index.read():
                self._index.create(self._new_uidvalidity())
        if before and before != self.uidvalidity:
            self._files.clear()
            self._remove([*self.messages])
            self._scanner.distrust()
            return False
        own = frozenset(added)
        keys: dict[str, int] = {}
        for index, base in enumerate(bases):
            if base not in self._index.uids and base not in own:
                keys[base] = sort_key(base)
            if index % STEP_MESSAGES == STEP_MESSAGES - 1:
                yield
        for batch in batches(sorted(keys, key=keys.__getitem__), STEP_MESSAGES):
            self._assign(batch)
            yield
        self._assign([base for base in added if base in bases])
        if self._index.lines > 2 * live + DEAD_LINES_MAX:
            with locked(f"{self.path}/{LOCK}"):
                self._index.read()
                self._index.compact({*bases, *(message.base for message in self.messages.values())})
        return True

    def _assign(self, bases: Sequence[str]) -> None:
        if bases:
            with locked(f"{self.path}/{LOCK}"):
                self._index.read()
                self._index.assign([base for base in bases if base not in self._index.uids])

    def _apply(self, bases: Mapping[str, str], gone: Set[str]) -> Generator[None, None, bool]:
        """Remove the messages whose files are gone; add or rename the files in `bases` (unique part -> file name)."""
        changes = self._changes
        uids = self._index.uids
        names: dict[int, tuple[str, str]] = {}
        for index, (base, name) in enumerate(bases.items()):
            uid = uids.get(base)
            if uid is None:
                # The UID is unknown if another process has replaced the index meanwhile.
                return False
            names[uid] = base, name
            if index % STEP_MESSAGES == 0:
                yield
        if changes != self._changes:
            return False
        removed = {uid for name in gone if (uid := self._files.pop(name)) not in names}
        # A file renamed during the scan is listed in new/ and cur/; the loss of one name does not remove its message.
        self._remove([uid for uid in sorted(removed) if uid in self.messages and self.messages[uid].name in gone])
        for batch in batches(sorted(names), STEP_MESSAGES):
            self._add(batch, names)
            changes = self._changes
            yield
            if changes != self._changes:
                return False
        return True

    def _add(self, uids: Sequence[int], names: Mapping[int, tuple[str, str]]) -> None:
        """Add or rename messages; `names` has the unique part and the file name of each."""
        last = self.uids[-1] if self.uids else 0
        in_order = True
        for uid in uids:
            old = self.messages.get(uid)
            in_order = in_order and (old is not None or uid > last)
            base, name = names[uid]
            self.messages[uid] = self._message(uid, base, name, old)
            self._files[name] = uid
        if not in_order:
            self.messages = dict(sorted(self.messages.items()))
        self._unrecorded.update(uids)
        self._changed()

    def _message(self, uid: int, base: str, name: str, old: Message | None) -> Message:
        letters = split_name(name)[1] if name.startswith("cur/") else ""
        size_octets = old.size_octets if old is not None else None
        return Message(uid, base, name, letters, self.keywords.flags_of(letters), size_octets)

    def _remove(self, uids: Iterable[int]) -> None:
        """Remove messages from the folder's tables in memory, because their files are gone."""
        for uid in uids:
            message = self.messages.pop(uid, None)
            if message is not None:
                self._files.pop(message.name, None)
                self._unrecorded.add(uid)
        self._changed()

    def _changed(self) -> None:
        self.uids = list(self.messages)
        self.revision += 1
        self._changes += 1

    def record_changes(self) -> None:
        """Assign mod-sequences to the changes since the last call (RFC 7162); raises NoFolderError and OSError."""
        for _ in self.record_steps():
            pass

    def record_steps(self) -> Generator[None, None, None]:
        """Do record_changes() as a generator that pauses for other sessions; raises the same errors."""
        while self._unrecorded or not self.mod_sequences.highest:
            self._read_recorded()
            for batch in batches(sorted(self._unrecorded), STEP_MESSAGES * 5):
                yield
                with self.mod_sequences.locked() as lock:
                    self._compare_all_if(self.mod_sequences.read(lock, self.uidvalidity))
                    self.mod_sequences.observe(lock, self.messages, batch)
                    self._unrecorded.difference_update(batch)

    def _read_recorded(self) -> None:
        with self.mod_sequences.locked() as lock:
            self._compare_all_if(self.mod_sequences.read(lock, self.uidvalidity))

    def _compare_all_if(self, read_anew: bool) -> None:
        """If `read_anew`, mark all messages for comparison with the file of mod-sequences in the next record_changes().

        `read_anew` is True if that file is new or was read from its beginning.
        """
        if not read_anew:
            return
        if not self.messages.keys() >= self.mod_sequences.observed:
            # Another process may have added and recorded messages after the last listing: list again.
            self._scanner.distrust()
            self.refresh()
        self._unrecorded |= self.messages.keys() | self.mod_sequences.observed

    def claim_recent(self) -> int:
        r"""Claim the new messages for a session: move them to cur/; return the lowest UID \Recent in the session."""
        return run_steps(self.claim_recent_steps())

    def claim_recent_steps(self) -> Generator[None, None, int]:
        """Do claim_recent() as a generator that pauses, so that other sessions can run; return the same UID."""
        new = [uid for uid, message in self.messages.items() if message.name[0] == "n"]
        for batch in batches(new, TURN_FILES):
            for uid in batch:
                message = self.messages.get(uid)
                if message is not None and message.is_new:
                    with contextlib.suppress(MessageGoneError):
                        self._rename(message, "")
            yield
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
        message = self.message(uid)
        if message.size_octets is None:
            message.size_octets = wire_size(message.base)
        return len(self.read(uid)) if message.size_octets is None else message.size_octets

    def ends_in_line_end(self, uid: int) -> bool:
        """Return True if a message ends in a line end; only its last octets are read. Raises MessageGoneError."""
        descriptor = self._open(uid)
        try:
            return os.pread(descriptor, 1, max(0, os.fstat(descriptor).st_size - 1)) in (b"", b"\n")
        finally:
            os.close(descriptor)

    def date(self, uid: int) -> float:
        """Return a message's internal date in seconds since 1970 UTC; raises MessageGoneError."""
        descriptor = self._open(uid)
        try:
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)

    def save_date(self, uid: int) -> float | None:
        """Return the time in seconds since 1970 UTC at which a message was added (RFC 8514); raises MessageGoneError.

        Returns None if the file name contains no time.
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
        self.message(uid)
        for attempt in (1, 2):
            with self.keywords.letters_of(flags) as letters:
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
        self._files.pop(message.name, None)
        self._files[name] = message.uid
        message.name, message.letters = name, letters
        message.flags = self.keywords.flags_of(letters)
        self._unrecorded.add(message.uid)
        self.revision += 1
        self._changes += 1

    def may_add_keyword(self) -> bool:
        """Return True if the folder can have a new keyword: one of the 26 letters for keywords is unused."""
        return len(self.keywords.names) < KEYWORDS_MAX or bool(KEYWORD_LETTERS - self._letters())

    def _letters(self) -> set[str]:
        return {letter for message in self.messages.values() for letter in message.letters}

    def _letters_in_use(self) -> set[str]:
        """Refresh the folder; return all flag letters that occur in file names of its messages."""
        self.refresh()
        # The mod-sequences compare letters, which may get another meaning now.
        self.record_changes()
        return self._letters()

    def _confirm_letters(self, written: Mapping[int, tuple[frozenset[str], str]]) -> None:
        """Correct letters reassigned to other keywords during a write; `written`: UID -> (flags, letters written)."""
        for flags, letters in set(written.values()):
            with contextlib.suppress(MessageGoneError, TooManyKeywordsError):
                if sorted(self.keywords.add(flags)) == sorted(letters):
                    continue
                for uid in [uid for uid, pair in written.items() if pair == (flags, letters) and uid in self.messages]:
                    if sorted(self.messages[uid].letters) == sorted(letters):
                        self.set_flags(uid, flags)

    def has_room(self, octets: int) -> bool:
        """Return True if the quota has room for a message of this size in octets."""
        return self._quota.allows(octets, 1)

    def append(
        self, messages: Sequence[NewMessage], flags: Sequence[frozenset[str]] = (), freed_octets: int = 0
    ) -> list[int]:
        """Append messages, with the flags in `flags` or else those of their `letters`; return their UIDs in order.

        The caller then removes `freed_octets` of other messages, for the quota. Raises QuotaExceededError,
        MessageTooLargeError and TooManyKeywordsError, with no message appended.
        """
        size = sum(len(message.content) for message in messages) - freed_octets
        if not self._quota.allows(size, len(messages)):
            raise QuotaExceededError("Quota exceeded.")
        self.keywords.add(frozenset().union(*flags))
        own_letters = [message.letters for message in messages]
        lettered = [self.keywords.add(message_flags) for message_flags in flags] or own_letters
        pairs = zip(messages, lettered, strict=True)
        names = deliver_files(self.path, [NewMessage(one.content, letters, one.date) for one, letters in pairs])
        uids = run_steps(self._added(names))
        self._confirm_letters(dict(zip(uids, zip(flags, lettered, strict=False), strict=False)))
        return uids

    def _added(self, names: Sequence[str]) -> Generator[None, None, list[int]]:
        bases = [split_name(name[_PLACE:])[0] for name in names]
        self._quota.add(sum(stored_size(base) or 0 for base in bases), len(bases))
        yield from self.refresh_steps(bases)
        # A message that another session or program has removed before the refresh gets a UID nevertheless.
        self._assign([base for base in bases if base not in self._index.uids])
        return [self._index.uids[base] for base in bases]

    def copy_to(self, uids: Iterable[int], target: "Folder", is_move: bool = False) -> list[tuple[int, int]]:
        """Copy messages as copy_steps() does, but without a yield to other sessions; skip messages that are gone."""
        return run_steps(self.copy_steps(uids, target, skips_removed=True, is_move=is_move))

    def copy_steps(
        self, uids: Iterable[int], target: "Folder", skips_removed: bool = False, is_move: bool = False
    ) -> Generator[None, None, list[tuple[int, int]]]:
        """Copy messages with their flags and dates into another folder, all or none.

        A generator that pauses for other sessions and returns (UID in this folder, UID in `target`) of each message.
        Raises QuotaExceededError and TooManyKeywordsError; raises MessageGoneError if a message was removed, unless
        `skips_removed` is True. With `is_move`, the caller then expunges the messages here: no quota applies to a move.
        """
        copied = [uid for uid in uids if not skips_removed or uid in self.messages]
        sizes = [stored_size(self.message(uid).base) or self.size_octets(uid) for uid in copied]
        if not is_move and not self._quota.allows(sum(sizes), len(sizes)):
            raise QuotaExceededError("Quota exceeded.")
        flags = {uid: self.messages[uid].flags for uid in copied if uid in self.messages}
        target.keywords.add(frozenset().union(*flags.values()))
        names: dict[int, str] = {}
        now_ns = int(target.now() * 1e9)
        try:
            for batch in batches(copied, TURN_FILES):
                for uid in batch:
                    with contextlib.suppress(*((MessageGoneError,) if skips_removed else ())):
                        names[uid] = self._link(uid, target, target.keywords.add(flags.get(uid, frozenset())), now_ns)
                yield
            for place in {name[:_PLACE] for name in names.values()}:
                sync_directory(f"{target.path}/{place}")
        except BaseException:
            for name in names.values():
                with contextlib.suppress(OSError):
                    os.unlink(f"{target.path}/{name}")
            raise
        pairs = list(zip(names, (yield from target._added(list(names.values()))), strict=True))
        target._confirm_letters({new: (flags[uid], split_name(names[uid])[1]) for uid, new in pairs})
        return pairs

    def _link(self, uid: int, target: "Folder", letters: str, now_ns: int) -> str:
        """Copy a message by a hard link, possible since message files never change; return the name in `target`."""
        descriptor = self._open(uid)
        status = os.fstat(descriptor)
        os.close(descriptor)
        base = unique_name(now_ns, status.st_size, self.size_octets(uid))
        name = f"cur/{with_flag_letters(base, letters)}" if letters else f"new/{base}"
        os.link(f"{self.path}/{self.message(uid).name}", f"{target.path}/{name}")
        return name

    def expunge(self, uids: Iterable[int]) -> None:
        """Remove messages; skip messages that are removed already."""
        for _ in self.expunge_steps(uids):
            pass

    def expunge_steps(self, uids: Iterable[int]) -> Generator[None, None, None]:
        """Remove messages; a generator that pauses, so that other sessions can run."""
        for batch in batches([uid for uid in uids if uid in self.messages], TURN_FILES):
            octets = 0
            unlinked: list[int] = []
            gone: list[int] = []
            try:
                for uid in batch:
                    try:
                        octets += self._unlink(uid)
                        unlinked.append(uid)
                    except MessageGoneError:
                        gone.append(uid)
            finally:
                self._remove([*unlinked, *gone])
                if unlinked:
                    self._quota.add(-octets, -len(unlinked))
            yield

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
        """Return the current time in seconds since 1970 UTC, from the wall clock if given.

        Without a wall clock, the time comes from the file system (mtime of a touched file).
        """
        if self._wall_clock is not None:
            return self._wall_clock()
        with locked(f"{self.path}/{LOCK}") as lock:
            os.utime(lock)
            return os.fstat(lock).st_mtime

    def position(self, uid: int) -> int:
        """Return the number of messages with smaller UIDs, which is the index of this UID in `uids`."""
        return bisect_left(self.uids, uid)
