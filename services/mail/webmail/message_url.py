"""Message URLs: folder, UID, and the UIDVALIDITY of the UID (RFC 3501 section 2.3.1.1)."""

from dataclasses import dataclass

from services.http.forms import Form
from services.mail.maildir.errors import MaildirError
from services.mail.maildir.folder import Folder
from services.mail.maildir.store import Maildir
from services.mail.webmail.limits import SHOWN_OCTETS
from services.mail.webmail.pages import link
from services.mail.webmail.requests import PageError, UserVisit
from services.mail.webmail.views import folders

_GONE = "The message is no longer there: it has been moved or removed."
_UID_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Located:
    """An existing message."""

    folder_name: str
    folder: Folder
    uid: int

    def link(self, path: str, **more: object) -> str:
        """Return a URL of this message."""
        return link(path, folder=self.folder_name, uid=self.uid, v=self.folder.uidvalidity, **more)

    def read(self) -> bytes:
        """Return the message; raise PageError 404 if it is gone, 413 if it is too large for a page."""
        try:
            if self.folder.size_octets(self.uid) > SHOWN_OCTETS:
                raise PageError(413, f"The message is larger than {SHOWN_OCTETS} octets: fetch it by IMAP or POP3.")
            return self.folder.read(self.uid)
        except MaildirError:
            raise PageError(404, _GONE) from None


def number(text: str) -> int | None:
    """Parse a decimal number; None if invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _UID_DIGITS else None


def checked_folder(maildir: Maildir, form: Form) -> Folder:
    """Return the folder of a form; raise PageError 404, or 409 if its UIDVALIDITY has changed."""
    folder = folders.opened(maildir, form.get("folder"))
    if form.get("v") != str(folder.uidvalidity):
        raise PageError(409, "The folder has been made anew: open it again.")
    return folder


def located_by(maildir: Maildir, form: Form) -> Located:
    """Return the message that the fields of a query or form identify; raise PageError."""
    folder = checked_folder(maildir, form)
    uid = number(form.get("uid"))
    if uid is None or uid not in folder.messages:
        raise PageError(404, _GONE)
    return Located(form.get("folder"), folder, uid)


def located(visit: UserVisit) -> Located:
    """Return the message that the page's URL identifies; raise PageError."""
    return located_by(visit.maildir, visit.query)
