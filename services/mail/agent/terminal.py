"""Formatting of messages for a terminal: header fields, text and attachment list, without control characters.

Control characters are removed, so that a message cannot send escape sequences to the terminal. Characters that change
the direction of text (Unicode property Bidi_Control, UTR 36 section 3.3) are removed as well, since they can make one
name look like another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from lab7.services.mail.message_content.contents import HTML, Contents, LeafPart
from lab7.services.mail.mime.header import parse_header
from lab7.services.mail.mime.words import decode_words

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LINE_CONTROLS = re.compile("[\t\n]")
_FIELDS = (b"date", b"from", b"to", b"cc", b"subject")
_TAG = re.compile(r"<[^<>]{0,10000}>")
# Columns to which the message list truncates names and subjects.
_NAME_COLUMNS, _SUBJECT_COLUMNS = 30, 60


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A line of the message list: number, size in octets, sender and subject of a message."""

    number: int
    size_octets: int
    header: bytes

    @property
    def line(self) -> str:
        """The summary as one line of the message list, with padded columns."""
        header = parse_header(self.header)
        sender, subject = (one_line(decode_words(header.first(name) or b"")) for name in (b"from", b"subject"))
        return f"{self.number:>4} {self.size_octets:>9} {sender[:_NAME_COLUMNS]:<30} {subject[:_SUBJECT_COLUMNS]}"


def strip_controls(text: str) -> str:
    """Remove control characters, and those that change the direction of text; keep tabs and line ends."""
    return _CONTROLS.sub("", text)


def one_line(text: str) -> str:
    """Remove control characters and replace tabs and line ends by spaces, so that the text stays on one line."""
    return _LINE_CONTROLS.sub(" ", strip_controls(text))


def message_text(octets: bytes) -> str:
    """Format a message for a terminal; if it has no plain text part, the HTML part is shown without tags."""
    contents = Contents(octets)
    lines = [
        f"{name.decode().capitalize()}: {one_line(contents.field(name))}" for name in _FIELDS if contents.field(name)
    ]
    texts = [_text(contents, leaf) for leaf in contents.texts(html=False)]
    files = [f"[{line}]" for line in attachment_lines(contents)]
    return strip_controls("\n".join([*lines, "", *texts, *files]).rstrip("\n")) + "\n"


def _text(contents: Contents, leaf: LeafPart) -> str:
    text = contents.text(leaf)
    return unescape(_TAG.sub("", text)) if leaf.media_type == HTML else text


def attachment_lines(contents: Contents) -> Iterator[str]:
    """Yield one line of text for each attachment: section number, media type, name, size."""
    for leaf in contents.files:
        yield one_line(f"{leaf.number} {leaf.media_type} {leaf.file_name} {len(contents.decoded(leaf))} octets")
