"""Message sets: sequence sets of a command resolved against the selected mailbox (RFC 3501 sections 6.4.8 and 9)."""

from services.mail.imap.session_state import SessionState
from services.mail.imap.syntax.reader import Reader
from services.mail.imap.syntax.sequence_set import numbers_in, read_sequence_set, uids_in


def read_message_set(session: SessionState, reader: Reader, by_uid: bool) -> list[int]:
    """Parse a space and a sequence set; return the UIDs of its messages.

    A sequence number that does not exist raises BadError; a UID that does not exist is ignored.
    """
    reader.expect_space()
    sequence_set = read_sequence_set(reader)
    uids = session.selected().uids
    if by_uid:
        return uids_in(sequence_set, uids)
    return [uids[number - 1] for number in numbers_in(sequence_set, len(uids))]
