"""Parser of IMAP URLs in CATENATE, and reader of the message or part that a URL identifies (RFC 5092, RFC 5550).

    /INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
    /;UID=20 or ;UID=20                     in the selected mailbox

Only URLs relative to this server and user are accepted: a URL with a host is refused.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.session_state import CachedMessage, SessionState
from lab7.services.mail.imap.syntax.fetch_items import Section, parse_section, section_octets
from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.maildir.folder import Folder

_URL = re.compile(
    rb"(?:/(?P<mailbox>[^;/?][^;?]*?)(?:;UIDVALIDITY=(?P<uidvalidity>[1-9]\d{0,9}))?)?/?;UID=(?P<uid>[1-9]\d{0,9})"
    rb"(?:/;SECTION=(?P<section>[^;/?]+(?:/[^;/?]+)*))?(?:/;PARTIAL=(?P<first>\d{1,10})(?:\.(?P<count>[1-9]\d{0,9}))?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A parsed IMAP URL; `mailbox` None is the selected mailbox; `partial` is (first octet, octet count or None)."""

    mailbox: str | None
    uidvalidity: int | None
    uid: int
    section: Section
    partial: tuple[int, int | None] | None


def parse_message_url(url: bytes) -> MessageUrl:
    """Parse an IMAP URL of a message or part; raise BadError for any other text."""
    match = _URL.fullmatch(url)
    if match is None:
        raise BadError("Not an IMAP URL of a message on this server.")
    mailbox = match["mailbox"]
    section = unquote_to_bytes(match["section"] or b"")
    partial = None
    if match["first"] is not None:
        partial = (int(match["first"]), int(match["count"]) if match["count"] else None)
    return MessageUrl(
        None if mailbox is None else unquote_to_bytes(mailbox.rstrip(b"/")).decode("latin-1"),
        int(match["uidvalidity"]) if match["uidvalidity"] else None,
        int(match["uid"]),
        parse_section(section),
        partial,
    )


def read_message_url(session: SessionState, url: bytes) -> bytes:
    """Return the octets that an IMAP URL identifies; raise NoError with BADURL if it fails (RFC 4469 section 4)."""
    try:
        parsed = parse_message_url(url)
        folder = _folder(session, parsed)
        message = CachedMessage(folder, parsed.uid)
        octets = section_octets(message.octets, message.root, parsed.section)
    except (BadError, MaildirError):
        octets = None
    if octets is None:
        text = url.decode("ascii", "replace").replace("\\", "").replace('"', "").replace("]", "")
        raise NoError("The URL names no message.", f'BADURL "{text}"')
    if parsed.partial is not None:
        first, count = parsed.partial
        octets = octets[first : len(octets) if count is None else first + count]
    return octets


def _folder(session: SessionState, url: MessageUrl) -> Folder:
    if url.mailbox is None:
        return session.selected().folder
    folder = session.user_maildir().folder(url.mailbox)
    folder.refresh()
    if url.uidvalidity not in (None, folder.uidvalidity):
        raise BadError("The URL is of another UIDVALIDITY.")
    return folder
