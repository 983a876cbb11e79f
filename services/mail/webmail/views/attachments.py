"""Responses with the parts of a message: raster images with their media type, other types as octet streams.

HTML, SVG and XML, which could contain scripts, are sent as application/octet-stream. All responses have
Content-Disposition: attachment: browsers nevertheless display an image that a page embeds, but save an image that is
opened by itself.
"""

from urllib.parse import quote

from lab7.services.http.messages import Response
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.message_content.file_names import safe_file_name
from lab7.services.mail.webmail.message_url import MessageLocation, requested_message
from lab7.services.mail.webmail.pages import Pages, download
from lab7.services.mail.webmail.requests import PageError, UserPageRequest

_OCTETS = "application/octet-stream"
# Browsers display these raster formats, which cannot contain scripts.
PICTURES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"))


def disposition(file_name: str) -> str:
    """Return the Content-Disposition field value of a download (RFC 6266 section 4 and appendix D)."""
    name = safe_file_name(file_name)
    # In the quoted ASCII fallback, replace characters that browsers parse differently.
    plain = "".join(character if character.isascii() and character not in '"\\%;' else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def get_part(request: UserPageRequest, _: Pages) -> Response:
    """Return the MIME part with the section number in the URL, decoded, as a response."""
    location = requested_message(request)
    contents = Contents(location.read())
    leaf = contents.leaf(request.query.get("section"))
    if leaf is None:
        raise PageError(404, "The message has no such part.")
    media_type = leaf.media_type if leaf.media_type in PICTURES else _OCTETS
    return download(contents.decoded(leaf), media_type, disposition(leaf.file_name))


def get_source(request: UserPageRequest, _: Pages) -> Response:
    """Return a message's source as a download."""
    location = requested_message(request)
    return download(location.read(), _OCTETS, disposition(f"message-{location.uid}.eml"))


def part_link(location: MessageLocation, section: str) -> str:
    """Return the URL of a message's part, by section number."""
    return location.link("/part", section=section)
