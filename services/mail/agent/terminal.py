"""Terminal output of messages: header fields, text and attachment list.

Control characters are removed, so that a message cannot send escape sequences to the terminal.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from services.mail.message_content.contents import HTML, Contents, LeafPart
from services.mail.mime.header import parse_header
from services.mail.mime.words import decode_words

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FIELDS = (b"date", b"from", b"to", b"cc", b"subject")
_TAG = re.compile(r"<[^<>]{0,10000}>")
# Column widths of name and subject in the message list.
_NAME_COLUMNS, _SUBJECT_COLUMNS = 30, 60


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """One entry of the message list."""

    number: int
    size_octets: int
    header: bytes

    @property
    def line(self) -> str:
        """One line: number, size, sender, subject."""
        header = parse_header(self.header)
        sender, subject = (strip_controls(decode_words(header.first(name) or b"")) for name in (b"from", b"subject"))
        return f"{self.number:>4} {self.size_octets:>9} {sender[:_NAME_COLUMNS]:<30} {subject[:_SUBJECT_COLUMNS]}"


def strip_controls(text: str) -> str:
    """Remove control characters from a text."""
    return _CONTROLS.sub("", text)


def message_text(octets: bytes) -> str:
    """Format a message for a terminal; HTML without its tags if there is no plain text."""
    contents = Contents(octets)
    lines = [f"{name.decode().capitalize()}: {contents.field(name)}" for name in _FIELDS if contents.field(name)]
    texts = [_text(contents, leaf) for leaf in contents.texts(html=False)]
    files = [f"[{line}]" for line in attachment_lines(contents)]
    return strip_controls("\n".join([*lines, "", *texts, *files]).rstrip("\n")) + "\n"


def _text(contents: Contents, leaf: LeafPart) -> str:
    text = contents.text(leaf)
    return unescape(_TAG.sub("", text)) if leaf.media_type == HTML else text


def attachment_lines(contents: Contents) -> Iterator[str]:
    """List attachments, one a line: section, media type, name, size."""
    for leaf in contents.files:
        yield f"{leaf.number} {leaf.media_type} {leaf.file_name} {len(contents.decoded(leaf))} octets"
