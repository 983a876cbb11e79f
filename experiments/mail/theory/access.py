"""Closed forms for the duration of mailbox access by POP3, IMAP and webmail: sums of round trips.

    tcp_handshake   1 RTT     SYN, SYN-ACK
    greeting        1 RTT     ACK, and the greeting of the server
    authorization   2 RTT     POP3: USER, PASS; IMAP: CAPABILITY, which clients send first, and LOGIN
    selection       s RTT     POP3: STAT or LIST (s = 1); IMAP: EXAMINE (s = 1), and SEARCH for an attachment (s = 2)
    retrieval       r RTT     POP3: a TOP or RETR for each of n messages (r = n), or for one (r = 1); IMAP: one FETCH
                              (r = 1), and BODYSTRUCTURE before an attachment (r = 2)
    transmission    w RTT     w: number of times that a response waits for acknowledgements by slow start
    farewell        1 RTT     QUIT, LOGOUT

There are three reading tasks: the headers of all n messages, one attachment, everything. POP3 takes (6 + n + w) RTT to
read n messages or their headers, IMAP (7 + w) RTT for any n. One attachment takes (7 + w) RTT by POP3 and (9 + w) RTT
by IMAP, which need not transfer the rest of the message. POP3 clients may pipeline commands (RFC 2449 section 6.6);
poplib does not.

By webmail, on one persistent connection, each request takes 1 RTT:

    tcp_handshake   1 RTT
    request         3 for the login: the form, its submission, the redirect
                    1 for each page of the message list, with 50 messages each (only the first page for an attachment)
                    1 for each message, if everything is read
                    3 for the picture, unless only headers are read: a search, its message, the picture
    transmission    w RTT, as above

The link's rate is unlimited here: only slow start makes a response take longer than one round trip. The congestion
window, ten segments at first (RFC 6928), doubles with each round trip (RFC 5681 section 3.1), and does not shrink
within a session.

The round trips are counted from RFC 1939 section 3 and RFC 3501 section 2.2: a command and its response.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.harness.pathmodel.replay import OmittedTerms
from lab7.experiments.harness.theory.round_trips import RoundTrips
from lab7.experiments.harness.theory.tcp import INITIAL_WINDOW_SEGMENTS, Theory, segments, slow_start_rounds

RFCS = "RFC 1939, section 3; RFC 3501, section 2.2; RFC 5681, section 3.1: round trips counted"
TASKS = ("headers", "attachment", "everything")
PROTOCOLS = ("POP3", "IMAP")
WEBMAIL = "webmail"
LOG_IN_REQUESTS, LIST_MESSAGES = 3, 50


@dataclass(frozen=True)
class Reading:
    """Cost of a reading task by POP3 or IMAP: numbers of commands, and sizes of long responses.

    retrieval: number of retrieval commands that do not depend on the number of messages; message_retrieval: number of
    retrieval commands for each message; answers: sizes of the long responses in octets; fits: True if the responses fit
    TCP's initial window.
    """

    authorization: int
    selection: int
    retrieval: int
    message_retrieval: int
    answers: tuple[int, ...]
    messages: int
    fits: bool = False

    @property
    def retrievals(self) -> int:
        """Return the number of retrieval commands for all messages."""
        return self.retrieval + self.message_retrieval * self.messages


def reading(protocol: str, task: str, headers: Sequence[int], sizes: Sequence[int], attachment: int) -> Reading:
    """Return the cost of a reading task (headers, attachment, everything) by POP3 or IMAP.

    headers, sizes: octets of each message's header section and of the whole message; attachment: octets of the
    attachment as encoded. Raises KeyError for an unknown task or protocol.
    """
    n = len(sizes)
    return {
        ("POP3", "headers"): Reading(2, 1, 0, 1, tuple(headers), n, fits=True),
        ("POP3", "attachment"): Reading(2, 1, 1, 0, (max(sizes),), n),
        ("POP3", "everything"): Reading(2, 1, 0, 1, tuple(sizes), n),
        ("IMAP", "headers"): Reading(2, 1, 1, 0, (sum(headers),), n),
        ("IMAP", "attachment"): Reading(2, 2, 2, 0, (attachment,), n),
        ("IMAP", "everything"): Reading(2, 1, 1, 0, (sum(sizes),), n),
    }[protocol, task]


def mailbox_session(what: Reading, rtt_s: float) -> Theory:
    """Return the predicted time of a POP3 or IMAP session, from the SYN to the response to QUIT or LOGOUT."""
    session = RoundTrips(rtt_s, n=what.messages).define(n="messages in the mailbox")
    session.trips("tcp_handshake", 1).trips("greeting", 1)
    session.trips("authorization", what.authorization).trips("selection", what.selection)
    session.trips("retrieval", what.retrieval, n=what.message_retrieval)
    session.add("transmission", slow_start_windows(what.answers) * rtt_s, "" if what.fits else "slow start")
    return session.trips("farewell", 1).theory(RFCS)


def list_pages(count: int) -> int:
    """Return the number of pages in webmail's message list for a mailbox of `count` messages."""
    return math.ceil(count / LIST_MESSAGES)


def webmail_session(task: str, count: int, answers: Sequence[int], rtt_s: float) -> Theory:
    """Return the predicted time of a webmail session, from the SYN to the end of the last response.

    answers: sizes of the responses in octets. Raises KeyError for an unknown task.
    """
    # Number of requests of each task after the login: (fixed, per list page, per message).
    fixed, lists, messages = {"headers": (0, 1, 0), "attachment": (1 + 3, 0, 0), "everything": (3, 1, 1)}[task]
    session = RoundTrips(rtt_s, l=list_pages(count), n=count)
    session.define(l="pages of the message list", n="messages in the mailbox")
    session.trips("tcp_handshake", 1)
    session.trips("request", LOG_IN_REQUESTS + fixed, l=lists, n=messages)
    session.add("transmission", slow_start_windows(answers) * rtt_s, "slow start")
    return session.theory(RFCS)


def slow_start_windows(answers: Sequence[int]) -> int:
    """Return the number of round trips that slow start adds to consecutive responses of these sizes in octets."""
    window, waits = INITIAL_WINDOW_SEGMENTS, 0
    for size_bytes in answers:
        count = segments(size_bytes)
        rounds = slow_start_rounds(count, window)
        waits += max(0, rounds - 1)
        # RFC 7661: the window grows by each acknowledged segment, but only while the window limits the sender.
        window += count if rounds > 1 else 0
    return waits


def with_window(theory: Theory, omitted: OmittedTerms) -> Theory:
    """Return a prediction with an added term `window`: waits for the congestion window that the closed form omits.

    The closed form counts whole windows, beginning with ten segments. A real congestion window also decays when the
    connection is idle (RFC 2861), and grows only while it limits the sender (RFC 7661); a sender may also wait for a
    delayed acknowledgement (RFC 9293 section 3.8.6.3).
    """
    terms = {**omitted.terms, "window": omitted.window_s - theory.terms["transmission"]}
    return theory.plus({name: round(value_s, 9) for name, value_s in terms.items()})
