"""Handlers of IMAP commands on the selected mailbox: STORE, COPY, MOVE, EXPUNGE, CLOSE (RFC 3501 section 6.4).

Also UNSELECT (RFC 3691), UID EXPUNGE (RFC 4315) and MOVE (RFC 6851).
"""

from collections.abc import Iterable

from services.mail.access.requests import Steps
from services.mail.imap.commands.append import target_folder
from services.mail.imap.errors import EXPUNGED_CODE, BadError, NoError
from services.mail.imap.session_state import SessionState, read_message_set
from services.mail.imap.syntax.fetch_items import format_sequence_set
from services.mail.imap.syntax.reader import Reader, read_flags
from services.mail.imap.view import View
from services.mail.maildir.errors import MessageGoneError
from services.mail.maildir.folder import Folder

_GONE = "Some of the messages have been removed."


def check(_session: SessionState, reader: Reader) -> Steps:
    """Handle CHECK (RFC 3501 section 6.4.1), which has nothing to do: every change is on disk already."""
    reader.expect_end()
    yield b""
    return "Check completed."


def close(session: SessionState, reader: Reader) -> Steps:
    """Handle CLOSE (RFC 3501 section 6.4.2): expunge without EXPUNGE responses, unless the mailbox is read-only."""
    reader.expect_end()
    yield b""
    view = session.selected()
    if not view.read_only:
        view.folder.expunge(_marked_deleted(view, view.uids))
    session.select(None)
    return "Close completed."


def unselect(session: SessionState, reader: Reader) -> Steps:
    """Handle UNSELECT (RFC 3691): as CLOSE, without expunging."""
    reader.expect_end()
    yield b""
    session.select(None)
    return "Unselect completed."


def _marked_deleted(view: View, uids: Iterable[int]) -> list[int]:
    messages = view.folder.messages
    return [uid for uid in uids if uid in messages and "\\Deleted" in messages[uid].flags]


def expunge(session: SessionState, reader: Reader) -> Steps:
    """Handle EXPUNGE (RFC 3501 section 6.4.3); the EXPUNGE responses are sent with the updates at the command's end."""
    reader.expect_end()
    yield b""
    view = session.writable()
    view.folder.expunge(_marked_deleted(view, view.uids))
    return "Expunge completed."


def uid_expunge(session: SessionState, reader: Reader) -> Steps:
    """Handle UID EXPUNGE (RFC 4315 section 2.1)."""
    uids = read_message_set(session, reader, by_uid=True)
    reader.expect_end()
    yield b""
    view = session.writable()
    view.folder.expunge(_marked_deleted(view, uids))
    return "Expunge completed."


def store(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle STORE (RFC 3501 section 6.4.6) and UID STORE (section 6.4.8)."""
    uids = read_message_set(session, reader, by_uid)
    reader.expect_space()
    sign = b"+" if reader.accept(b"+") else b"-" if reader.accept(b"-") else b""
    word = reader.word("FLAGS")
    if word not in (b"FLAGS", b"FLAGS.SILENT"):
        raise BadError("STORE takes FLAGS, +FLAGS or -FLAGS.")
    reader.expect_space()
    flags = read_flags(reader)
    reader.expect_end()
    return _change(session.writable(), uids, sign, flags, word == b"FLAGS.SILENT", by_uid)


def _change(view: View, uids: list[int], sign: bytes, flags: frozenset[str], silent: bool, by_uid: bool) -> Steps:
    def changed(old: frozenset[str]) -> frozenset[str]:
        return {b"+": old | flags, b"-": without(old, flags)}.get(sign, flags)

    any_expunged = False
    for uid in uids:
        try:
            # Remember if the flags were current: after .SILENT, a change by another session must still be reported.
            was_current = view.is_current(uid)
            view.folder.set_flags(uid, changed(view.folder.message(uid).flags))
        except MessageGoneError:
            # RFC 3501 section 6.4.8: UID STORE ignores a UID that does not exist.
            if by_uid:
                continue
            any_expunged = True
            view.set_flags_of_expunged(uid, changed(view.sent_flags(uid)))
            was_current = False
        if silent:
            if was_current:
                view.mark_sent(uid)
            continue
        yield from view.new_keywords()
        flags_item = view.flags_item(uid)
        yield b"* %d FETCH (%b%b)\r\n" % (view.number(uid) or 0, b"UID %d " % uid if by_uid else b"", flags_item)
    return f"{EXPUNGED_CODE}Store completed." if any_expunged else "Store completed."


def without(flags: frozenset[str], less: frozenset[str]) -> frozenset[str]:
    """Return `flags` without the flags in `less`, compared case-insensitively."""
    lower = {flag.lower() for flag in less}
    return frozenset(flag for flag in flags if flag.lower() not in lower)


def copy(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle COPY (RFC 3501 section 6.4.7) and UID COPY (section 6.4.8)."""
    uids, name = _read_copy(session, reader, by_uid)
    yield b""
    code = _copy_messages(session.selected(), uids, target_folder(session, name))[1]
    return f"[{code}] Copy completed." if code else "Copy completed; there was no message to copy."


def _read_copy(session: SessionState, reader: Reader, by_uid: bool) -> tuple[list[int], str]:
    uids = read_message_set(session, reader, by_uid)
    reader.expect_space()
    name = reader.mailbox()
    reader.expect_end()
    return uids, name


def _copy_messages(view: View, uids: list[int], target: Folder) -> tuple[list[int], str]:
    """Copy messages; return (copied UIDs, COPYUID response code of RFC 4315 section 3); raise NoError."""
    if any(uid not in view.folder.messages for uid in uids):
        # RFC 3501 section 6.4.7: all messages are copied, or none.
        raise NoError(_GONE, "EXPUNGEISSUED")
    target.refresh()
    pairs = view.folder.copy_to(uids, target)
    if not pairs:
        return [], ""
    here, there = (format_sequence_set(numbers) for numbers in zip(*pairs, strict=True))
    return [uid for uid, _ in pairs], f"COPYUID {target.uidvalidity} {here} {there}"


def move(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle MOVE (RFC 6851 section 3) and UID MOVE (section 3.2)."""
    uids, name = _read_copy(session, reader, by_uid)
    view = session.writable()
    copied, code = _copy_messages(view, uids, target_folder(session, name))
    if code:
        # RFC 6851 section 4.3: COPYUID is sent in an untagged OK before the EXPUNGE responses.
        yield b"* OK [%b] Moved.\r\n" % code.encode("ascii")
    view.folder.expunge(copied)
    return "Move completed."
