"""Search contexts: notifications of changes to the result of an earlier SEARCH (RFC 5267 sections 4.3 and 4.5).

C: a SEARCH RETURN (UPDATE ALL) UNSEEN
S: * ESEARCH (TAG "a") ALL 1:2
S: a OK Search completed.
S: * ESEARCH (TAG "a") ADDTO (0 3)         message 3 matches now; position 0, as the result has no order
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set


@dataclass(slots=True)
class SearchContext:
    """A SEARCH with RETURN (UPDATE), whose result changes are notified; `matches` has the UIDs of the current result.

    `test` evaluates the search for a sequence number and UID.
    """

    tag: bytes
    by_uid: bool
    test: Callable[[int, int], bool]
    matches: set[int]

    def remove_expunged(self, expunged: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the REMOVEFROM response for expunged messages, given as (sequence number, UID) pairs.

        It must be sent before the EXPUNGE responses, which change the sequence numbers.
        """
        gone = [pair for pair in expunged if pair[1] in self.matches]
        self.matches.difference_update(uid for _, uid in gone)
        yield from self._change(b"REMOVEFROM", gone)

    def update(self, changed: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Yield REMOVEFROM and ADDTO responses after messages were added or their flags changed.

        `changed` lists these messages as (sequence number, UID) pairs.
        """
        added: list[tuple[int, int]] = []
        removed: list[tuple[int, int]] = []
        for number, uid in changed:
            matches = self.test(number, uid)
            if matches and uid not in self.matches:
                added.append((number, uid))
            elif not matches and uid in self.matches:
                removed.append((number, uid))
        self.matches.difference_update(uid for _, uid in removed)
        self.matches.update(uid for _, uid in added)
        yield from self._change(b"REMOVEFROM", removed)
        yield from self._change(b"ADDTO", added)

    def _change(self, word: bytes, pairs: list[tuple[int, int]]) -> Iterator[bytes]:
        if not pairs:
            return
        numbers = format_sequence_set(uid if self.by_uid else number for number, uid in pairs).encode("ascii")
        kind = b" UID" if self.by_uid else b""
        # RFC 5267 section 4.3.3: position 0, since the results of SEARCH have no order.
        yield b"* ESEARCH (TAG %b)%b %b (0 %b)\r\n" % (encoder.string(self.tag), kind, word, numbers)
