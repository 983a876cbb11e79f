"""Which message an address means: folder, UID, and the UIDVALIDITY that the UID is of (RFC 3501 section 2.3.1.1)."""

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
    """A message that is there."""

    folder_name: str
    folder: Folder
    uid: int

    def link(self, path: str, **more: object) -> str:
        """Return an address that means this message."""
        return link(path, folder=self.folder_name, uid=self.uid, v=self.folder.uidvalidity, **more)

    def read(self) -> bytes:
        """Return its octets; raises PageError 404 where it has gone, 413 where it is too large for a page."""
        try:
            if self.folder.size_octets(self.uid) > SHOWN_OCTETS:
                raise PageError(413, f"The message is larger than {SHOWN_OCTETS} octets: fetch it by IMAP or POP3.")
            return self.folder.read(self.uid)
        except MaildirError:
            raise PageError(404, _GONE) from None


def number(text: str) -> int | None:
    """Return a decimal number, None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _UID_DIGITS else None


def checked_folder(maildir: Maildir, form: Form) -> Folder:
    """Return the folder that a form's UIDs are of; raises PageError 404, and 409 where it is another by now."""
    folder = folders.opened(maildir, form.get("folder"))
    if form.get("v") != str(folder.uidvalidity):
        raise PageError(409, "The folder has been made anew: open it again.")
    return folder


def located_by(maildir: Maildir, form: Form) -> Located:
    """Return the message that a query's or a form's fields mean; raises PageError."""
    folder = checked_folder(maildir, form)
    uid = number(form.get("uid"))
    if uid is None or uid not in folder.messages:
        raise PageError(404, _GONE)
    return Located(form.get("folder"), folder, uid)


def located(visit: UserVisit) -> Located:
    """Return the message that a page's address means; raises PageError."""
    return located_by(visit.maildir, visit.query)
