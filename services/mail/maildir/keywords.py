"""Keywords of a Maildir folder: user-defined flags, stored as letters in file names (RFC 3501 section 2.3.2)."""

from collections.abc import Set

from lab7.services.mail.maildir.delivery import FLAGS, LETTERS, locked, read_file, replace_file
from lab7.services.mail.maildir.errors import TooManyKeywordsError
from lab7.services.mail.maildir.limits import KEYWORD_OCTETS, KEYWORDS_MAX

FILE = "lab7-keywords"
KEYWORDS_LOCK = "lab7-keywords.lock"


class Keywords:
    """The keywords of a folder (RFC 3501 section 2.3.2), and the file that maps each to a letter a to z.

    The letters are in the file names of messages. Other processes may add keywords, so read() has to be called before
    the folder is listed.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{FILE}"
        self._lock = f"{folder}/{KEYWORDS_LOCK}"
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

    def letters_of(self, flags: frozenset[str]) -> str:
        """Return the letters for flags, after add(), which assigns letters to new keywords; raises the same errors."""
        self.add(flags)
        return "".join(filter(None, map(self._letter, sorted(flags))))

    def add(self, flags: Set[str]) -> None:
        """Assign letters to the keywords in `flags` that have none yet: to all of them, or to none.

        Raises TooManyKeywordsError and OSError. A command that sets flags on several messages adds the keywords of all
        of them before it changes the first message, since a command that fails must not leave keywords behind.
        """
        if all(map(self._letter, flags)):
            return
        with locked(self._lock):
            self.read()
            # RFC 3501 section 9: keywords are case-insensitive.
            new = {flag.lower(): flag for flag in sorted(flags, reverse=True) if self._letter(flag) is None}
            names = [*self.names, *sorted(new.values())]
            if any(len(name) > KEYWORD_OCTETS for name in new.values()):
                raise TooManyKeywordsError("The keyword is too long.")
            if len(names) > KEYWORDS_MAX:
                text = f"A mailbox has {KEYWORDS_MAX} keywords at most, and this one has {len(self.names)}."
                raise TooManyKeywordsError(text)
            if new:
                replace_file(self._path, "".join(f"{name}\n" for name in names).encode("ascii"))
                self.names = names
                self._flags.clear()

    def _letter(self, flag: str) -> str | None:
        if flag in FLAGS:
            return FLAGS[flag]
        for place, name in enumerate(self.names):
            if name.lower() == flag.lower():
                return chr(ord("a") + place)
        return None
