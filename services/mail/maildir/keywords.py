"""Keywords of a Maildir folder: user-defined flags, stored as letters in file names (RFC 3501 section 2.3.2)."""

import string
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager

from lab7.services.mail.maildir.delivery import FLAGS, LETTERS, locked, read_file, replace_file
from lab7.services.mail.maildir.errors import TooManyKeywordsError
from lab7.services.mail.maildir.limits import KEYWORD_OCTETS, KEYWORDS_MAX

FILE = "lab7-keywords"
KEYWORDS_LOCK = "lab7-keywords.lock"
KEYWORD_LETTERS = frozenset(string.ascii_lowercase)


class Keywords:
    """The keywords of a folder (RFC 3501 section 2.3.2), and the file that maps each to a letter a to z.

    The letters are in the file names of messages. Other processes may add keywords, and may reassign the letter of a
    keyword that no message has; so read() has to be called after the folder is listed. The callback `letters_in_use`
    returns the letters in the file names of the folder's messages.
    """

    def __init__(self, folder: str, letters_in_use: Callable[[], Set[str]]) -> None:
        self._path = f"{folder}/{FILE}"
        self._lock = f"{folder}/{KEYWORDS_LOCK}"
        self._letters_in_use = letters_in_use
        self.names: list[str] = []
        self._flags: dict[str, frozenset[str]] = {}

    def read(self) -> bool:
        """Read the keywords file; return True if other processes have changed the keywords."""
        octets = read_file(self._path) or b""
        names = octets.decode("ascii", "replace").split("\n")[:-1][:KEYWORDS_MAX]
        if names == self.names:
            return False
        self.names = names
        self._flags.clear()
        return True

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

    def add(self, flags: Set[str]) -> str:
        """Assign a letter to each keyword in `flags` that has none yet: to all of them, or to none.

        Returns the letters of all flags in `flags`. If there are not enough letters left, the letters of keywords that
        no message has are reassigned. Raises TooManyKeywordsError and OSError. A command that sets flags on several
        messages adds the keywords of all of them before it changes the first message, since a command that fails must
        not leave keywords behind.
        """
        with self.letters_of(flags) as letters:
            return letters

    @contextmanager
    def letters_of(self, flags: Set[str]) -> Iterator[str]:
        """Call add() and hold the lock during a `with` block, in which no process reassigns letters.

        Yield the flags' letters. A file renamed in the block therefore gets the right keywords. Raises as add() does.
        """
        if flags <= FLAGS.keys():
            yield "".join(FLAGS[flag] for flag in sorted(flags))
            return
        with locked(self._lock):
            self.read()
            # RFC 3501 section 9: keywords are case-insensitive.
            new = {flag.lower(): flag for flag in sorted(flags, reverse=True) if self._letter(flag) is None}
            if new:
                self._assign(sorted(new.values()), flags)
            yield "".join(filter(None, map(self._letter, sorted(flags))))

    def _assign(self, new: Sequence[str], flags: Set[str]) -> None:
        if any(len(name) > KEYWORD_OCTETS for name in new):
            raise TooManyKeywordsError("The keyword is too long.")
        names = [*self.names, *new]
        if len(names) > KEYWORDS_MAX:
            needed = {*self._letters_in_use(), *filter(None, map(self._letter, flags))}
            unused = [place for place in range(len(self.names)) if _letter_at(place) not in needed]
            names = self.names + [""] * (KEYWORDS_MAX - len(self.names))
            places = [*range(len(self.names), KEYWORDS_MAX), *unused]
            if len(new) > len(places):
                text = f"A mailbox has {KEYWORDS_MAX} keywords at most, and this one has room for {len(places)} more."
                raise TooManyKeywordsError(text)
            for place, name in zip(places, new, strict=False):
                names[place] = name
        replace_file(self._path, "".join(f"{name}\n" for name in names).encode("ascii"))
        self.names = names
        self._flags.clear()

    def letters_to_free(self, flags: Set[str], needed: Set[str]) -> frozenset[str]:
        """Return the letters that messages must give up so that the keywords in `flags` all get one.

        `needed` has the letters that remain in use. The result is empty if there are enough letters without that, or
        too few in any case.
        """
        new = {flag.lower() for flag in flags if self._letter(flag) is None}
        if len(self.names) + len(new) <= KEYWORDS_MAX:
            return frozenset()
        kept = needed | set(filter(None, map(self._letter, flags)))
        return KEYWORD_LETTERS - kept if len(new) <= len(KEYWORD_LETTERS - kept) else frozenset()

    def _letter(self, flag: str) -> str | None:
        if flag in FLAGS:
            return FLAGS[flag]
        for place, name in enumerate(self.names):
            if name.lower() == flag.lower():
                return _letter_at(place)
        return None


def _letter_at(place: int) -> str:
    return chr(ord("a") + place)
