"""Handlers of IMAP commands on the selected mailbox: STORE, COPY, MOVE, EXPUNGE, CLOSE (RFC 3501 section 6.4).

Also UNSELECT (RFC 3691), UID EXPUNGE (RFC 4315) and MOVE (RFC 6851).
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from lab7.services.mail.access.requests import Output, Steps
from lab7.services.mail.imap.commands.append import target_folder
from lab7.services.mail.imap.errors import EXPUNGED_CODE, EXPUNGED_TEXT, BadError, NoError
from lab7.services.mail.imap.limits import TURN_MESSAGES
from lab7.services.mail.imap.session_state import SessionState, View, pauses, read_message_set
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set
from lab7.services.mail.imap.syntax.reader import Reader, read_flags
from lab7.services.mail.maildir.errors import MessageGoneError
from lab7.services.mail.maildir.folder import SYSTEM_FLAGS, Folder


def check(_session: SessionState, reader: Reader) -> Steps:
    """Handle CHECK (RFC 3501 section 6.4.1): no operation, since every change is already on disk."""
    reader.expect_end()
    yield b""
    return "Check completed."


def close(session: SessionState, reader: Reader) -> Steps:
    """Handle CLOSE (RFC 3501 section 6.4.2): expunge without EXPUNGE responses, unless the mailbox is read-only."""
    reader.expect_end()
    yield b""
    view = session.selected()
    if not view.read_only:
        yield from pauses(view.folder.expunge_steps(_marked_deleted(view, view.uids)))
    code = _highest_code(view)
    session.select(None)
    return f"{code}Close completed."


def unselect(session: SessionState, reader: Reader) -> Steps:
    """Handle UNSELECT (RFC 3691): close the mailbox as CLOSE does, but expunge nothing."""
    reader.expect_end()
    yield b""
    session.select(None)
    return "Unselect completed."


def _highest_code(view: View) -> str:
    """Return the response code `[HIGHESTMODSEQ n] ` for the tagged OK of EXPUNGE, CLOSE, UID EXPUNGE and MOVE.

    Returns "" if the client has not enabled QRESYNC, or the mailbox has no mod-sequences (RFC 7162 sections 3.2.7 to
    3.2.9).
    """
    if not view.reports_vanished or not view.has_mod_sequences:
        return ""
    return f"[HIGHESTMODSEQ {view.highest_mod_sequence()}] "


def _marked_deleted(view: View, uids: Iterable[int]) -> list[int]:
    messages = view.folder.messages
    return [uid for uid in uids if uid in messages and "\\Deleted" in messages[uid].flags]


def expunge(session: SessionState, reader: Reader) -> Steps:
    """Handle EXPUNGE (RFC 3501 section 6.4.3); its EXPUNGE responses are among the updates at the command's end."""
    reader.expect_end()
    yield b""
    view = session.writable()
    yield from pauses(view.folder.expunge_steps(_marked_deleted(view, view.uids)))
    return f"{_highest_code(view)}Expunge completed."


def uid_expunge(session: SessionState, reader: Reader) -> Steps:
    """Handle UID EXPUNGE (RFC 4315 section 2.1)."""
    uids = read_message_set(session, reader, by_uid=True)
    reader.expect_end()
    yield b""
    view = session.writable()
    yield from pauses(view.folder.expunge_steps(_marked_deleted(view, uids)))
    return f"{_highest_code(view)}Expunge completed."


@dataclass(frozen=True, slots=True)
class _StoreCommand:
    """Arguments of STORE or UID STORE: sign (`+`, `-` or none), flags, `.SILENT`, UNCHANGEDSINCE."""

    sign: bytes
    flags: frozenset[str]
    silent: bool
    by_uid: bool
    unchanged_since: int | None

    def changed(self, old: frozenset[str]) -> frozenset[str]:
        """Return the flags that STORE gives to a message whose flags were `old`."""
        return {b"+": old | self.flags, b"-": without(old, self.flags)}.get(self.sign, self.flags)


