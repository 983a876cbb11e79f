"""URLs that identify a message by folder, UID and UIDVALIDITY (RFC 3501 section 2.3.1.1): formatter and lookup."""

from dataclasses import dataclass

from lab7.services.http.forms import Form
from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.webmail.limits import PARSED_OCTETS
from lab7.services.mail.webmail.pages import link
from lab7.services.mail.webmail.requests import PageError, UserPageRequest
from lab7.services.mail.webmail.views import folders

_GONE = "The message was not found: it has been moved or deleted."
_UID_DIGITS = 10


@dataclass(frozen=True, slots=True)
class MessageLocation:
    """An existing message: folder name, folder and UID."""

    folder_name: str
    folder: Folder
    uid: int

    @property
    def key(self) -> tuple[str, int, int]:
        """Folder name, UIDVALIDITY and UID, which identify the message permanently."""
        return self.folder_name, self.folder.uidvalidity, self.uid

    def link(self, path: str, **more: object) -> str:
        """Return the URL of the page `path` for this message; further query parameters are appended."""
        return link(path, folder=self.folder_name, uid=self.uid, v=self.folder.uidvalidity, **more)

    def read(self) -> bytes:
        """Return the message's octets; raise PageError 404 if it was removed, 413 above PARSED_OCTETS."""
        try:
            if self.folder.size_octets(self.uid) > PARSED_OCTETS:
                raise PageError(413, f"The message is larger than {PARSED_OCTETS} octets: fetch it by IMAP or POP3.")
            return self.folder.read(self.uid)
        except MaildirError:
            raise PageError(404, _GONE) from None


def parse_number(text: str) -> int | None:
    """Return the value of a decimal number of at most 10 digits, None if the text is invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _UID_DIGITS else None


def checked_folder(maildir: Maildir, form: Form) -> Folder:
    """Return the folder that a form names; raise PageError 404 if it is missing.

    Raises PageError 409 if the folder was recreated: its UIDVALIDITY differs from the form's.
    """
    folder = folders.open_folder(maildir, form.get("folder"))
    if form.get("v") != str(folder.uidvalidity):
        raise PageError(409, "The folder was deleted and created again: open it again.")
    return folder


def find_message(maildir: Maildir, form: Form) -> MessageLocation:
    """Return the message that a query or form identifies; raise PageError 404 if it was removed."""
    folder = checked_folder(maildir, form)
    uid = parse_number(form.get("uid"))
    if uid is None or uid not in folder.messages:
        raise PageError(404, _GONE)
    return MessageLocation(form.get("folder"), folder, uid)


def requested_message(request: UserPageRequest) -> MessageLocation:
    """Return the message that the request's URL identifies; raise PageError 404 if it was removed."""
    return find_message(request.maildir, request.query)
