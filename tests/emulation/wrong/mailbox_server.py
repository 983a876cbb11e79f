"""lab7's POP3 and IMAP servers with one fault: FAULT POP3_PORT IMAP_PORT [FLAG ...], with the flags of both services.

pop3-dele-nothing    DELE is answered by +OK, and nothing goes with QUIT
pop3-dele-other      what goes is the message behind the one that was marked
pop3-dele-at-once    what was marked goes without QUIT as well
pop3-retr-other      RETR and TOP bring the message behind the one that was asked for
pop3-bare-dots       lines that begin with a dot go without another one
imap-no-flags        STORE is answered by OK and stores nothing
imap-all-found       SEARCH finds every message
imap-long-part       a partial FETCH brings everything from its origin on
imap-other-part      a part of a message has one octet changed
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from lab7.services.mail.imap import __main__
from lab7.services.mail.imap.commands import fetch, messages, search
from lab7.services.mail.imap.syntax import fetch_items
from lab7.services.mail.pop3 import __main__ as pop3_serving
from lab7.services.mail.pop3 import maildrop, transaction


def patch(owner: Any, name: str, value: Any) -> None:
    """Put something else in the place of a part of lab7's."""
    setattr(owner, name, value)


def _next(drop: Any, number: int) -> int:
    return int(number % len(drop.uids)) + 1


def _dele_nothing() -> None:
    patch(maildrop.Maildrop, "remove_marked", lambda drop: len(drop.marked))


def _dele_other() -> None:
    remove = maildrop.Maildrop.remove_marked

    def other(drop: Any) -> int:
        drop.marked = {_next(drop, number) for number in drop.marked}
        return remove(drop)

    patch(maildrop.Maildrop, "remove_marked", other)


def _dele_at_once() -> None:
    release = maildrop.Maildrop.release

    def removes(drop: Any) -> None:
        if getattr(drop, "marked", None):
            drop.remove_marked()
            drop.marked = set()
        release(drop)

    patch(maildrop.Maildrop, "release", removes)


def _retr_other() -> None:
    read = maildrop.Maildrop.read
    patch(maildrop.Maildrop, "read", lambda drop, number: read(drop, _next(drop, number)))


def _bare_dots() -> None:
    def bare(content: bytes) -> Iterator[bytes]:
        yield content
        yield b".\r\n"

    patch(transaction, "byte_stuffed", bare)


def _no_flags() -> None:
    def unchanged(*_: Any) -> Any:
        yield b""
        return "Store completed."

    patch(messages, "_change", unchanged)


def _all_found() -> None:
    def found(view: Any, *_: Any) -> Any:
        yield b""
        return list(range(1, len(view.uids) + 1))

    patch(search, "_matching", found)


def _long_part() -> None:
    read = fetch_items._read_partial

    def longer(reader: Any) -> tuple[int, int] | None:
        found = read(reader)
        return None if found is None else (found[0], 1 << 31)

    patch(fetch_items, "_read_partial", longer)


def _other_part() -> None:
    octets_of = fetch_items.section_octets

    def other(octets: bytes, root: Any, section: Any) -> bytes | None:
        found = octets_of(octets, root, section)
        if not found or not section.numbers:
            return found
        return (b"B" if found.startswith(b"A") else b"A") + found[1:]

    patch(fetch, "section_octets", other)


FAULTS = {
    "none": lambda: None,
    "pop3-dele-nothing": _dele_nothing,
    "pop3-dele-other": _dele_other,
    "pop3-dele-at-once": _dele_at_once,
    "pop3-retr-other": _retr_other,
    "pop3-bare-dots": _bare_dots,
    "imap-no-flags": _no_flags,
    "imap-all-found": _all_found,
    "imap-long-part": _long_part,
    "imap-other-part": _other_part,
}


if __name__ == "__main__":
    fault, pop3_port, imap_port, *flags = sys.argv[1:]
    FAULTS[fault]()
    if os.fork() == 0:
        sys.exit(pop3_serving.main([*flags, "--port", pop3_port]))
    sys.exit(__main__.main([*flags, "--port", imap_port]))
