"""lab7's mail server with one fault: FAULT [FLAG ...], with the flags of lab7.services.mail.mta.

drops-pictures     a message with a picture is answered by 250 and kept nowhere
drops-third        so is every third message
changes-subject    the Subject of messages becomes another one
changes-text       a word of the body becomes another one of the same length
breaks-picture     one character of base64 becomes another one
keeps-dots         of lines that begin with a dot the dot that was added stays
open-after-quit    behind the 221 to QUIT the connection stays open until the client closes it
quit-250           QUIT is answered by 250
any-recipient      RCPT is answered by 250 for users that there are not
first-mail-452     the first MAIL of each connection is answered by 452, with room on the disk
lf                 lines of replies end in LF alone
no-hyphens         all lines of a reply have a space behind the code
data-250           DATA is answered by 250
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from lab7.services.mail.mta import MTA, main
from lab7.services.mail.smtp import content, policy, server, server_session
from lab7.services.mail.smtp.syntax import Reply

QUEUED = Reply(250, "Queued, of course", "2.0.0")


def _altered(change: Callable[[bytes], bytes | None]) -> None:
    """Have messages changed before they are kept; None keeps nothing."""
    enqueue = MTA._enqueue

    async def altered(self: Any, asked: Any, client: Any, octets: bytes) -> Reply:
        changed = change(octets)
        return QUEUED if changed is None else await enqueue(self, asked, client, changed)

    patch(MTA, "_enqueue", altered)


def _drops_pictures() -> None:
    _altered(lambda octets: None if b"Content-Type: image/" in octets else octets)


def _drops_third() -> None:
    count = 0

    def change(octets: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return None if count % 3 == 0 else octets

    _altered(change)


def _changes_subject() -> None:
    _altered(lambda octets: re.sub(rb"(?m)^Subject: [^\r\n]*", b"Subject: buy now", octets, count=1))


def _changes_text() -> None:
    _altered(lambda octets: octets.replace(b"window", b"garden"))


def _breaks_picture() -> None:
    # The third line of base64 in a row: the first ones are a picture's header.
    lines = re.compile(rb"(?:[A-Za-z0-9+/]{76}\r\n){3}")

    def change(octets: bytes) -> bytes:
        found = lines.search(octets)
        if found is None:
            return octets
        at = found.end() - 10
        return octets[:at] + (b"B" if octets[at : at + 1] == b"A" else b"A") + octets[at + 1 :]

    _altered(change)


def _keeps_dots() -> None:
    finish = content.ContentReader.finish

    def kept(self: Any) -> bytes | Reply:
        found = finish(self)
        return found if isinstance(found, Reply) else re.sub(rb"(?m)^\.", b"..", found)

    patch(content.ContentReader, "finish", kept)


def _open_after_quit() -> None:
    def stays(self: Any) -> None:
        self._lingers = True
        self.deadline = self._context.now() + self._context.limits.idle_s
        self._transport.resume_reading()

    patch(server.ServerConnection, "_end", stays)


def _quit_250() -> None:
    patch(server_session.ServerSession, "_quit", lambda self, _: self._close(Reply(250, "Good-bye", "2.0.0")))


def _any_recipient() -> None:
    recipient = policy.Policy.recipient

    def anybody(self: Any, *arguments: Any) -> Reply:
        reply: Reply = recipient(self, *arguments)
        return Reply(250, "Of course", "2.1.5") if reply.code == 550 else reply

    patch(policy.Policy, "recipient", anybody)


def _first_mail_452() -> None:
    mail = server_session.ServerSession._mail

    def refused(self: Any, argument: bytes) -> None:
        if hasattr(self, "asked_before"):
            mail(self, argument)
        else:
            self.asked_before = True
            self._reply(Reply(452, "Not enough disk space", "4.3.1"))

    patch(server_session.ServerSession, "_mail", refused)


def _rewritten(change: Callable[[bytes], bytes]) -> None:
    """Have the octets of replies changed."""
    to_wire = Reply.to_wire

    def rewritten(self: Reply) -> bytes:
        return change(to_wire(self))

    patch(Reply, "to_wire", rewritten)


FAULTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "drops-pictures": _drops_pictures,
    "drops-third": _drops_third,
    "changes-subject": _changes_subject,
    "changes-text": _changes_text,
    "breaks-picture": _breaks_picture,
    "keeps-dots": _keeps_dots,
    "open-after-quit": _open_after_quit,
    "quit-250": _quit_250,
    "any-recipient": _any_recipient,
    "first-mail-452": _first_mail_452,
    "lf": lambda: _rewritten(lambda octets: octets.replace(b"\r\n", b"\n")),
    "no-hyphens": lambda: _rewritten(lambda octets: re.sub(rb"(?m)^([0-9]{3})-", rb"\1 ", octets)),
    "data-250": lambda: _rewritten(lambda octets: re.sub(rb"^354", b"250", octets)),
}


def patch(owner: Any, name: str, value: Any) -> None:
    """Put something else in the place of a part of lab7's."""
    setattr(owner, name, value)


if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
