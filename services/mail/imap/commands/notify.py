"""Handler of NOTIFY, and notifications of events in the selected mailbox and in other mailboxes (RFC 5465).

    C: a NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) (personal (MessageNew MessageExpunge))
    S: * STATUS Work (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 1700000000)
    S: a OK Notify completed.
    S: * STATUS Work (MESSAGES 4 UIDNEXT 10)

While no command runs, the connection polls the session for notifications. Left out: events of annotations and metadata.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.commands.fetch import fetch_response
from lab7.services.mail.imap.commands.mailbox_list import list_response, listed_names
from lab7.services.mail.imap.errors import BadError, NoError
from lab7.services.mail.imap.limits import NOTIFIED_MAILBOXES_MAX
from lab7.services.mail.imap.session_state import SessionState, View, pauses
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import Item, read_item
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.errors import MaildirError, MessageGoneError
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.folder_names import INBOX, SEPARATOR, canonical

_MESSAGE_EVENTS = frozenset((b"MESSAGENEW", b"MESSAGEEXPUNGE", b"FLAGCHANGE"))
_MAILBOX_EVENTS = frozenset((b"MAILBOXNAME", b"SUBSCRIPTIONCHANGE"))
_SELECTED = frozenset((b"SELECTED", b"SELECTED-DELAYED"))
_OTHERS = frozenset((b"INBOXES", b"PERSONAL", b"SUBSCRIBED", b"SUBTREE", b"MAILBOXES"))
_SUPPORTED = "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"


@dataclass(frozen=True, slots=True)
class _EventGroup:
    """Event group of NOTIFY (RFC 5465 section 4): mailbox filter and names, events, FETCH items for new messages."""

    filter: bytes
    names: tuple[str, ...]
    events: frozenset[bytes]
    items: tuple[Item, ...] = ()

    def matches(self, name: str, subscribed: Callable[[], set[str]]) -> bool:
        """Return True if the mailbox filter of this event group includes a mailbox.

        All filters are supported here except SELECTED and SELECTED-DELAYED, which concern the selected mailbox.
        """
        if self.filter == b"INBOXES":
            return name == INBOX
        if self.filter == b"SUBSCRIBED":
            return name in subscribed()
        if self.filter == b"SUBTREE":
            return any(name == top or name.startswith(top + SEPARATOR) for top in self.names)
        return self.filter == b"PERSONAL" or name in self.names


@dataclass(slots=True)
class _Known:
    """State of a mailbox as last sent to the client: UIDVALIDITY, UIDNEXT, number of messages, mod-sequence."""

    uidvalidity: int
    uidnext: int
    messages: int
    mod_sequence: int


@dataclass(slots=True)
class Notifications:
    """Mailbox notifications that one session has requested; the next NOTIFY command replaces them."""

    groups: list[_EventGroup]
    _known: dict[str, _Known] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _subscribed: set[str] = field(default_factory=set)

    def begin(self, session: SessionState, with_status: bool) -> Iterator[bytes]:
        """Record the state of the watched mailboxes; raise NoError if there are too many such mailboxes.

        Yields a STATUS response for each mailbox if `with_status` is True.
        """
        maildir = session.user_maildir()
        self._names, self._subscribed = listed_names(maildir)
        watched = self._watched(session)
        if len(watched) > NOTIFIED_MAILBOXES_MAX:
            raise NoError(f"At most {NOTIFIED_MAILBOXES_MAX} mailboxes are watched.", "NOTIFICATIONOVERFLOW")
        for name, group in watched.items():
            folder = maildir.folder(name)
            yield from pauses(folder.refresh_steps())
            known = self._state_of(folder)
            self._known[name] = known
            if with_status:
                items = [
                    (b"MESSAGES", known.messages),
                    (b"UIDNEXT", known.uidnext),
                    (b"UIDVALIDITY", known.uidvalidity),
                ]
                if b"FLAGCHANGE" in group.events:
                    items.append((b"HIGHESTMODSEQ", known.mod_sequence))
                yield _status(session, name, items)

    def poll(self, session: SessionState) -> Iterator[bytes]:
        """Yield the responses for all mailbox events since the last call."""
        yield from self._selected_events(session)
        yield from self._name_events(session)
        for name, group in self._watched(session).items():
            try:
                folder = session.user_maildir().folder(name)
                yield from pauses(folder.refresh_steps())
                yield from self._message_events(session, name, group, folder)
            except MaildirError:
                # Another session has removed the mailbox since.
                self._known.pop(name, None)

    def _watched(self, session: SessionState) -> dict[str, _EventGroup]:
        """Return the watched mailboxes, mapped to their event groups; if several groups match, the first applies.

        A mailbox is watched if its group has message events and it is not the selected mailbox.
        """
        selected = session.view.folder.path if session.view is not None else ""
        watched = {}
        for name in sorted(self._names):
            group = self._group_of(name)
            if (
                group is not None
                and group.events & _MESSAGE_EVENTS
                and session.user_maildir().path_of(name) != selected
            ):
                watched[name] = group
        return watched

    def _group_of(self, name: str) -> _EventGroup | None:
        groups = (group for group in self.groups if group.filter in _OTHERS)
        return next((group for group in groups if group.matches(name, lambda: self._subscribed)), None)

    @staticmethod
    def _state_of(folder: Folder) -> _Known:
        folder.record_changes()
        return _Known(folder.uidvalidity, folder.uidnext, len(folder.uids), folder.mod_sequences.highest)

    def _message_events(self, session: SessionState, name: str, group: _EventGroup, folder: Folder) -> Iterator[bytes]:
        new, old = self._state_of(folder), self._known.get(name)
        self._known[name] = new
        items = []
        if old is None or (new.uidnext, new.messages, new.uidvalidity) != (old.uidnext, old.messages, old.uidvalidity):
            items += [(b"MESSAGES", new.messages), (b"UIDNEXT", new.uidnext)]
        if old is not None and new.uidvalidity != old.uidvalidity:
            items.append((b"UIDVALIDITY", new.uidvalidity))
        if b"FLAGCHANGE" in group.events and (old is None or new.mod_sequence != old.mod_sequence):
            items.append((b"HIGHESTMODSEQ", new.mod_sequence))
        if items:
            yield _status(session, name, items)

    def _name_events(self, session: SessionState) -> Iterator[bytes]:
        """Yield LIST responses for mailboxes that were created, removed, subscribed or unsubscribed."""
        names, subscribed = listed_names(session.user_maildir())
        changed = dict.fromkeys(names ^ self._names, b"MAILBOXNAME")
        changed |= {name: b"SUBSCRIPTIONCHANGE" for name in subscribed ^ self._subscribed if name not in changed}
        before, self._names, self._subscribed = self._names, names, subscribed
        for name in sorted(changed):
            group = self._group_of(name)
            if group is None or changed[name] not in group.events:
                continue
            attributes = [] if name in names else [b"\\NonExistent"]
            attributes += [b"\\Subscribed"] if name in subscribed else []
            yield list_response(b"LIST", attributes, name, utf8=session.is_rev2)
        for name in before - names:
            self._known.pop(name, None)

    def _selected_events(self, session: SessionState) -> Iterator[bytes]:
        group = next((group for group in self.groups if group.filter in _SELECTED), None)
        view = session.view
        if view is None or group is None or not group.events:
            return
        count = len(view.uids)
        last = view.uids[-1] if count else 0
        yield from view.updates(may_expunge=group.filter == b"SELECTED")
        if group.items:
            yield from _fetch_new(view, last, group.items)


def _fetch_new(view: View, last: int, items: tuple[Item, ...]) -> Iterator[bytes]:
    """Yield FETCH responses for the messages with UIDs above the given UID (RFC 5465 section 5.2)."""
    for uid in [uid for uid in view.uids if uid > last]:
        try:
            yield from fetch_response(view, uid, [b"UID", *(item for item in items if item != b"UID")], reads=False)
        except MessageGoneError:
            continue


def _status(session: SessionState, name: str, items: list[tuple[bytes, int]]) -> bytes:
    encoded = encoder.parenthesized(b"%b %d" % item for item in items)
    return b"* STATUS %b %b\r\n" % (encoder.mailbox(name, session.is_rev2), encoded)


def notify(session: SessionState, reader: Reader) -> Steps:
    """Handle NOTIFY (RFC 5465 section 3.1): set the events that are notified, or stop all notifications."""
    reader.expect_space()
    word = reader.word("SET or NONE")
    if word == b"NONE":
        reader.expect_end()
        yield b""
        session.poll_notifications = None
        return "Notify completed."
    if word != b"SET":
        raise BadError("NOTIFY takes SET or NONE.")
    reader.expect_space()
    with_status = not reader.starts_with(b"(") and reader.word("STATUS") == b"STATUS"
    if with_status:
        reader.expect_space()
    groups = [_read_group(reader)]
    while not reader.at_end:
        reader.expect_space()
        groups.append(_read_group(reader))
    notifications = Notifications(groups)
    yield from notifications.begin(session, with_status)
    session.poll_notifications = notifications.poll
    return "Notify completed."


def _read_group(reader: Reader) -> _EventGroup:
    reader.expect(b"(")
    word = reader.word("mailbox filter")
    if word not in _SELECTED | _OTHERS:
        raise BadError("Unknown mailbox filter.")
    names: tuple[str, ...] = ()
    if word in (b"SUBTREE", b"MAILBOXES"):
        reader.expect_space()
        read = reader.in_parentheses(reader.mailbox) if reader.starts_with(b"(") else [reader.mailbox()]
        names = tuple(canonical(name) for name in read)
    reader.expect_space()
    events: list[bytes] = []
    items: list[Item] = []
    if reader.starts_with(b"("):
        events = reader.in_parentheses(lambda: _read_event(reader, items))
    elif reader.word("events") != b"NONE":
        raise BadError("Expected events.")
    reader.expect(b")")
    if not set(events) <= _MESSAGE_EVENTS | _MAILBOX_EVENTS:
        raise NoError("There are no such events.", _SUPPORTED)
    # RFC 5465 section 5: new and removed messages are notified together, and before changes of flags.
    message_events = _MESSAGE_EVENTS & set(events)
    if message_events and not {b"MESSAGENEW", b"MESSAGEEXPUNGE"} <= message_events:
        raise BadError("Message events include MessageNew and MessageExpunge.")
    if items and word not in _SELECTED:
        raise BadError("Only new messages of the selected mailbox are fetched.")
    return _EventGroup(word, names, frozenset(events), tuple(items))


def _read_event(reader: Reader, items: list[Item]) -> bytes:
    event = reader.word("event")
    if event == b"MESSAGENEW" and reader.accept(b" ("):
        items.append(read_item(reader))
        while reader.accept(b" "):
            items.append(read_item(reader))
        reader.expect(b")")
    return event
