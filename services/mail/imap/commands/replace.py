"""Handler of REPLACE and UID REPLACE (RFC 8508): appends a message, such as a new draft, and expunges an old one."""

import re

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.commands.append import message_content, read_message, target_folder
from lab7.services.mail.imap.errors import EXPUNGED_TEXT, BadError, NoError
from lab7.services.mail.imap.session_state import SessionState, pauses, read_message_set
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.errors import MessageGoneError

_ONE_MESSAGE = re.compile(rb"[1-9][0-9]*|\*")


def replace(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle REPLACE: append one message as APPEND does, then expunge the message that it replaces.

    If the new message cannot be appended, the old one remains (RFC 8508 section 3.4). For the quota, only the
    difference of the two counts.
    """
    begin = reader.position + 1
    uids = read_message_set(session, reader, by_uid)
    if not _ONE_MESSAGE.fullmatch(reader.octets[begin : reader.position]):
        raise BadError("REPLACE takes one message.")
    reader.expect_space()
    name = reader.mailbox()
    message = read_message(reader)
    reader.expect_end()
    yield b""
    view = session.writable()
    if not uids:
        raise NoError("There is no message with that UID.")
    target = target_folder(session, name)
    content = yield from message_content(session, message)
    yield from pauses(target.refresh_steps())
    try:
        freed_octets = view.folder.size_octets(uids[0])
    except MessageGoneError:
        raise NoError(EXPUNGED_TEXT, "EXPUNGEISSUED") from None
    (new_uid,) = target.append([NewMessage(content, date=message.date)], [message.flags], freed_octets)
    # RFC 8508 section 3.5: the code is sent before the EXPUNGE response.
    yield b"* OK [APPENDUID %d %d] Replacement message ready.\r\n" % (target.uidvalidity, new_uid)
    yield from pauses(view.folder.expunge_steps(uids))
    return "Replace completed."
