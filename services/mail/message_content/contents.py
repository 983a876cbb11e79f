"""Selection of the parts of a MIME message to display as text, or to offer as files (RFC 2046 section 5.1, RFC 2387).

    contents = Contents(octets)
    contents.field(b"subject")                  decoded text of a field
    contents.texts(html=True)                   text parts to display, in order
    contents.files                              parts to offer as files
    contents.decoded(contents.files[0])         octets of the file, without their Content-Transfer-Encoding

Of a multipart/alternative, one part is displayed: the last part of the preferred type, HTML or plain text, else the
last part that can be displayed. Embedded messages, and parts beyond the MIME parser's nesting depth, are files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lab7.services.mail.message_content.file_names import parameter_text, safe_file_name
from lab7.services.mail.message_content.limits import LEAF_PARTS_MAX, TEXT_CHARACTERS
from lab7.services.mail.mime.parameters import parse_parametric
from lab7.services.mail.mime.structure import Part, parse
from lab7.services.mail.mime.words import decode_transfer, decode_words, text_of

PLAIN, HTML = "text/plain", "text/html"
_ENDINGS = {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml", "image/jpeg": ".jpg"}
_ENDINGS |= {"image/png": ".png", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class LeafPart:
    """A MIME part without subparts; `number` is its section number as in IMAP (RFC 3501 section 6.4.5)."""

    number: str
    part: Part
    media_type: str
    file_name: str
    content_id: str
    is_attachment: bool

    @property
    def is_text(self) -> bool:
        """True if the part is text/plain or text/html, and not an attachment."""
        return self.media_type in (PLAIN, HTML) and not self.is_attachment


class Contents:
    """A message with CRLF line ends, divided into displayed text and files."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.root = parse(octets)
        self.leaf_parts = list(_leaf_parts(self.root))
        self._by_number = {leaf.number: leaf for leaf in self.leaf_parts}

    def field(self, name: bytes) -> str:
        """Return the decoded text of the first field with this lower-case name, empty if there is none."""
        return decode_words(self.root.header.first(name) or b"")

    def leaf(self, number: str) -> LeafPart | None:
        """Return the MIME leaf part with this section number, None if there is none."""
        return self._by_number.get(number)

    def texts(self, html: bool) -> list[LeafPart]:
        """Return the text parts to display, in order; of alternatives, the HTML part if `html`, else the plain text."""
        displayed = _displayed(self.root, html, self.leaf_parts)
        return [leaf for leaf in self.leaf_parts if id(leaf.part) in displayed and leaf.is_text]

    @property
    def has_html(self) -> bool:
        """True if the message has a text/html part that can be displayed."""
        return any(leaf.media_type == HTML and leaf.is_text for leaf in self.leaf_parts)

    @property
    def files(self) -> list[LeafPart]:
        """The leaf parts that are not displayed as text, to be offered as files."""
        return [leaf for leaf in self.leaf_parts if not leaf.is_text]

    def decoded(self, leaf: LeafPart) -> bytes:
        """Return a part's octets with the Content-Transfer-Encoding decoded."""
        return decode_transfer(self._body(leaf), leaf.part.header.first(b"content-transfer-encoding"))

    def text(self, leaf: LeafPart) -> str:
        """Return a part's text, decoded by charset and truncated to TEXT_CHARACTERS."""
        charset = leaf.part.content_type.get(b"charset")
        return text_of(self.decoded(leaf), charset)[:TEXT_CHARACTERS].replace("\r\n", "\n")

    def _body(self, leaf: LeafPart) -> bytes:
        return self.octets[leaf.part.body_begin : leaf.part.body_end]


def _leaf_parts(root: Part) -> Iterator[LeafPart]:
    """Yield the leaf parts in order, up to LEAF_PARTS_MAX."""
    pending = [("", root)]
    count = 0
    while pending and count < LEAF_PARTS_MAX:
        number, part = pending.pop()
        if part.is_multipart:
            prefix = f"{number}." if number else ""
            children = [(f"{prefix}{index}", child) for index, child in enumerate(part.children, start=1)]
            pending.extend(reversed(children))
        else:
            count += 1
            yield _leaf_part(number or "1", part)


def _leaf_part(number: str, part: Part) -> LeafPart:
    media_type = part.content_type.value.decode("ascii", "replace").lower()
    disposition = parse_parametric(part.header.first(b"content-disposition") or b"")
    name = parameter_text(disposition, b"filename") or parameter_text(part.content_type, b"name")
    is_attachment = disposition.value.lower() == b"attachment" or (bool(name) and media_type not in (PLAIN, HTML))
    content_id = (part.header.first(b"content-id") or b"").strip(b" <>").decode("ascii", "replace")
    safe_name = safe_file_name(name, f"part-{number}{_ENDINGS.get(media_type, '')}")
    return LeafPart(number, part, media_type, safe_name, content_id, is_attachment)


def _displayed(root: Part, html: bool, leaf_parts: list[LeafPart]) -> set[int]:
    """Return the id() of each part to display; of a multipart/alternative only the chosen alternative is included."""
    media_types = {id(leaf.part): leaf.media_type for leaf in leaf_parts if leaf.is_text}
    displayed: set[int] = set()
    pending = [root]
    while pending:
        part = pending.pop()
        if not part.is_multipart:
            displayed.add(id(part))
        elif part.type_and_subtype[1].lower() == b"alternative":
            pending.extend(_chosen_alternative(part.children, html, media_types))
        else:
            pending.extend(part.children)
    return displayed


def _chosen_alternative(parts: list[Part], html: bool, media_types: dict[int, str]) -> list[Part]:
    """Return the part of a multipart/alternative to display: the last of the preferred type, else the last displayable.

    RFC 2046 section 5.1.4.
    """
    preferred = HTML if html else PLAIN
    for accepted in ({preferred}, {PLAIN, HTML}):
        for part in reversed(parts):
            if _media_types_of(part, media_types) & accepted:
                return [part]
    return parts[-1:]


def _media_types_of(part: Part, media_types: dict[int, str]) -> set[str]:
    types_found: set[str] = set()
    pending = [part]
    while pending:
        part = pending.pop()
        pending.extend(part.children)
        if id(part) in media_types:
            types_found.add(media_types[id(part)])
    return types_found
