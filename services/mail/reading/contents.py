"""What is in a message: which parts are its text, and which are files (RFC 2046 section 5.1, RFC 2387, RFC 2183).

    contents = Contents(octets)
    contents.subject, contents.sender
    contents.texts(html=True)             the pieces to show, in order
    contents.files                        the pieces to offer as files
    contents.decoded(piece)               octets without their Content-Transfer-Encoding

Of multipart/alternative one part is shown: the last that can be, or the plain one. What is nested deeper than the
structure goes, and messages within the message, are files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.mail.mime.parameters import parse_parametric
from services.mail.mime.structure import Part, parse
from services.mail.mime.words import decode_transfer, decode_words, text_of
from services.mail.reading.limits import PIECES_MAX, TEXT_CHARACTERS
from services.mail.reading.names import parameter_text, safe_file_name

PLAIN, HTML = "text/plain", "text/html"
_ENDINGS = {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml", "image/jpeg": ".jpg"}
_ENDINGS |= {"image/png": ".png", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part that holds no other; `number` is its section as in IMAP (RFC 3501 section 6.4.5)."""

    number: str
    part: Part
    kind: str
    file_name: str
    content_id: str
    is_attachment: bool

    @property
    def is_text(self) -> bool:
        """Whether it can be shown as text, and nobody asked for another use."""
        return self.kind in (PLAIN, HTML) and not self.is_attachment


class Contents:
    """One message, its lines ending in CRLF."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.root = parse(octets)
        self.pieces = list(_pieces(self.root))
        self._by_number = {piece.number: piece for piece in self.pieces}

    def field(self, name: bytes) -> str:
        """Return the first field of this name, in lower case, as text; empty where there is none."""
        return decode_words(self.root.header.first(name) or b"")

    def piece(self, number: str) -> Piece | None:
        """Return a piece by its section."""
        return self._by_number.get(number)

    def texts(self, html: bool) -> list[Piece]:
        """Return the pieces to show, in order; of alternatives the HTML one where `html`, else the plain one."""
        shown = _shown(self.root, html, self.pieces)
        return [piece for piece in self.pieces if id(piece.part) in shown and piece.is_text]

    @property
    def has_html(self) -> bool:
        """Whether a text is there as HTML."""
        return any(piece.kind == HTML and piece.is_text for piece in self.pieces)

    @property
    def files(self) -> list[Piece]:
        """The pieces that are files, or would not be seen otherwise."""
        return [piece for piece in self.pieces if not piece.is_text]

    def decoded(self, piece: Piece) -> bytes:
        """Return a piece's octets as they were before they were encoded for the way."""
        return decode_transfer(self._body(piece), piece.part.header.first(b"content-transfer-encoding"))

    def text(self, piece: Piece) -> str:
        """Return a piece's text, as much of it as can be looked at."""
        charset = piece.part.content_type.get(b"charset")
        return text_of(self.decoded(piece), charset)[:TEXT_CHARACTERS].replace("\r\n", "\n")

    def _body(self, piece: Piece) -> bytes:
        return self.octets[piece.part.body_begin : piece.part.body_end]


def _pieces(root: Part) -> Iterator[Piece]:
    """Every part that holds no other, as far as PIECES_MAX goes."""
    waiting = [("", root)]
    count = 0
    while waiting and count < PIECES_MAX:
        number, part = waiting.pop()
        if part.is_multipart:
            prefix = f"{number}." if number else ""
            children = [(f"{prefix}{place}", child) for place, child in enumerate(part.children, start=1)]
            waiting.extend(reversed(children))
        else:
            count += 1
            yield _piece(number or "1", part)


def _piece(number: str, part: Part) -> Piece:
    kind = part.content_type.value.decode("ascii", "replace").lower()
    disposition = parse_parametric(part.header.first(b"content-disposition") or b"")
    name = parameter_text(disposition, b"filename") or parameter_text(part.content_type, b"name")
    is_attachment = disposition.value.lower() == b"attachment" or (bool(name) and kind not in (PLAIN, HTML))
    content_id = (part.header.first(b"content-id") or b"").strip(b" <>").decode("ascii", "replace")
    safe = safe_file_name(name, f"part-{number}{_ENDINGS.get(kind, '')}")
    return Piece(number, part, kind, safe, content_id, is_attachment)


def _shown(root: Part, html: bool, pieces: list[Piece]) -> set[int]:
    """Return the parts that are shown, without the alternatives that are not chosen."""
    kinds = {id(piece.part): piece.kind for piece in pieces if piece.is_text}
    shown: set[int] = set()
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if not part.is_multipart:
            shown.add(id(part))
        elif part.type_and_subtype[1].lower() == b"alternative":
            waiting.extend(_chosen(part.children, html, kinds))
        else:
            waiting.extend(part.children)
    return shown


def _chosen(parts: list[Part], html: bool, kinds: dict[int, str]) -> list[Part]:
    """RFC 2046 section 5.1.4: the last that can be shown is the best; a person may want the plain one."""
    wanted = HTML if html else PLAIN
    for kinds_wanted in ({wanted}, {PLAIN, HTML}):
        for part in reversed(parts):
            if _kinds_of(part, kinds) & kinds_wanted:
                return [part]
    return parts[-1:]


def _kinds_of(part: Part, kinds: dict[int, str]) -> set[str]:
    found: set[str] = set()
    waiting = [part]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.children)
        if id(one) in kinds:
            found.add(kinds[id(one)])
    return found
