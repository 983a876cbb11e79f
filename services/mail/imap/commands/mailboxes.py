"""Handlers of CREATE, DELETE, RENAME, (UN)SUBSCRIBE, STATUS (RFC 3501 section 6.3) and NAMESPACE (RFC 2342)."""

from collections.abc import Collection, Iterator

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.session_state import SessionState, pauses
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.errors import NoFolderError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import SEPARATOR, canonical

STATUS_ITEMS = frozenset(
    (b"DELETED", b"HIGHESTMODSEQ", b"MAILBOXID", b"MESSAGES", b"RECENT", b"SIZE", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN")
)


def _read_name(reader: Reader) -> str:
    """Parse a space and a mailbox name; return the name in canonical form (INBOX in capitals)."""
    reader.expect_space()
    return reader.mailbox()


def _only_name(reader: Reader) -> str:
    name = _read_name(reader)
    reader.expect_end()
    return name


def create(session: SessionState, reader: Reader) -> Steps:
    """Handle CREATE (RFC 3501 section 6.3.3); a trailing hierarchy separator is accepted and ignored."""
    name = _only_name(reader)
    yield b""
    maildir = session.user_maildir()
    maildir.create(name.removesuffix(SEPARATOR))
    folder = maildir.folder(name.removesuffix(SEPARATOR))
    folder.refresh()
    # RFC 8474 section 4.1
    return f"[MAILBOXID ({encoder.mailbox_id(folder.first_uidvalidity).decode('ascii')})] Create completed."


def delete(session: SessionState, reader: Reader) -> Steps:
    r"""Handle DELETE (RFC 3501 section 6.3.4); a mailbox with inferiors stays as a \Noselect name."""
    name = _only_name(reader)
    yield b""
    maildir = session.user_maildir()
    folder = maildir.folder(name)
    maildir.remove(name)
    if session.view is not None and session.view.folder is folder:
        session.select(None)
    return "Delete completed."


def rename(session: SessionState, reader: Reader) -> Steps:
    """Handle RENAME (RFC 3501 section 6.3.5): rename a mailbox and its inferiors; of INBOX, move the messages."""
    name = _read_name(reader)
    new_name = _only_name(reader)
    yield b""
    session.user_maildir().rename(name, new_name.removesuffix(SEPARATOR))
    return "Rename completed."


def subscribe(session: SessionState, reader: Reader) -> Steps:
    """Handle SUBSCRIBE (RFC 3501 section 6.3.6): add a name to the user's subscriptions."""
    name = _only_name(reader)
    yield b""
    maildir = session.user_maildir()
    if not maildir.exists(name):
        raise NoFolderError("There is no such mailbox.")
    maildir.subscriptions.add(canonical(name))
    return "Subscribe completed."


def unsubscribe(session: SessionState, reader: Reader) -> Steps:
    """Handle UNSUBSCRIBE (RFC 3501 section 6.3.7); a name that is not subscribed is no error."""
    name = _only_name(reader)
    yield b""
    session.user_maildir().subscriptions.remove(canonical(name))
    return "Unsubscribe completed."


def status(session: SessionState, reader: Reader) -> Steps:
    """Handle STATUS (RFC 3501 section 6.3.10): report the requested numbers of a mailbox, without selecting it."""
    name = _read_name(reader)
    reader.expect_space()
    items = read_status_items(reader)
    reader.expect_end()
    if b"HIGHESTMODSEQ" in items:
        yield from session.enable_condstore()
    yield from status_response(session, name, items)
    return "Status completed."


def read_status_items(reader: Reader) -> list[bytes]:
    """Parse a parenthesised list of STATUS items; raise BadError for an unknown item."""
    items = reader.in_parentheses(lambda: reader.word("item"))
    if not STATUS_ITEMS.issuperset(items):
        raise BadError("Unknown STATUS item.")
    return items


def status_response(session: SessionState, name: str, items: Collection[bytes]) -> Iterator[bytes]:
    """Yield the STATUS response of a mailbox (RFC 3501 section 7.2.4); raise NoFolderError."""
    folder = session.user_maildir().folder(name)
    yield from pauses(folder.refresh_steps())
    if b"HIGHESTMODSEQ" in items:
        yield from pauses(folder.record_steps())
    status_items = encoder.parenthesized(item + b" " + _status_value(session, folder, item) for item in items)
    yield b"* STATUS %b %b\r\n" % (encoder.mailbox(canonical(name), session.is_rev2), status_items)


def _status_value(session: SessionState, folder: Folder, item: bytes) -> bytes:
    messages = folder.messages.values()
    if item == b"MAILBOXID":
        # RFC 8474 section 4.3
        return b"(%b)" % encoder.mailbox_id(folder.first_uidvalidity)
    if item == b"SIZE":
        # RFC 8438 section 2
        return b"%d" % sum(folder.size_octets(uid) for uid in folder.uids)
    counts = {
        b"DELETED": lambda: sum("\\Deleted" in message.flags for message in messages),
        b"HIGHESTMODSEQ": lambda: folder.mod_sequences.highest,
        b"MESSAGES": lambda: len(folder.uids),
        b"RECENT": lambda: _recent(session, folder),
        b"UIDNEXT": lambda: folder.uidnext,
        b"UIDVALIDITY": lambda: folder.uidvalidity,
        b"UNSEEN": lambda: sum("\\Seen" not in message.flags for message in messages),
    }
    return b"%d" % counts[item]()


def _recent(session: SessionState, folder: Folder) -> int:
    r"""Return the number of messages that are \Recent in this session, or that no session has claimed as \Recent yet.

    RFC 3501 section 2.3.2.
    """
    unclaimed = set(folder.uids[folder.position(folder.first_recent) :])
    own = session.view.recent if session.view is not None and session.view.folder is folder else set()
    return len(unclaimed | (own & folder.messages.keys()))


def namespace(_session: SessionState, reader: Reader) -> Steps:
    """Handle NAMESPACE (RFC 2342 section 5): the only namespace is personal and has an empty prefix."""
    reader.expect_end()
    yield b'* NAMESPACE (("" "%b")) NIL NIL\r\n' % SEPARATOR.encode("ascii")
    return "Namespace completed."
