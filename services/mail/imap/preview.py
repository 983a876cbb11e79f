"""PREVIEW of a message for IMAP FETCH: the beginning of its text (RFC 8970)."""

import re
from html.parser import HTMLParser

from lab7.services.mail.imap.session_state import CachedMessage
from lab7.services.mail.mime.structure import Part
from lab7.services.mail.mime.words import decode_transfer, text_of

# RFC 8970 section 3.1: at most 256 characters; a preview of 200 is what Dovecot sends.
PREVIEW_CHARACTERS = 200
# Maximum octets of a text part that are decoded for its preview.
_TEXT_OCTETS = 16_384
_BLANKS = re.compile(r"\s+")
_INVISIBLE = frozenset(("head", "script", "style", "title"))


class _Text(HTMLParser):
    """HTML parser that collects the visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Enter an HTML element; some elements (such as style) make the text in them invisible."""
        self._hidden += tag in _INVISIBLE
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Leave an HTML element."""
        self._hidden = max(0, self._hidden - (tag in _INVISIBLE))
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        """Collect the text, unless it is in an invisible element."""
        if not self._hidden:
            self.pieces.append(data)


def preview(content: CachedMessage) -> str:
    """Return the beginning of the first text part, with each run of white space as one space; empty without text.

    Lines of plain text that begin with `>`, which quote another message, are left out.
    """
    part = _text_part(content.root)
    if part is None:
        return ""
    body = content.octets[part.body_begin : min(part.body_end, part.body_begin + _TEXT_OCTETS)]
    decoded = decode_transfer(body, part.header.first(b"content-transfer-encoding"))
    text = text_of(decoded, part.content_type.get(b"charset"))
    if part.type_and_subtype[1].lower() == b"html":
        parser = _Text()
        parser.feed(text)
        text = "".join(parser.pieces)
    else:
        # Quoted lines are left out, because they repeat another message.
        text = "\n".join(line for line in text.splitlines() if not line.startswith(">"))
    return _BLANKS.sub(" ", text.replace("\0", "")).strip()[:PREVIEW_CHARACTERS].rstrip()


def _text_part(root: Part) -> Part | None:
    """Return the message's first plain text part, otherwise the first HTML part."""
    html: Part | None = None
    pending = [root]
    while pending:
        part = pending.pop()
        kind, subtype = (half.lower() for half in part.type_and_subtype)
        if part.is_multipart:
            pending += reversed(part.children)
        elif part.message is not None:
            pending.append(part.message)
        elif kind == b"text" and subtype == b"html":
            html = html or part
        elif kind == b"text":
            return part
    return html
