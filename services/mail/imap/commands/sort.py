"""Handlers of SORT and UID SORT (RFC 5256), with SORT=DISPLAY (RFC 5957) and ESEARCH results (ESORT, RFC 5267)."""

from collections.abc import Generator

from lab7.services.mail.access.requests import Output, Steps
from lab7.services.mail.imap.commands.search import extended_response, matching, numbers_response, read_charset_name
from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.limits import SORT_KEYS_MAX
from lab7.services.mail.imap.session_state import SessionState, View
from lab7.services.mail.imap.sort_keys import SORT_KEYS, SortCriterion, SortValue
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.syntax.search_keys import KeyReader
from lab7.services.mail.imap.syntax.search_returns import read_search_returns
from lab7.services.mail.maildir.errors import MessageGoneError


def sort(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle SORT (RFC 5256 section 3): a SEARCH whose result is in the order of the sort criteria."""
    reader.expect_space()
    returns = read_search_returns(reader)
    if returns is not None and returns.updates:
        raise NoError("SORT does not notify changes; SEARCH does.", f'NOUPDATE "{session.tag.decode("ascii")}"')
    criteria = read_criteria(reader)
    reader.expect_space()
    charset = read_charset_name(reader)
    reader.expect_space()
    view = session.selected()
    keys = KeyReader(reader, charset, view, session.saved_result)
    test = keys.program()
    if keys.uses_mod_sequences:
        yield from session.enable_condstore()
    view_of = view if keys.uses_mod_sequences else None
    found = yield from matching(view, test)
    ordered = yield from _sorted(view, criteria, found)
    if returns is not None:
        yield from extended_response(session, returns, by_uid, ordered, view_of)
    else:
        yield numbers_response(b"SORT", by_uid, ordered, view_of)
    return "Sort completed."


def read_criteria(reader: Reader) -> list[SortCriterion]:
    """Parse the sort criteria in parentheses; raise BadError."""
    criteria = reader.in_parentheses(lambda: _read_criterion(reader))
    if len(criteria) > SORT_KEYS_MAX:
        raise BadError(f"SORT takes {SORT_KEYS_MAX} keys at most.")
    return criteria


def _read_criterion(reader: Reader) -> SortCriterion:
    word = reader.word("sort key")
    reverse = word == b"REVERSE"
    if reverse:
        reader.expect_space()
        word = reader.word("sort key")
    if word not in SORT_KEYS:
        raise BadError("Unknown sort key.")
    return SortCriterion(word, reverse)


def _sorted(
    view: View, criteria: list[SortCriterion], found: list[tuple[int, int]]
) -> Generator[Output, None, list[tuple[int, int]]]:
    """Sort (sequence number, UID) pairs; messages with equal keys stay in the order of sequence numbers."""
    values: list[tuple[tuple[int, int], list[SortValue]]] = []
    for number, uid in found:
        # Yield for each message, because sorting reads the message's header, and other sessions run in between.
        yield b""
        try:
            content = view.cache.get(uid)
            values.append(((number, uid), [criterion.value(view, content) for criterion in criteria]))
        except MessageGoneError:
            continue
    # Sort by the last criterion first: the sort is stable, so that each earlier criterion takes precedence.
    for place in reversed(range(len(criteria))):
        values.sort(key=lambda pair: pair[1][place], reverse=criteria[place].reverse)
        yield b""
    return [pair for pair, _ in values]
