"""Which names a user has subscribed to: one a line; they need not be those of folders (RFC 3501 section 6.3.6)."""

from services.mail.maildir.errors import MaildirError
from services.mail.maildir.limits import SUBSCRIPTIONS_MAX
from services.mail.maildir.locking import locked
from services.mail.maildir.replacing import read_file, replace_file

FILE = "subscriptions"


class Subscriptions:
    """The file `subscriptions` of a user's directory, where Dovecot has its own, in the same form."""

    def __init__(self, root: str) -> None:
        self._path = f"{root}/{FILE}"

    def names(self) -> list[str]:
        """Return the names, in the order in which they were added."""
        octets = read_file(self._path) or b""
        return [line for line in octets.decode("ascii", "replace").split("\n") if line]

    def add(self, name: str) -> None:
        """Subscribe to a name; raises MaildirError where there are too many."""
        with locked(f"{self._path}.lock"):
            names = self.names()
            if name in names:
                return
            if len(names) >= SUBSCRIPTIONS_MAX:
                raise MaildirError(f"There are {SUBSCRIPTIONS_MAX} subscriptions already.")
            self._write([*names, name])

    def remove(self, name: str) -> bool:
        """End a subscription; False where there was none."""
        with locked(f"{self._path}.lock"):
            names = self.names()
            if name not in names:
                return False
            self._write([other for other in names if other != name])
            return True

    def _write(self, names: list[str]) -> None:
        replace_file(self._path, "".join(f"{name}\n" for name in names).encode("ascii"))
