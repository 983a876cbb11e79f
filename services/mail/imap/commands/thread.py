"""Handlers of THREAD and UID THREAD with the algorithms ORDEREDSUBJECT and REFERENCES (RFC 5256)."""

from collections.abc import Callable, Iterable

from lab7.services.mail.access.requests import Steps
from lab7.services.mail.imap.commands.search import matching, read_charset_name
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.session_state import CachedMessage, SessionState, View
from lab7.services.mail.imap.sort_keys import sent_at, subject_of
from lab7.services.mail.imap.syntax.base_subject import base_subject
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.imap.syntax.search_keys import KeyReader
from lab7.services.mail.imap.thread_tree import (
    Node,
    ThreadMessage,
    encode_threads,
    message_ids,
    threads_by_references,
    threads_by_subject,
)
from lab7.services.mail.maildir.errors import MessageGoneError

_ALGORITHMS: dict[bytes, Callable[[Iterable[ThreadMessage]], list[Node]]] = {
    b"ORDEREDSUBJECT": threads_by_subject,
    b"REFERENCES": threads_by_references,
}


def thread(session: SessionState, reader: Reader, by_uid: bool = False) -> Steps:
    """Handle THREAD (RFC 5256 section 3): a SEARCH whose result is grouped into threads."""
    reader.expect_space()
    algorithm = _ALGORITHMS.get(reader.word("threading algorithm"))
    if algorithm is None:
        raise BadError("Unknown threading algorithm.")
    reader.expect_space()
    charset = read_charset_name(reader)
    reader.expect_space()
    view = session.selected()
    test = KeyReader(reader, charset, view, session.saved_result).program()
    found = yield from matching(view, test)
    messages: list[ThreadMessage] = []
    for number, uid in found:
        # Yield for each message, because threading reads the message's header, and other sessions run in between.
        yield b""
        try:
            messages.append(_thread_message(view, view.cache.get(uid), uid if by_uid else number))
        except MessageGoneError:
            continue
    threads = encode_threads(algorithm(messages))
    yield b"* THREAD %b\r\n" % threads if threads else b"* THREAD\r\n"
    return "Thread completed."


def _thread_message(view: View, content: CachedMessage, number: int) -> ThreadMessage:
    header = content.header
    own = message_ids(header.first(b"message-id"))
    # RFC 5256 section 3: without valid References the first identifier of In-Reply-To.
    references = message_ids(header.first(b"references")) or message_ids(header.first(b"in-reply-to"))[:1]
    subject = base_subject(subject_of(content))
    return ThreadMessage(number, sent_at(view, content), subject, own[0] if own else None, references)
