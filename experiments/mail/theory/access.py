"""Closed forms for the time in which a mailbox is read by POP3 and by IMAP, round trips counted one by one.

    tcp_handshake   1 RTT     SYN, SYN-ACK
    greeting        1 RTT     ACK, and the greeting of the server
    authorization   a RTT     POP3: USER, PASS (2); IMAP: CAPABILITY, which clients ask first, and LOGIN (2)
    selection       s RTT     POP3: STAT or LIST (1); IMAP: EXAMINE (1), and SEARCH where something is looked for (1)
    retrieval       r RTT     POP3: a TOP or RETR for each message (n); IMAP: one FETCH for all of them (1), and
                              BODYSTRUCTURE before a part (1)
    transmission    w RTT     for each window that TCP must be acknowledged before the answer goes on (slow start)
    farewell        1 RTT     QUIT, LOGOUT

So POP3 takes (6 + n) RTT for n messages where IMAP takes 7 RTT, whatever n; and where only a part is wanted IMAP need
not move the rest. POP3 clients may send several commands at a time (RFC 2449 section 6.6), which poplib does not.

By webmail, on one lasting connection, a request takes 1 RTT:

    tcp_handshake   1 RTT
    request         the form to log in, the log-in, where that leads to (3); l lists of 50 messages each; a page for
                    each message; for the picture a search, its message, itself (3)
    transmission    as above

The link has no rate here: what an answer takes beyond its round trip is slow start. A window of ten segments at first
(RFC 6928) doubles with each round trip (RFC 5681 section 3.1); within one session it does not shrink.

Source: RFC 1939 section 3 and RFC 3501 section 2.2 (a command, its response), counted here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.harness.pathmodel.replay import Beyond
from experiments.harness.theory.tcp import INITIAL_WINDOW_SEGMENTS, Theory, segments, slow_start_rounds

RFCS = "RFC 1939, section 3; RFC 3501, section 2.2; RFC 5681, section 3.1: round trips counted"
TASKS = ("headers", "attachment", "everything")
PROTOCOLS = ("POP3", "IMAP")
WEBMAIL = "webmail"
LOG_IN_REQUESTS, LIST_MESSAGES = 3, 50


@dataclass(frozen=True)
class Reading:
    """What a task asks of a protocol: commands of each kind, and the octets of each answer that is no short one."""

    authorization: int
    selection: int
    retrieval: int
    answers: tuple[int, ...]
    formula: str


def reading(protocol: str, task: str, headers: Sequence[int], sizes: Sequence[int], attachment: int) -> Reading:
    """What a task asks of a protocol; `headers`, `sizes`: octets of each message's header and of all of it;
    `attachment`: octets of it as it is sent. Raises KeyError for a task or protocol that there is not.
    """
    n = len(sizes)
    return {
        ("POP3", "headers"): Reading(2, 1, n, tuple(headers), "(6 + n) RTT"),
        ("POP3", "attachment"): Reading(2, 1, 1, (max(sizes),), "7 RTT + slow start"),
        ("POP3", "everything"): Reading(2, 1, n, tuple(sizes), "(6 + n) RTT + slow start"),
        ("IMAP", "headers"): Reading(2, 1, 1, (sum(headers),), "7 RTT + slow start"),
        ("IMAP", "attachment"): Reading(2, 2, 2, (attachment,), "9 RTT + slow start"),
        ("IMAP", "everything"): Reading(2, 1, 1, (sum(sizes),), "7 RTT + slow start"),
    }[protocol, task]


def mailbox_session(what: Reading, rtt_s: float) -> Theory:
    """Return the time from the first SYN to the response that says farewell."""
    terms = {
        "tcp_handshake": rtt_s,
        "greeting": rtt_s,
        "authorization": what.authorization * rtt_s,
        "selection": what.selection * rtt_s,
        "retrieval": what.retrieval * rtt_s,
        "transmission": slow_start_windows(what.answers) * rtt_s,
        "farewell": rtt_s,
    }
    return Theory(sum(terms.values()), terms, what.formula, RFCS)


def list_pages(count: int) -> int:
    """How many pages a list of so many messages has."""
    return math.ceil(count / LIST_MESSAGES)


def webmail_session(task: str, count: int, answers: Sequence[int], rtt_s: float) -> Theory:
    """Return the time from the first SYN to the last octet of the last response, whose sizes are given in order.

    Raises KeyError for a task that there is not.
    """
    pages = list_pages(count)
    # The picture: a search, the message, and what is in it.
    opened = {"headers": pages, "attachment": 1 + 3, "everything": pages + count + 3}[task]
    formula = {"headers": "(4 + l) RTT", "attachment": "8 RTT", "everything": "(7 + l + n) RTT"}[task]
    terms = {
        "tcp_handshake": rtt_s,
        "request": (LOG_IN_REQUESTS + opened) * rtt_s,
        "transmission": slow_start_windows(answers) * rtt_s,
    }
    return Theory(sum(terms.values()), terms, f"{formula} + slow start", RFCS)


def slow_start_windows(answers: Sequence[int]) -> int:
    """How often a server waits for acknowledgements while it sends these answers one after the other."""
    window, waits = INITIAL_WINDOW_SEGMENTS, 0
    for size_bytes in answers:
        count = segments(size_bytes)
        rounds = slow_start_rounds(count, window)
        waits += max(0, rounds - 1)
        # Linux lets the window grow only where it is used (RFC 7661); then by every segment that is acknowledged.
        window += count if rounds > 1 else 0
    return waits


def with_window(theory: Theory, beyond: Beyond) -> Theory:
    """Return the same closed form with what the congestion window makes a server wait beyond the slow start in it.

    The form counts whole windows of ten segments at first; on the wire a window is also let go of in an idle time
    (RFC 2861), grows only where it is used (RFC 7661), and waits for an acknowledgement that is delayed (RFC 9293
    section 3.8.6.3).
    """
    terms = {**beyond.terms, "window": beyond.window_s - theory.terms["transmission"]}
    return theory.plus({name: round(value_s, 9) for name, value_s in terms.items()})
