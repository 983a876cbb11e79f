"""Handler of FETCH and UID FETCH, and encoder of their responses (RFC 3501 sections 6.4.5, 6.4.8 and 7.4.2)."""

from collections.abc import Iterator

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.commands.select import vanished_earlier
from lab7.services.mail.imap.errors import EXPUNGED_CODE, EXPUNGED_TEXT, BadError, NoError
from lab7.services.mail.imap.limits import TURN_MESSAGES
from lab7.services.mail.imap.preview import preview
from lab7.services.mail.imap.session_state import CachedMessage, SessionState, View, read_message_set
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.binary_section import binary_octets
from lab7.services.mail.imap.syntax.dates import date_time
from lab7.services.mail.imap.syntax.fetch_items import (
    Item,
    Section,
    format_sequence_set,
    parse_sequence_set,
    read_fetch_modifiers,
    read_items,
    section_octets,
    select_fields,
)
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.syntax.structures import body_structure, envelope
from lab7.services.mail.maildir.errors import MessageGoneError
from lab7.services.mail.mime.header import parse_header
from lab7.services.mail.mime.structure import parse

SEEN = "\\Seen"
# RFC 2180 section 4.1.3: FETCH data of an expunged message are empty. MODSEQ and EMAILID have no empty value (RFC 7162
# section 7, RFC 8474 section 7).
_EMPTY_HEADER, _EMPTY_PART = parse_header(b""), parse(b"")
_EMPTY = {
    b"RFC822.SIZE": b"0",
    b"INTERNALDATE": date_time(0.0),
    b"SAVEDATE": encoder.NIL,
    b"THREADID": encoder.NIL,
    b"PREVIEW": encoder.NIL,
    b"ENVELOPE": envelope(_EMPTY_HEADER),
    b"BODY": body_structure(_EMPTY_PART, extended=False),
    b"BODYSTRUCTURE": body_structure(_EMPTY_PART, extended=True),
}
# Items of an expunged message that the session still knows.
_KNOWN = frozenset((b"UID", b"FLAGS"))


