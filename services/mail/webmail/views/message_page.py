"""Webmail page of a message: header fields, text, pictures and attachments.

Sanitised HTML is part of the page, in an element that clips it, so that it cannot cover the rest of the page. Such a
page has a Content-Security-Policy with a sandbox (pages.py). Remote pictures are removed unless the user has permitted
them for this message. A message that cannot be parsed is displayed as source.
"""

import re
from dataclasses import dataclass

from lab7.services.http.messages import Response
from lab7.services.mail.maildir.errors import MaildirError
from lab7.services.mail.message_content.contents import HTML, Contents, LeafPart
from lab7.services.mail.webmail.limits import LINKED_CHARACTERS, PICTURES_MAX, SOURCE_CHARACTERS
from lab7.services.mail.webmail.message_url import MessageLocation, requested_message
from lab7.services.mail.webmail.pages import Pages
from lab7.services.mail.webmail.requests import UserPageRequest
from lab7.services.mail.webmail.views import folders
from lab7.services.mail.webmail.views.attachments import PICTURES, part_link
from lab7.services.mail.webmail.views.dates import full_date
from lab7.services.mail.webmail.views.safe_html import TooMuchHtmlError, safe_html

_FIELDS = ((b"from", "From"), (b"to", "To"), (b"cc", "Cc"), (b"date", "Date"))
_MENTIONED = re.compile(r"cid:([^\"'\s<>)]{1,500})", re.IGNORECASE)
_FIELD_CHARACTERS = 5_000


def get_message(request: UserPageRequest, pages: Pages) -> Response:
    r"""Render the page of a message and set the message's flag \Seen."""
    location = requested_message(request)
    octets = location.read()
    try:
        folders.change_flag(location.folder, location.uid, folders.SEEN, True)
    except MaildirError:
        # If another program has just removed the message, display the text read before, with a notice.
        request.session.notice = "The message has been moved or deleted."
    keeps_remote = request.session.pictures.get(location.key) is not None
    remote_for = request.host if keeps_remote else None
    values = _message_values(location, octets, request.query.get("as"), remote_for)
    context = {"here": location.folder_name, "shows_remote": keeps_remote} | _context_values(location)
    return pages.message_page(request, context | values, has_html=values["view"] == "html", has_remote=keeps_remote)


def _context_values(location: MessageLocation) -> dict[str, object]:
    """Return the template values for a message page: folder, flags, and links to the next newer and older message."""
    folder = location.folder
    position = folder.position(location.uid)
    newer, older = folder.uids[position + 1 : position + 2], folder.uids[max(position - 1, 0) : position]
    message = folder.messages.get(location.uid)
    return {
        "place": location,
        "folder_title": folders.title_of(location.folder_name),
        "newer": MessageLocation(location.folder_name, folder, newer[0]).link("/message") if newer else "",
        "older": MessageLocation(location.folder_name, folder, older[0]).link("/message") if older else "",
        "is_flagged": message is not None and folders.FLAGGED in message.flags,
        "is_draft": message is not None and folders.DRAFT in message.flags,
        "in_trash": location.folder_name == folders.TRASH,
    }


def _message_values(location: MessageLocation, octets: bytes, view: str, remote_for: str | None) -> dict[str, object]:
    if view != "source":
        try:
            return _parsed_values(location, Contents(octets), view, remote_for)
        except Exception:
            # Show the source of a message on unexpected parser errors, which must not hide the message.
            return _source_values(octets, "This message cannot be parsed: its source is shown.")
    return _source_values(octets, "")


def _source(octets: bytes) -> list[str]:
    return [octets[:SOURCE_CHARACTERS].decode("utf-8", "replace").replace("\r\n", "\n")]


