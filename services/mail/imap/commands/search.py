"""Handlers of SEARCH and UID SEARCH (RFC 3501 section 6.4.4), with ESEARCH results (RFC 4731).

With RETURN (SAVE), later commands refer to the result as `$` (RFC 5182). With RETURN (UPDATE), changes of the result
are notified until CANCELUPDATE (RFC 5267).
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from lab7.services.mail.access.requests import Output, Steps
from lab7.services.mail.imap.errors import NoError
from lab7.services.mail.imap.limits import SEARCH_CONTEXTS_MAX
from lab7.services.mail.imap.search_context import SearchContext
from lab7.services.mail.imap.session_state import SessionState, View
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.syntax.search_keys import Candidate, KeyReader, Predicate
from lab7.services.mail.imap.syntax.search_returns import SearchReturns, read_search_returns
from lab7.services.mail.maildir.errors import MessageGoneError

# Values of CHARSET that SEARCH accepts; RFC 3501 section 6.4.4 requires US-ASCII.
CHARSETS = {b"US-ASCII": "ascii", b"UTF-8": "utf-8", b"ISO-8859-1": "latin-1"}

# Messages of a result, as (sequence number, UID).
Found = list[tuple[int, int]]


def search(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle SEARCH (RFC 3501 section 6.4.4), which returns sequence numbers, and UID SEARCH, which returns UIDs."""
    reader.expect_space()
    returns = read_search_returns(reader)
    if returns is None and session.is_rev2:
        # RFC 9051 section 6.4.4: SEARCH responses are replaced by ESEARCH responses.
        returns = SearchReturns(frozenset((b"ALL",)))
    try:
        charset = _read_charset(reader)
        view = session.selected()
        keys = KeyReader(reader, charset, view, session.saved_result)
        test = keys.program()
        if keys.uses_mod_sequences:
            yield from session.enable_condstore()
        found = yield from matching(view, test)
    except NoError:
        if returns is not None and returns.saves:
            # RFC 5182 section 2.1: a search that fails with NO empties the search result variable `$`.
            session.saved_result = []
        raise
    view_of = view if keys.uses_mod_sequences else None
    if returns is None:
        yield numbers_response(b"SEARCH", by_uid, found, view_of)
        return "Search completed."
    code = _begin_updates(session, view, test, by_uid, {uid for _, uid in found}) if returns.updates else ""
    yield from extended_response(session, returns, by_uid, found, view_of)
    return f"{code}Search completed."


def numbers_response(word: bytes, by_uid: bool, found: Found, view: View | None) -> bytes:
    """Encode a SEARCH or SORT response; `found` has (sequence number, UID) pairs.

    If `view` (the selected mailbox) is given, the response ends with the highest mod-sequence of these messages (RFC
    7162 section 3.1.6).
    """
    numbers = b"".join(b" %d" % (uid if by_uid else number) for number, uid in found)
    highest = _highest(view, found)
    return b"* %b%b%b\r\n" % (word, numbers, b"" if highest is None else b" (MODSEQ %d)" % highest)


def _highest(view: View | None, found: Sequence[tuple[int, int]]) -> int | None:
    if view is None or not found:
        return None
    mod_sequences = []
    for _, uid in found:
        # Another session may have expunged a message since it matched.
        with suppress(MessageGoneError):
            mod_sequences.append(view.mod_sequence(uid))
    return max(mod_sequences, default=None)


def extended_response(
    session: SessionState, returns: SearchReturns, by_uid: bool, found: Found, view: View | None = None
) -> Iterator[bytes]:
    """Yield the ESEARCH response for `found`, (sequence number, UID) pairs in order; none if SAVE is the only option.

    The option SAVE stores the result in the session. If `view` (the selected mailbox) is given, the response includes
    the highest mod-sequence of the messages that the response lists.
    """
    if returns.saves:
        session.saved_result = sorted(returns.saved([uid for _, uid in found]))
    if returns.options != {b"SAVE"}:
        # RFC 5182 section 2.1: SAVE alone has no response.
        numbers = [uid if by_uid else number for number, uid in found]
        yield returns.response(session.tag, by_uid, numbers, _highest(view, returns.returned(found)))


def _begin_updates(session: SessionState, view: View, test: Predicate, by_uid: bool, uids: set[int]) -> str:
    """Register the search of a SEARCH command as a search context, so that changes of its result are notified.

    RFC 5267. Returns the response code for the tagged OK: "", or `[NOUPDATE "tag"] ` if the session has too many search
    contexts.
    """
    tag = session.tag
    if tag not in view.contexts and len(view.contexts) >= SEARCH_CONTEXTS_MAX:
        # RFC 5267 section 4.3.1
        return f'[NOUPDATE "{tag.decode("ascii")}"] '

    def is_match(number: int, uid: int) -> bool:
        try:
            return test(Candidate(view, number, uid))
        except MessageGoneError:
            return False

    view.contexts[tag] = SearchContext(tag, by_uid, is_match, uids)
    return ""


def cancel_update(session: SessionState, reader: Reader) -> Steps:
    """Handle CANCELUPDATE (RFC 5267 section 4.5): stop the notifications for the searches with the given tags."""
    tags = []
    while not reader.at_end:
        reader.expect_space()
        tags.append(reader.string())
    yield b""
    for tag in tags:
        session.selected().contexts.pop(tag, None)
    return "No further updates."


def _read_charset(reader: Reader) -> str:
    if reader.octets[reader.position : reader.position + 8].upper() != b"CHARSET ":
        return "utf-8"
    reader.position += 8
    charset = read_charset_name(reader)
    reader.expect_space()
    return charset


def read_charset_name(reader: Reader) -> str:
    """Parse the name of a character set; return its codec; raise NoError with BADCHARSET."""
    charset = CHARSETS.get(reader.astring().upper())
    if charset is None:
        names = b" ".join(CHARSETS).decode("ascii")
        raise NoError("Unsupported character set.", f"BADCHARSET ({names})")
    return charset


def matching(view: View, test: Predicate) -> Generator[Output, None, list[tuple[int, int]]]:
    """Test all messages of the mailbox by `test`; return the (sequence number, UID) pairs of those that match."""
    matches = []
    for number, uid in enumerate(view.uids, start=1):
        # Yield per message: evaluating the keys on one large message may take long, and other sessions run in between.
        yield b""
        try:
            if uid in view.folder.messages and test(Candidate(view, number, uid)):
                matches.append((number, uid))
        except MessageGoneError:
            # RFC 3501 section 7.4.1: SEARCH sends no EXPUNGE; a message that is gone does not match.
            continue
    return matches
