"""Displayed text and attachments of a MIME message (RFC 2046 section 5.1, RFC 2387, RFC 2183).

    contents = Contents(octets)
    contents.field(b"subject")            decoded text of a field
    contents.texts(html=True)             text parts to display, in order
    contents.files                        parts to offer as files
    contents.decoded(piece)               octets without their Content-Transfer-Encoding

One part of multipart/alternative is displayed: the last that can be, or the plain one. Parts nested deeper than the
MIME parser goes, and embedded messages, are files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.mail.mime.parameters import parse_parametric
from services.mail.mime.structure import Part, parse
from services.mail.mime.words import decode_transfer, decode_words, text_of
from services.mail.reading.file_names import parameter_text, safe_file_name
from services.mail.reading.limits import LEAF_PARTS_MAX, TEXT_CHARACTERS

PLAIN, HTML = "text/plain", "text/html"
_ENDINGS = {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml", "image/jpeg": ".jpg"}
_ENDINGS |= {"image/png": ".png", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class LeafPart:
    """A leaf part; `number` is its section as in IMAP (RFC 3501 section 6.4.5)."""

    number: str
    part: Part
    kind: str
    file_name: str
    content_id: str
    is_attachment: bool

    @property
    def is_text(self) -> bool:
        """True if the part is text/plain or text/html and no attachment."""
        return self.kind in (PLAIN, HTML) and not self.is_attachment


class Contents:
    """One message, with CRLF line endings."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.root = parse(octets)
        self.leaf_parts = list(_leaf_parts(self.root))
        self._by_number = {piece.number: piece for piece in self.leaf_parts}

    def field(self, name: bytes) -> str:
        """Return the first field with this lower-case name as decoded text; empty if there is none."""
        return decode_words(self.root.header.first(name) or b"")

    def piece(self, number: str) -> LeafPart | None:
        """Return the part with this section number."""
        return self._by_number.get(number)

    def texts(self, html: bool) -> list[LeafPart]:
        """Return the text parts to display, in order; of alternatives the HTML part if `html`, else the plain one."""
        displayed = _displayed(self.root, html, self.leaf_parts)
        return [piece for piece in self.leaf_parts if id(piece.part) in displayed and piece.is_text]

    @property
    def has_html(self) -> bool:
        """True if there is an HTML text part."""
        return any(piece.kind == HTML and piece.is_text for piece in self.leaf_parts)

    @property
    def files(self) -> list[LeafPart]:
        """The parts not displayed as text."""
        return [piece for piece in self.leaf_parts if not piece.is_text]

    def decoded(self, piece: LeafPart) -> bytes:
        """Decode a part's Content-Transfer-Encoding."""
        return decode_transfer(self._body(piece), piece.part.header.first(b"content-transfer-encoding"))

    def text(self, piece: LeafPart) -> str:
        """Decode a part's text, truncated to TEXT_CHARACTERS."""
        charset = piece.part.content_type.get(b"charset")
        return text_of(self.decoded(piece), charset)[:TEXT_CHARACTERS].replace("\r\n", "\n")

    def _body(self, piece: LeafPart) -> bytes:
        return self.octets[piece.part.body_begin : piece.part.body_end]


def _leaf_parts(root: Part) -> Iterator[LeafPart]:
    """Yield the leaf parts in order, at most PIECES_MAX."""
    pending = [("", root)]
    count = 0
    while pending and count < LEAF_PARTS_MAX:
        number, part = pending.pop()
        if part.is_multipart:
            prefix = f"{number}." if number else ""
            children = [(f"{prefix}{place}", child) for place, child in enumerate(part.children, start=1)]
            pending.extend(reversed(children))
        else:
            count += 1
            yield _leaf_part(number or "1", part)


def _leaf_part(number: str, part: Part) -> LeafPart:
    kind = part.content_type.value.decode("ascii", "replace").lower()
    disposition = parse_parametric(part.header.first(b"content-disposition") or b"")
    name = parameter_text(disposition, b"filename") or parameter_text(part.content_type, b"name")
    is_attachment = disposition.value.lower() == b"attachment" or (bool(name) and kind not in (PLAIN, HTML))
    content_id = (part.header.first(b"content-id") or b"").strip(b" <>").decode("ascii", "replace")
    safe = safe_file_name(name, f"part-{number}{_ENDINGS.get(kind, '')}")
    return LeafPart(number, part, kind, safe, content_id, is_attachment)


def _displayed(root: Part, html: bool, leaf_parts: list[LeafPart]) -> set[int]:
    """Return the ids of the displayed parts, without the alternatives not chosen."""
    kinds = {id(piece.part): piece.kind for piece in leaf_parts if piece.is_text}
    displayed: set[int] = set()
    pending = [root]
    while pending:
        part = pending.pop()
        if not part.is_multipart:
            displayed.add(id(part))
        elif part.type_and_subtype[1].lower() == b"alternative":
            pending.extend(_chosen_alternative(part.children, html, kinds))
        else:
            pending.extend(part.children)
    return displayed


def _chosen_alternative(parts: list[Part], html: bool, kinds: dict[int, str]) -> list[Part]:
    """Choose one of several alternatives: the last displayable one, or the wanted type (RFC 2046 section 5.1.4)."""
    wanted = HTML if html else PLAIN
    for kinds_wanted in ({wanted}, {PLAIN, HTML}):
        for part in reversed(parts):
            if _kinds_of(part, kinds) & kinds_wanted:
                return [part]
    return parts[-1:]


def _kinds_of(part: Part, kinds: dict[int, str]) -> set[str]:
    kinds_found: set[str] = set()
    pending = [part]
    while pending:
        part = pending.pop()
        pending.extend(part.children)
        if id(part) in kinds:
            kinds_found.add(kinds[id(part)])
    return kinds_found
