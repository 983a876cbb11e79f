"""Handlers of SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2), with CONDSTORE and QRESYNC (RFC 7162)."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass

from lab7.services.mail.access.requests import Output, Steps
from lab7.services.mail.imap.commands.mailbox_list import list_response
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.limits import TURN_MESSAGES
from lab7.services.mail.imap.session_state import SessionState, View, highest_mod_sequence_line
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import SequenceSet, format_ranges, read_sequence_set, uids_in
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.errors import MessageGoneError
from lab7.services.mail.maildir.folder_names import canonical


@dataclass(frozen=True, slots=True)
class _Resync:
    """Arguments of QRESYNC (RFC 7162 section 3.2.5): UIDVALIDITY, mod-sequence and UIDs that the client knows.

    `known` None stands for all UIDs.
    """

    uidvalidity: int
    mod_sequence: int
    known: SequenceSet | None


def select(session: SessionState, reader: Reader, read_only: bool = False) -> Steps:
    """Handle SELECT (RFC 3501 section 6.3.1) or, if `read_only`, EXAMINE (section 6.3.2)."""
    reader.expect_space()
    name = reader.mailbox()
    parameters: list[_Resync | None] = []
    if reader.accept(b" "):
        parameters = reader.in_parentheses(lambda: _read_parameter(reader))
    reader.expect_end()
    resync = next((parameter for parameter in parameters if parameter is not None), None)
    if resync is not None and "QRESYNC" not in session.enabled:
        # RFC 7162 section 3.2.5
        raise BadError("Enable QRESYNC first.")
    if session.view is not None:
        # RFC 7162 section 3.2.11: CLOSED separates responses for the old mailbox from responses for the new mailbox.
        yield b"* OK [CLOSED] Previous mailbox closed.\r\n"
    # RFC 3501 section 6.3.1: SELECT deselects the current mailbox even if it fails.
    session.select(None)
    view = View(session.user_maildir().folder(name), read_only, session.enabled)
    yield from view.load()
    if parameters:
        session.enabled.add("CONDSTORE")
    yield from view.flag_lines()
    yield b"* %d EXISTS\r\n" % len(view.uids)
    if session.is_rev2:
        # RFC 9051 section 6.3.2
        yield list_response(b"LIST", (), canonical(name), utf8=True)
    else:
        yield b"* %d RECENT\r\n" % len(view.recent)
    messages = view.folder.messages
    unseen = next(
        (n for n, uid in enumerate(view.uids, start=1) if uid in messages and "\\Seen" not in messages[uid].flags), 0
    )
    if unseen and not session.is_rev2:
        yield b"* OK [UNSEEN %d] First unseen.\r\n" % unseen
    yield b"* OK [UIDVALIDITY %d] UIDs valid.\r\n" % view.folder.uidvalidity
    yield b"* OK [UIDNEXT %d] Predicted next UID.\r\n" % view.folder.uidnext
    # RFC 8474 section 4.2
    yield b"* OK [MAILBOXID (%b)] Mailbox identifier.\r\n" % encoder.mailbox_id(view.folder.first_uidvalidity)
    yield highest_mod_sequence_line(view)
    session.select(view)
    if resync is not None and resync.uidvalidity == view.folder.uidvalidity and view.has_mod_sequences:
        yield from _resynchronise(view, resync)
    return "[READ-ONLY] Examined." if read_only else "[READ-WRITE] Selected."


def _read_parameter(reader: Reader) -> _Resync | None:
    """Parse a select parameter: CONDSTORE, or QRESYNC with its arguments; raise BadError."""
    word = reader.word("parameter")
    if word == b"CONDSTORE":
        return None
    if word != b"QRESYNC":
        raise BadError("Unknown parameter.")
    reader.expect(b" (")
    uidvalidity = reader.number()
    reader.expect_space()
    mod_sequence = reader.mod_sequence()
    known: SequenceSet | None = None
    if reader.accept(b" "):
        if not reader.starts_with(b"("):
            known = read_sequence_set(reader)
        if known is None or reader.accept(b" "):
            # Sequence match data of QRESYNC are ignored: they help only a server that forgets removals.
            reader.expect(b"(")
            read_sequence_set(reader)
            reader.expect_space()
            read_sequence_set(reader)
            reader.expect(b")")
    reader.expect(b")")
    if not uidvalidity or not mod_sequence:
        raise BadError("UIDVALIDITY and the mod-sequence must not be zero.")
    return _Resync(uidvalidity, mod_sequence, known)


def _resynchronise(view: View, resync: _Resync) -> Generator[Output, None, None]:
    """Yield the responses that resynchronise a client: VANISHED (EARLIER), and FETCH for changed messages.

    All changes after the client's mod-sequence are reported (RFC 7162 section 3.2.5).
    """
    known = ((1, view.folder.uidnext - 1),) if resync.known is None else resync.known
    yield from vanished_earlier(view, resync.mod_sequence, known)
    for index, uid in enumerate(list(view.uids) if resync.known is None else uids_in(resync.known, view.uids)):
        if index % TURN_MESSAGES == 0:
            yield b""
        with suppress(MessageGoneError):
            if view.mod_sequence(uid) > resync.mod_sequence:
                yield from view.new_keywords()
                yield view.flags_response(uid)


def vanished_earlier(view: View, mod_sequence: int, known: SequenceSet) -> Generator[Output, None, None]:
    """Yield VANISHED (EARLIER) for the UIDs in `known` that were removed after a mod-sequence (RFC 7162 section 3.2.6).

    If the mailbox store no longer has a complete record of the removals since then, the response lists every UID in
    `known` that does not exist (section 3.2.10.1).
    """
    removed = view.folder.mod_sequences.vanished_since(mod_sequence)
    if removed is None:
        removed = _gaps(view.uids, view.folder.uidnext)
    # `*` stands for the largest UID that was ever assigned.
    last = view.folder.uidnext - 1
    limits = [(min(first, last), min(end, last)) for first, end in known]
    ranges = sorted(
        {
            (max(first, low), min(end, high))
            for first, end in removed
            for low, high in limits
            if max(first, low) <= min(end, high)
        }
    )
    if ranges:
        yield b"* VANISHED (EARLIER) %b\r\n" % format_ranges(ranges)


def _gaps(uids: list[int], uidnext: int) -> list[tuple[int, int]]:
    """Return the (first, last) ranges of unused UIDs between 1 and `uidnext`; `uids` are in use, ascending."""
    gaps = []
    following = 1
    for uid in [*uids, uidnext]:
        if uid > following:
            gaps.append((following, uid - 1))
        following = uid + 1
    return gaps