def store(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle STORE and UID STORE (RFC 3501 sections 6.4.6, 6.4.8), with UNCHANGEDSINCE (RFC 7162 section 3.1.3)."""
    uids = read_message_set(session, reader, by_uid)
    reader.expect_space()
    unchanged_since: int | None = None
    if reader.accept(b"("):
        if reader.word("modifier") != b"UNCHANGEDSINCE":
            raise BadError("Unknown STORE modifier.")
        reader.expect_space()
        unchanged_since = reader.mod_sequence()
        reader.expect(b") ")
    sign = b"+" if reader.accept(b"+") else b"-" if reader.accept(b"-") else b""
    word = reader.word("FLAGS")
    if word not in (b"FLAGS", b"FLAGS.SILENT"):
        raise BadError("STORE takes FLAGS, +FLAGS or -FLAGS.")
    reader.expect_space()
    flags = read_flags(reader)
    reader.expect_end()
    command = _StoreCommand(sign, flags, word == b"FLAGS.SILENT", by_uid, unchanged_since)
    view = session.writable()
    if unchanged_since is not None:
        yield from session.enable_condstore()
    return (yield from _change_flags(view, uids, command))


def _change_flags(view: View, uids: list[int], command: _StoreCommand) -> Steps:
    any_expunged = False
    modified: list[int] = []
    if not command.sign and command.unchanged_since is None:
        _give_up_keywords(view.folder, uids, command.flags)
    for begin in range(0, len(uids), TURN_MESSAGES):
        # All changes of a batch precede its responses, so that the changes get one mod-sequence.
        responses: list[tuple[int, bool]] = []
        if command.unchanged_since is not None:
            view.highest_mod_sequence()
        for uid in uids[begin : begin + TURN_MESSAGES]:
            if command.unchanged_since is not None and _is_modified(view, uid, command.unchanged_since):
                modified.append(uid if command.by_uid else view.number(uid) or 0)
                continue
            try:
                # A change by another session must still be reported, even after .SILENT.
                was_current = view.is_current(uid)
                view.folder.set_flags(uid, command.changed(view.folder.message(uid).flags))
            except MessageGoneError:
                # RFC 3501 section 6.4.8: a UID that no longer exists is ignored; the EXPUNGE response follows.
                if command.by_uid:
                    continue
                any_expunged = True
                if command.unchanged_since is not None:
                    modified.append(view.number(uid) or 0)
                    continue
                view.set_flags_of_expunged(uid, command.changed(view.sent_flags(uid)))
                was_current = False
            responses.append((uid, was_current))
        yield from _store_responses(view, responses, command)
        yield b""
    # RFC 7162 section 3.1.3: MODIFIED lists expunged messages as well; the response is NO then.
    code = f"MODIFIED {format_sequence_set(modified)}" if modified else ""
    if modified and any_expunged:
        raise NoError(EXPUNGED_TEXT, code)
    return f"[{code}] Store completed." if modified else f"{EXPUNGED_CODE if any_expunged else ''}Store completed."


def _give_up_keywords(folder: Folder, uids: list[int], flags: frozenset[str]) -> None:
    """Free keyword letters for the new keywords in `flags`, with which STORE will replace the messages' present flags.

    Letters are freed by removing keywords of these messages, and only if the new keywords otherwise get no letter.
    """
    keywords = folder.keywords
    if flags <= frozenset(SYSTEM_FLAGS) or not keywords.letters_to_free(flags, frozenset()):
        return
    replaced = frozenset(uids)
    needed = {letter for uid, message in folder.messages.items() if uid not in replaced for letter in message.letters}
    freed = frozenset().union(*map(keywords.flags_of, keywords.letters_to_free(flags, needed)))
    for uid in sorted(replaced & folder.messages.keys()):
        with suppress(MessageGoneError):
            folder.set_flags(uid, folder.message(uid).flags - freed)


def _is_modified(view: View, uid: int, unchanged_since: int) -> bool:
    """Return True if a message still exists and its recorded mod-sequence is above UNCHANGEDSINCE."""
    return uid in view.folder.messages and view.folder.mod_sequences.of(uid) > unchanged_since


def _store_responses(view: View, changed: list[tuple[int, bool]], command: _StoreCommand) -> Iterator[bytes]:
    """Yield the FETCH responses of STORE; with `.SILENT` only those that report a new mod-sequence.

    `changed` lists the stored messages as pairs: the UID, and True if the client knew the flags as they were before
    this STORE.
    """
    for uid, was_current in changed:
        if not command.silent:
            # Announce new keywords before a FETCH response contains a new keyword (RFC 3501 section 7.2.6).
            yield from view.new_keywords()
            yield view.flags_response(uid, command.by_uid)
        elif was_current and uid in view.folder.messages:
            view.mark_sent(uid)
            if view.reports_mod_sequences:
                # RFC 7162 section 3.1.3: the client must learn the mod-sequence of its own change.
                yield view.flags_response(uid, command.by_uid, with_flags=False)


def without(flags: frozenset[str], less: frozenset[str]) -> frozenset[str]:
    """Return `flags` without the flags in `less`; flags are compared case-insensitively."""
    lower = {flag.lower() for flag in less}
    return frozenset(flag for flag in flags if flag.lower() not in lower)


def copy(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle COPY (RFC 3501 section 6.4.7) and UID COPY (section 6.4.8)."""
    uids, name = _read_copy(session, reader, by_uid)
    yield b""
    _, code = yield from _copy_messages(session.selected(), uids, target_folder(session, name))
    return f"[{code}] Copy completed." if code else "Copy completed; there was no message to copy."


def _read_copy(session: SessionState, reader: Reader, by_uid: bool) -> tuple[list[int], str]:
    uids = read_message_set(session, reader, by_uid)
    reader.expect_space()
    name = reader.mailbox()
    reader.expect_end()
    return uids, name


def _copy_messages(
    view: View, uids: list[int], target: Folder, is_move: bool = False
) -> Generator[Output, None, tuple[list[int], str]]:
    """Copy messages; return the UIDs copied and the COPYUID response code (RFC 4315 section 3).

    All messages are copied, or none (RFC 3501 section 6.4.7, RFC 9051 section 6.4.7). If another session has expunged
    one of them, raise NoError with EXPUNGEISSUED (RFC 5530 section 3), as Dovecot does and RFC 2180 section 4.4.1
    permits. An OK response would be wrong then: the client would believe that the partial copy is complete.
    """
    if any(uid not in view.folder.messages for uid in uids):
        raise NoError(EXPUNGED_TEXT, "EXPUNGEISSUED")
    yield from pauses(target.refresh_steps())
    pairs = yield from pauses(view.folder.copy_steps(uids, target, is_move=is_move))
    if not pairs:
        return [], ""
    here, there = (format_sequence_set(numbers) for numbers in zip(*pairs, strict=True))
    return [uid for uid, _ in pairs], f"COPYUID {target.uidvalidity} {here} {there}"


def move(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle MOVE (RFC 6851 section 3) and UID MOVE (section 3.2).

    If another session has expunged one of the messages, none is moved, and the response is the same as for COPY;
    Dovecot does the same. RFC 6851 section 3.3 requires atomicity per message only, so it would also permit moving the
    remaining messages.
    """
    uids, name = _read_copy(session, reader, by_uid)
    view = session.writable()
    copied, code = yield from _copy_messages(view, uids, target_folder(session, name), is_move=True)
    if code:
        # RFC 6851 section 4.3: COPYUID is sent in an untagged OK before the EXPUNGE responses.
        yield b"* OK [%b] Moved.\r\n" % code.encode("ascii")
    yield from pauses(view.folder.expunge_steps(copied))
    return f"{_highest_code(view)}Move completed."
