"""Webmail page with a folder's message list (paginated, newest first), and search in header fields."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.message_content.address_list import parse_name_addrs
from lab7.services.mail.mime.header import Header, parse_header
from lab7.services.mail.mime.words import decode_words
from lab7.services.mail.webmail.limits import BATCH_MESSAGES, PAGE_MESSAGES, SEARCH_CHARACTERS, SEARCH_MESSAGES_MAX
from lab7.services.mail.webmail.message_url import MessageLocation, parse_number
from lab7.services.mail.webmail.pages import Pages
from lab7.services.mail.webmail.requests import IoRequest, Steps, UserPageRequest, YieldControl
from lab7.services.mail.webmail.views import folders
from lab7.services.mail.webmail.views.dates import full_date, short_date

# Values of the URL parameter `select`: which messages of the list are selected.
SELECT_PAGE, SELECT_ALL = "page", "all"
_SEARCHED_FIELDS = (b"from", b"to", b"cc", b"subject")
_SHOWN_CHARACTERS = 200
# Maximum octets of an address field that are parsed for the message list; longer recipient lists are truncated.
_ADDRESS_FIELD_OCTETS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """Row of the message list: the message's UID, URL, correspondent, subject, date, size and flags."""

    uid: int
    href: str
    correspondent: str
    subject: str
    date: str
    full_date: str
    size_octets: int
    is_unread: bool
    is_flagged: bool
    is_answered: bool


def get_folder(request: UserPageRequest, pages: Pages) -> Steps:
    """Render a page of a folder's message list, or of the result of a search."""
    name = request.query.get("name") or "INBOX"
    folder = folders.open_folder(request.maildir, name)
    words = request.query.get("q").strip()[:SEARCH_CHARACTERS]
    uids = yield from listed_uids(folder, words)
    last = max((len(uids) - 1) // PAGE_MESSAGES + 1, 1)
    page = min(max(parse_number(request.query.get("page")) or 1, 1), last)
    selected = request.query.get("select")
    page_uids = uids[(page - 1) * PAGE_MESSAGES : page * PAGE_MESSAGES]
    values = {
        "here": name,
        "title": folders.title_of(name),
        "rows": [row for uid in page_uids if (row := _row(name, folder, uid, request.now)) is not None],
        "count": len(uids),
        "page": page,
        "last": last,
        "words": words,
        "uidvalidity": folder.uidvalidity,
        "in_trash": name == folders.TRASH,
        "is_outgoing": name in folders.OUTGOING,
        "selected": selected if selected in (SELECT_PAGE, SELECT_ALL) else "",
        "last_uid": max(folder.uids, default=0),
        "searched_max": SEARCH_MESSAGES_MAX if words and len(folder.uids) > SEARCH_MESSAGES_MAX else None,
    }
    return pages.page(request, "folder.html", values)


def listed_uids(folder: Folder, words: str) -> Generator[IoRequest, None, Sequence[int]]:
    """Return the UIDs of a folder's messages, newest first.

    If `words` is not empty, only the messages whose header fields contain all of these words are returned.
    """
    uids = folder.uids[::-1]
    words = words.strip()[:SEARCH_CHARACTERS]
    return (yield from _search(folder, uids, words.casefold().split())) if words else uids


def _search(folder: Folder, uids: Sequence[int], words: Sequence[str]) -> Generator[IoRequest, None, list[int]]:
    """Return the UIDs of the messages whose header fields contain all words, in the order of `uids`.

    Yields I/O requests now and then, so that other requests can run.
    """
    matches = []
    for index, uid in enumerate(uids[:SEARCH_MESSAGES_MAX]):
        header = _header(folder, uid)
        text = " ".join(_text(header, name) for name in _SEARCHED_FIELDS).casefold() if header is not None else ""
        if header is not None and all(word in text for word in words):
            matches.append(uid)
        if index % BATCH_MESSAGES == BATCH_MESSAGES - 1:
            yield YieldControl()
    return matches


def _header(folder: Folder, uid: int) -> Header | None:
    try:
        return parse_header(folder.read_header(uid))
    except MaildirError:
        return None


def _text(header: Header, name: bytes) -> str:
    return decode_words(header.first(name) or b"")


def _row(name: str, folder: Folder, uid: int, now: float) -> Row | None:
    header = _header(folder, uid)
    if header is None:
        return None
    try:
        message, date, size_octets = folder.message(uid), folder.date(uid), folder.size_octets(uid)
    except MaildirError:
        return None
    correspondent = _names(header.first(b"to" if name in folders.OUTGOING else b"from") or b"")
    location = MessageLocation(name, folder, uid)
    is_draft = name == folders.DRAFTS
    return Row(
        uid,
        location.link("/compose", way="draft") if is_draft else location.link("/message"),
        correspondent or ("(no recipient)" if is_draft else "(no address)"),
        _text(header, b"subject").strip()[:_SHOWN_CHARACTERS] or "(no subject)",
        short_date(date, now),
        full_date(date),
        size_octets,
        folders.SEEN not in message.flags,
        folders.FLAGGED in message.flags,
        folders.ANSWERED in message.flags,
    )


def _names(field: bytes) -> str:
    """Return the names in an address field as text: the display names, or mailboxes that have no display name."""
    name_addrs = parse_name_addrs(field[:_ADDRESS_FIELD_OCTETS])
    return ", ".join(name_addr.display_text for name_addr in name_addrs if name_addr.display_text)[:_SHOWN_CHARACTERS]
