"""Handler of SEARCH and UID SEARCH (RFC 3501 section 6.4.4), with ESEARCH results (RFC 4731)."""

from collections.abc import Generator

from services.mail.access.requests import Output, Steps
from services.mail.imap.errors import BadError, NoError
from services.mail.imap.session_state import SessionState, View
from services.mail.imap.syntax import encoder
from services.mail.imap.syntax.fetch_items import format_sequence_set
from services.mail.imap.syntax.reader import Reader
from services.mail.imap.syntax.search_keys import Candidate, KeyReader, Predicate
from services.mail.maildir.errors import MessageGoneError

# SEARCH accepts these CHARSET values; RFC 3501 section 6.4.4 requires US-ASCII.
CHARSETS = {b"US-ASCII": "ascii", b"UTF-8": "utf-8", b"ISO-8859-1": "latin-1"}
_RETURNS = (b"MIN", b"MAX", b"ALL", b"COUNT")


def search(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle SEARCH (RFC 3501 section 6.4.4), which returns sequence numbers, and UID SEARCH, which returns UIDs."""
    reader.expect_space()
    returns = _read_returns(reader)
    charset = _read_charset(reader)
    view = session.selected()
    test = KeyReader(reader, charset, view).program()
    matches = yield from _matching(view, test, by_uid)
    if returns is None:
        yield b"* SEARCH" + b"".join(b" %d" % number for number in matches) + b"\r\n"
    else:
        yield _extended(session.tag, returns, matches, by_uid)
    return "Search completed."


def _read_returns(reader: Reader) -> frozenset[bytes] | None:
    """Parse the RETURN options (RFC 4731 section 3.1); return None without RETURN."""
    if reader.octets[reader.position : reader.position + 8].upper() != b"RETURN (":
        return None
    reader.position += 7
    options = frozenset(reader.in_parentheses(lambda: reader.word("return option"), may_be_empty=True))
    reader.expect_space()
    if not options <= set(_RETURNS):
        raise BadError("Unknown RETURN option of SEARCH.")
    return options or frozenset((b"ALL",))


def _read_charset(reader: Reader) -> str:
    if reader.octets[reader.position : reader.position + 8].upper() != b"CHARSET ":
        return "utf-8"
    reader.position += 8
    charset = CHARSETS.get(reader.astring().upper())
    if charset is None:
        names = b" ".join(CHARSETS).decode("ascii")
        raise NoError("Unsupported character set.", f"BADCHARSET ({names})")
    reader.expect_space()
    return charset


def _matching(view: View, test: Predicate, by_uid: bool) -> Generator[Output, None, list[int]]:
    matches = []
    for number, uid in enumerate(view.uids, start=1):
        # Yield after each message, so that other sessions run: matching a large message may take long.
        yield b""
        try:
            if uid in view.folder.messages and test(Candidate(view, number, uid)):
                matches.append(uid if by_uid else number)
        except MessageGoneError:
            # RFC 3501 section 7.4.1: EXPUNGE is not permitted during SEARCH; an expunged message does not match.
            continue
    return matches


def _extended(tag: bytes, returns: frozenset[bytes], matches: list[int], by_uid: bool) -> bytes:
    """Encode an ESEARCH response (RFC 4731 section 3.1); without a match, MIN, MAX and ALL are omitted."""
    pieces = [b"* ESEARCH (TAG " + encoder.string(tag) + b")"]
    if by_uid:
        pieces.append(b"UID")
    values = {b"COUNT": b"%d" % len(matches)}
    if matches:
        numbers = format_sequence_set(matches).encode("ascii")
        values |= {b"MIN": b"%d" % matches[0], b"MAX": b"%d" % matches[-1], b"ALL": numbers}
    pieces += [name + b" " + values[name] for name in _RETURNS if name in returns and name in values]
    return b" ".join(pieces) + b"\r\n"
