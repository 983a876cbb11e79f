"""UIDVALIDITY values of a user's folders: new values, and the values that names had before (RFC 9051 section 2.3.1.1).

    lab7-uidvalidity            the last value that was assigned
    lab7-former-names           names whose folder was removed or renamed, one a line
        1700000003 Work/2026        the greatest UIDVALIDITY of a folder with the name Work/2026
        1700000000                  without a name: the greatest of all names dropped to keep the file short

A client that has cached UIDs under a name must notice that another folder has this name now: the UIDVALIDITY of a name
never decreases. A new folder gets a value above all others; a folder that is renamed may have a smaller value than the
folder that had the name before it.
"""

import os

from lab7.services.mail.maildir.delivery import locked, read_file, replace_file
from lab7.services.mail.maildir.limits import FORMER_NAMES_MAX

FILE = "lab7-uidvalidity"
FORMER_NAMES_FILE = "lab7-former-names"


class UidValidities:
    """Files with the last UIDVALIDITY assigned to a user's folders, and the greatest one of each former folder name.

    All methods raise OSError.
    """

    def __init__(self, root: str) -> None:
        self._path = f"{root}/{FILE}"
        self._former_path = f"{root}/{FORMER_NAMES_FILE}"
        self._lock = f"{self._path}.lock"

    def new(self) -> int:
        """Return a UIDVALIDITY larger than all before, for a new or recreated folder (RFC 3501 section 2.3.1.1)."""
        with locked(self._lock) as lock:
            os.utime(lock)
            last = read_file(self._path) or b""
            value = max(int(os.fstat(lock).st_mtime), int(last) + 1 if last.isdigit() else 0)
            replace_file(self._path, b"%d" % value)
            return value

    def former(self, name: str) -> int:
        """Return the greatest UIDVALIDITY of all former folders with this name; 0 if there were none."""
        return _former(self._read(), name)

    def retire(self, name: str, uidvalidity: int) -> None:
        """Record the UIDVALIDITY of a folder that is about to be renamed or removed, under its present name."""
        with locked(self._lock):
            values = self._read()
            if uidvalidity <= _former(values, name):
                return
            values[name] = uidvalidity
            # The entry "" replaces the smallest values: few folders that exist have smaller ones.
            while len(values) > FORMER_NAMES_MAX:
                smallest = min(values.keys() - {""}, key=values.__getitem__)
                values[""] = max(values.pop(smallest), values.get("", 0))
            lines = "".join(f"{value} {name}\n" for name, value in values.items())
            replace_file(self._former_path, lines.encode("ascii"))

    def _read(self) -> dict[str, int]:
        values = {}
        for line in (read_file(self._former_path) or b"").decode("ascii", "replace").split("\n"):
            value, _, name = line.partition(" ")
            if value.isdecimal():
                values[name] = int(value)
        return values


def _former(values: dict[str, int], name: str) -> int:
    return values.get(name, values.get("", 0))