def _source_values(octets: bytes, why: str) -> dict[str, object]:
    note = (
        ("Only the beginning is shown: download the message to read all of it.")
        if len(octets) > SOURCE_CHARACTERS
        else ""
    )
    return {
        "subject": "Source of the message",
        "fields": [],
        "texts": [(False, text) for text in _source(octets)],
        "linked": False,
        "has_html": False,
        "remote": 0,
        "view": "source",
        "pictures": [],
        "files": [],
        "notes": [text for text in (why, note) if text],
    }


def _parsed_values(
    location: MessageLocation, contents: Contents, view: str, remote_for: str | None
) -> dict[str, object]:
    fields = [(title, text) for name, title in _FIELDS if (text := contents.field(name)[:_FIELD_CHARACTERS].strip())]
    if "Date" not in dict(fields):
        fields.append(("Arrived", full_date(location.folder.date(location.uid)) + " UTC"))
    is_html = view != "text" and contents.has_html
    body = _html_body(location, contents, remote_for) if is_html else _plain_body(contents)
    mentioned = _embedded_content_ids(contents) if is_html else frozenset()
    others = [leaf for leaf in contents.files if leaf.content_id not in mentioned]
    pictures = [leaf for leaf in others if leaf.media_type in PICTURES][:PICTURES_MAX]
    has_text = is_html or contents.files or any(text for _, text in body.texts)
    notes = [] if has_text else ["The message has no text."]
    if body.too_much:
        notes.append("The HTML of this message exceeds the limits of the sanitiser: its source is shown.")
    return {
        "subject": contents.field(b"subject").strip() or "(no subject)",
        "fields": fields,
        "texts": body.texts,
        "linked": not is_html and sum(len(text) for _, text in body.texts) <= LINKED_CHARACTERS,
        "has_html": contents.has_html,
        "remote": body.remote,
        "view": "html" if is_html else "text",
        "pictures": [(leaf.file_name, part_link(location, leaf.number)) for leaf in pictures],
        "files": [_file(location, contents, leaf) for leaf in contents.files],
        "notes": notes,
    }


@dataclass(frozen=True, slots=True)
class _Body:
    """The body of a message page: its texts as pairs (is HTML, text).

    `remote` is the number of remote pictures in it; `too_much` is True if HTML exceeds the limits.
    """

    texts: list[tuple[bool, str]]
    remote: int = 0
    too_much: bool = False


def _plain_body(contents: Contents) -> _Body:
    return _Body([(False, contents.text(leaf)) for leaf in contents.texts(html=False)])


def _file(location: MessageLocation, contents: Contents, leaf: LeafPart) -> tuple[str, str, int, str]:
    return leaf.file_name, leaf.media_type, len(contents.decoded(leaf)), part_link(location, leaf.number)


def _embedded_content_ids(contents: Contents) -> frozenset[str]:
    """Return the Content-IDs of pictures that the message's HTML embeds by `cid` URLs (RFC 2392)."""
    texts = (contents.text(leaf) for leaf in contents.texts(html=True) if leaf.media_type == HTML)
    return frozenset(match[1] for text in texts for match in _MENTIONED.finditer(text))


def _html_body(location: MessageLocation, contents: Contents, remote_for: str | None) -> _Body:
    """Return the sanitised HTML parts of a message, and the plain text parts between them."""
    by_id = {leaf.content_id: leaf for leaf in contents.files if leaf.content_id and leaf.media_type in PICTURES}

    def picture_of(content_id: str) -> str | None:
        leaf = by_id.get(content_id)
        return None if leaf is None else part_link(location, leaf.number)

    texts: list[tuple[bool, str]] = []
    remote, too_much = 0, False
    for leaf in contents.texts(html=True):
        text = contents.text(leaf)
        if leaf.media_type != HTML:
            texts.append((False, text))
            continue
        try:
            safe = safe_html(text, picture_of, remote_for)
        except TooMuchHtmlError:
            too_much = True
            texts.append((False, text))
        else:
            remote += safe.remote_pictures
            texts.append((True, safe.html))
    return _Body(texts, remote, too_much)