def fetch(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle FETCH (RFC 3501 section 6.4.5), and UID FETCH (section 6.4.8), whose responses include the UID."""
    begin = reader.position
    uids = read_message_set(session, reader, by_uid)
    set_octets = reader.octets[begin + 1 : reader.position]
    reader.expect_space()
    items = read_items(reader)
    modifiers = read_fetch_modifiers(reader)
    reader.expect_end()
    if by_uid and b"UID" not in items:
        items.insert(0, b"UID")
    view = session.selected()
    if modifiers.vanished and not (by_uid and modifiers.changed_since is not None and view.reports_vanished):
        # RFC 7162 section 3.2.6
        raise BadError("VANISHED needs UID FETCH, CHANGEDSINCE and ENABLE QRESYNC.")
    if b"MODSEQ" in items or modifiers.changed_since is not None:
        yield from session.enable_condstore()
    if modifiers.changed_since is not None:
        least = modifiers.changed_since
        items += [] if b"MODSEQ" in items else [b"MODSEQ"]
        if modifiers.vanished:
            known = format_sequence_set(uids).encode("ascii") if set_octets == b"$" else set_octets
            yield from vanished_earlier(view, least, parse_sequence_set(known) if known else ())
        view.highest_mod_sequence()
        uids = [uid for uid in uids if uid in view.folder.messages and view.folder.mod_sequences.of(uid) > least]
    reads = not view.read_only and any(isinstance(item, Section) and item.sets_seen for item in items)
    any_expunged = False
    refused: NoError | None = None
    for index, uid in enumerate(uids):
        if index % TURN_MESSAGES == 0:
            yield b""
        try:
            yield from fetch_response(view, uid, items, reads)
        except NoError as error:
            # RFC 3516 section 4.3: FETCH continues with the remaining messages after a failure of one.
            refused = error
        except MessageGoneError:
            # RFC 3501 section 6.4.8: UID FETCH ignores a UID that does not exist.
            # RFC 7162 section 3.1.4.1: CHANGEDSINCE omits messages without changes; removals are reported by EXPUNGE.
            if by_uid or modifiers.changed_since is not None:
                continue
            any_expunged = True
            if all(isinstance(item, Section) or item in _KNOWN or item in _EMPTY for item in items):
                yield _expunged_response(view, uid, items)
            else:
                # RFC 2180 section 4.1.2: no response for the expunged message, and a tagged NO.
                refused = refused or NoError(EXPUNGED_TEXT, "EXPUNGEISSUED")
    if refused is not None:
        raise refused
    return f"{EXPUNGED_CODE}Fetch completed." if any_expunged else "Fetch completed."


def fetch_response(view: View, uid: int, items: list[Item], reads: bool) -> Iterator[bytes]:
    """Yield a FETCH response in pieces, so that only one section of a large message is in memory at a time."""
    content = view.cache.get(uid)
    # Read and decode the sections before the flags change: a refused FETCH must not set \Seen.
    _load(content, items)
    binary = {item: _binary(content, item) for item in items if isinstance(item, Section) and item.kind != b"BODY"}
    becomes_seen = reads and SEEN not in view.folder.message(uid).flags
    if becomes_seen:
        view.folder.set_flags(uid, view.folder.message(uid).flags | {SEEN})
    # RFC 3501 section 6.4.5: if FETCH sets \Seen, the response should include the flags.
    response_items = list(items)
    if becomes_seen:
        response_items += [item for item in (b"FLAGS", *view.enabled_items) if item not in items]
    # Announce new keywords before a FETCH response contains a new keyword (RFC 3501 section 7.2.6).
    yield from view.new_keywords()
    # Encode all items first: a read error after the response has begun could not be reported.
    encoded = {item: _encode_item(view, content, item) for item in response_items if isinstance(item, bytes)}
    yield b"* %d FETCH (" % (view.number(uid) or 0)
    for index, item in enumerate(response_items):
        if isinstance(item, Section):
            item_octets = item.label + b" " + (binary[item] if item in binary else _section(content, item))
        else:
            item_octets = encoded[item]
        yield b" " + item_octets if index else item_octets
    yield b")\r\n"


def _expunged_response(view: View, uid: int, items: list[Item]) -> bytes:
    """Encode a FETCH response for a message that another session has expunged, if EXPUNGE cannot be sent yet.

    UID and flags are those last known to this session; all other data are empty (RFC 2180 section 4.1.3).
    """
    values = _EMPTY | {b"UID": b"%d" % uid, b"FLAGS": encoder.flag_list(view.flags(uid))}
    encoded = [
        item.label + b" " + _empty_section(item) if isinstance(item, Section) else item + b" " + values[item]
        for item in items
    ]
    return b"* %d FETCH (%b)\r\n" % (view.number(uid) or 0, b" ".join(encoded))


def _empty_section(item: Section) -> bytes:
    # RFC 3516 section 7: BINARY.SIZE is a number.
    return b"0" if item.kind == b"BINARY.SIZE" else encoder.NIL


def _load(content: CachedMessage, items: list[Item]) -> None:
    sections = [item for item in items if isinstance(item, Section)]
    if sections:
        content.load(header_only=all(section.is_header_only for section in sections))


def _encode_item(view: View, content: CachedMessage, item: bytes) -> bytes:
    if item == b"FLAGS":
        return view.flags_item(content.uid)
    return item + b" " + _value(view, content, item)


def _value(view: View, content: CachedMessage, item: bytes) -> bytes:
    if item == b"UID":
        return b"%d" % content.uid
    if item == b"MODSEQ":
        return b"(%d)" % view.mod_sequence(content.uid)
    if item == b"RFC822.SIZE":
        return b"%d" % view.folder.size_octets(content.uid)
    if item == b"INTERNALDATE":
        return date_time(view.folder.date(content.uid))
    if item == b"SAVEDATE":
        saved = view.folder.save_date(content.uid)
        return encoder.NIL if saved is None else date_time(saved)
    if item == b"EMAILID":
        return b"(%b)" % encoder.email_id(content.octets)
    if item == b"THREADID":
        # RFC 8474 section 5.2: NIL for a server without thread identifiers.
        return encoder.NIL
    if item == b"PREVIEW":
        return encoder.string(preview(content).encode("utf-8", "replace"))
    if item == b"ENVELOPE":
        return envelope(content.header)
    return body_structure(content.root, extended=item == b"BODYSTRUCTURE")


def _binary(content: CachedMessage, item: Section) -> bytes:
    """Encode a BINARY or BINARY.SIZE item; raise NoError with UNKNOWN-CTE if the part cannot be decoded."""
    octets = binary_octets(content.octets, content.root, item) or b""
    if item.kind == b"BINARY.SIZE":
        return b"%d" % len(octets)
    return encoder.literal8(_partial(octets, item))


def _section(content: CachedMessage, item: Section) -> bytes:
    if item.numbers or item.text in (b"TEXT", b"MIME"):
        octets = section_octets(content.octets, content.root, item)
    elif not item.text:
        octets = content.octets
    elif item.text == b"HEADER":
        octets = content.header_octets
    else:
        octets = select_fields(content.header, item)
    # A section that does not exist is sent as an empty string.
    octets = octets or b""
    return encoder.literal(_partial(octets, item))


def _partial(octets: bytes, item: Section) -> bytes:
    if item.partial is None:
        return octets
    first, count = item.partial
    return octets[first : first + count]
