"""Attachment downloads: inline raster images, every other type as a download.

Browsers display an image in a page despite Content-Disposition: attachment, and save it when it is opened by itself.
HTML, SVG and XML, which could contain scripts, are sent as application/octet-stream.
"""

from urllib.parse import quote

from services.http.messages import Response
from services.mail.reading.contents import Contents
from services.mail.reading.names import safe_file_name
from services.mail.webmail.message_url import Located, located
from services.mail.webmail.pages import Pages, download
from services.mail.webmail.requests import PageError, UserVisit

_OCTETS = "application/octet-stream"
# Raster formats that browsers display and that contain no scripts.
PICTURES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"))


def disposition(file_name: str) -> str:
    """Return the Content-Disposition of a download (RFC 6266 section 4 and appendix D)."""
    name = safe_file_name(file_name)
    # The quoted fallback keeps only characters that all browsers parse alike.
    plain = "".join(one if one.isascii() and one not in '"\\%;' else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def get_part(visit: UserVisit, _: Pages) -> Response:
    """Return one part of a message."""
    place = located(visit)
    contents = Contents(place.read())
    piece = contents.piece(visit.query.get("section"))
    if piece is None:
        raise PageError(404, "The message has no such part.")
    kind = piece.kind if piece.kind in PICTURES else _OCTETS
    return download(contents.decoded(piece), kind, disposition(piece.file_name))


def get_source(visit: UserVisit, _: Pages) -> Response:
    """Return a message unchanged."""
    place = located(visit)
    return download(place.read(), _OCTETS, disposition(f"message-{place.uid}.eml"))


def part_link(place: Located, section: str) -> str:
    """Return the URL of a part."""
    return place.link("/part", section=section)
