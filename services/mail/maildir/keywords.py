"""Keywords of a Maildir folder: user-defined flags, stored as letters in file names (RFC 3501 section 2.3.2)."""

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
