"""Which messages of the selected mailbox a command means."""

from typing import TYPE_CHECKING

from services.mail.imap.errors import BadError
from services.mail.imap.reader import Reader
from services.mail.imap.sequence_set import SequenceSet, numbers_in, read_sequence_set, uids_in
from services.mail.imap.view import View

if TYPE_CHECKING:
    from services.mail.imap.session import Session


def view_of(session: "Session") -> View:
    """Return the selected mailbox."""
    if session.view is None:
        raise BadError("No mailbox is selected.")
    return session.view


def chosen(view: View, wanted: SequenceSet, by_uid: bool) -> list[int]:
    """Return the UIDs of the messages of a set; raises BadError for a number that no message has."""
    if by_uid:
        return uids_in(wanted, view.uids)
    return [view.uids[number - 1] for number in numbers_in(wanted, len(view.uids))]


def read_messages(session: "Session", reader: Reader, by_uid: bool) -> list[int]:
    """Read a space and a set of messages, and return their UIDs."""
    reader.space()
    return chosen(view_of(session), read_sequence_set(reader), by_uid)
