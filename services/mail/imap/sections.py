"""The octets of a section of a message (RFC 3501 section 6.4.5)."""

from services.mail.imap.fetch_items import Section
from services.mail.mime.header import Header
from services.mail.mime.structure import Part, find


def section_octets(octets: bytes, root: Part, section: Section) -> bytes | None:
    """Return what the section stands for, all of it; None where the message has no such part."""
    part = find(root, list(section.numbers))
    return None if part is None else _text_of(octets, root, part, section)


def _text_of(octets: bytes, root: Part, part: Part, section: Section) -> bytes | None:
    if section.text == b"MIME":
        return octets[part.header_begin : part.body_begin]
    if not section.text:
        if not section.numbers:
            return octets
        return octets[part.body_begin : part.body_end]
    # RFC 3501 section 6.4.5: of a part, HEADER and TEXT are those of the message that it holds.
    message = part.message if section.numbers else root
    if message is None:
        return None
    if section.text == b"TEXT":
        return octets[message.body_begin : message.body_end]
    if section.text == b"HEADER":
        return octets[message.header_begin : message.body_begin]
    return chosen_fields(message.header, section)


def chosen_fields(header: Header, section: Section) -> bytes:
    """Return the fields that HEADER.FIELDS or HEADER.FIELDS.NOT names, and the empty line."""
    return header.chosen(section.fields, section.text == b"HEADER.FIELDS.NOT") + b"\r\n"
