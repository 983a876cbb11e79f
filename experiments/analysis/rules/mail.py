"""Checks across captured mail connections: messages are relayed and stored unchanged, and no accepted one is lost.

The requirements are from RFC 5321 sections 4.5.2 and 6.1. The same message (by its Message-ID) is compared between the
connections of a capture: SMTP to SMTP, and SMTP to POP3 or IMAP. Left out: the header section, to which servers add
fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.analysis.rules.contents import SMTP_PORTS, Content, ContentLine, contents, sides, stream_lines
from lab7.experiments.analysis.rules.rule import Checked, Rule, Violation, as_text
from lab7.experiments.harness.judge.frames import CaptureFile, connections
from lab7.experiments.mail.wire.imap import IMAP_PORT
from lab7.experiments.mail.wire.pop3 import POP3_PORT

UNSTUFFING = Rule(
    "mail-dot-unstuffing",
    "mail",
    "A server removes the first dot of a line of mail data.",
    "RFC 5321 section 4.5.2",
)
TRANSPARENCY = Rule(
    "mail-transparency",
    "mail",
    "All characters of the text of a message are delivered.",
    "RFC 5321 section 4.5.2",
)
LOST = Rule(
    "mail-lost",
    "mail",
    "A server that has replied 250 to a message does not lose it, not even by a crash.",
    "RFC 5321 section 6.1",
)
RULES = (UNSTUFFING, TRANSPARENCY, LOST)

NS_PER_S = 1_000_000_000
_LOGIN = re.compile(rb'(?:USER|APOP|[^ ]+ LOGIN) "?([^ "@]+)', re.IGNORECASE)
# First line of a POP3 response to STAT or LIST, or IMAP's EXISTS response to SELECT, with the number of messages.
_COUNT = re.compile(rb"(?:\+OK ([0-9]+)(?: [0-9]+| messages?\b.*)|\* ([0-9]+) EXISTS)\Z")


@dataclass(frozen=True)
class _View:
    """State of a mailbox in one POP3 or IMAP session: server, user, number of messages, ids of the messages read.

    `time_ns` is the start of the session.
    """

    server: str
    user: str
    time_ns: int
    count: int
    read: tuple[bytes, ...]


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check all mail messages of a capture for changes in transit and for loss.

    The capture's first interface has the result for the whole capture; at any other interface the result is empty.
    """
    if interface != next(iter(captured.counts)):
        return Checked(0, ())
    by_id: dict[bytes, list[Content]] = {}
    for one in contents(captured):
        by_id.setdefault(one.id, []).append(one)
    found = [violation for legs in by_id.values() for violation in _compare(legs)]
    return Checked(len(by_id), (*found, *_lost(captured, by_id)))


def _compare(legs: list[Content]) -> Iterator[Violation]:
    """Yield a violation for the first line in which a later transmission of a message differs from its first one.

    `legs`: the transmissions of one message, in order of time.
    """
    first = legs[0]
    if first.protocol != "smtp":
        return
    for leg in legs[1:]:
        # Skip messages without dot-stuffing: any damage to such a message is the sending client's fault.
        if not first.stuffed or not leg.stuffed:
            return
        sent, got = _text(first), _text(leg)
        if [line.text for line in sent] == [line.text for line in got]:
            continue
        at = next((at for at, (a, b) in enumerate(zip(sent, got, strict=False)) if a.text != b.text), None)
        if at is None:
            yield _difference(leg, got[-1] if got else leg.lines[-1], "the text has another number of lines", sent[-1:])
        elif got[at].text == b"." + sent[at].text and sent[at].text.startswith(b"."):
            found = f"a line that was sent to {first.server} as {as_text(b'.' + sent[at].text)} still has both dots"
            yield leg.violation(UNSTUFFING, got[at], found, as_text(sent[at].text) + "\\r\\n")
        else:
            yield _difference(leg, got[at], f"the line was sent as {as_text(sent[at].text[:40])}", sent[at : at + 1])
        return


def _text(one: Content) -> list[ContentLine]:
    """Return the lines of a message body, without empty lines at its end."""
    lines = list(one.body)
    while lines and not lines[-1].text:
        lines.pop()
    return lines


def _difference(leg: Content, line: ContentLine, found: str, expected: list[ContentLine]) -> Violation:
    text = as_text(expected[0].text) + "\\r\\n" if expected else "the text as it was sent"
    return leg.violation(TRANSPARENCY, line, found, text)


def _lost(captured: CaptureFile, by_id: dict[bytes, list[Content]]) -> Iterator[Violation]:
    """Yield a violation for each message accepted by SMTP but missing from the mailbox after the server's restart.

    Evidence: no connection has carried the message since its acceptance. At least a second after the first greeting of
    the restarted server, a session on the recipient's mailbox read all messages (or found none).
    """
    restarts = _restarts(captured)
    views = _views(captured) if restarts else []
    for legs in by_id.values():
        accepted = legs[0]
        if accepted.protocol != "smtp" or len(legs) > 1 or accepted.reply is None or accepted.answers is None:
            continue
        if accepted.code // 100 != 2:
            continue
        users = {recipient.partition("@")[0].lower() for recipient in accepted.recipients}
        up_again = [when for server, when in restarts if server == accepted.server and when > accepted.time_ns]
        for view in views:
            mine = view.server == accepted.server and view.user in users
            if mine and any(view.time_ns >= when + NS_PER_S for when in up_again) and view.count == len(view.read):
                reply = accepted.reply
                found = f"{as_text(reply.text)}, and after a restart the mailbox of {view.user} lacks the message"
                yield accepted.answers.violation(
                    LOST, reply.start, reply.after, found, "250 when the message is in stable storage, 451 without"
                )
                break


def _restarts(captured: CaptureFile) -> list[tuple[str, int]]:
    """Return (server's address, time of its first SMTP greeting in ns) for each restart of a server."""
    down: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for interface in captured.counts:
        for connection in connections(captured.at(interface)):
            if connection.server.port not in SMTP_PORTS:
                continue
            server, stream = connection.server.address, connection.from_server.stream
            if server in down and stream.data.startswith(b"220"):
                greeted = stream.pieces[0].time_ns
                if greeted > down[server]:
                    found.append((server, greeted))
                    del down[server]
            end = connection.from_server.fin or connection.from_server.reset
            closing = stream.data.rstrip().rpartition(b"\n")[2].startswith((b"221", b"421"))
            client_first = connection.from_client.fin is not None and (
                end is None or connection.from_client.fin.time_ns <= end.time_ns
            )
            if end is not None and not closing and not client_first:
                down[server] = end.time_ns
    return found


def _views(captured: CaptureFile) -> list[_View]:
    """Return the mailbox state (_View) in each POP3 or IMAP session of the capture."""
    read: dict[tuple[str, int], list[bytes]] = {}
    for one in contents(captured):
        read.setdefault((one.source.interface, one.opened), []).append(one.id)
    found: list[_View] = []
    for interface in captured.counts:
        for connection in connections(captured.at(interface)):
            if connection.server.port not in (POP3_PORT, IMAP_PORT):
                continue
            client, server = sides(connection, interface)
            user = next((named[1] for line in stream_lines(client) if (named := _LOGIN.match(line.text))), b"")
            counts = [_COUNT.match(line.text) for line in stream_lines(server)]
            number = next((int(one[1] or one[2]) for one in counts if one is not None), None)
            if user and number is not None:
                ids = tuple(read.get((interface, connection.syn.frame), ()))
                name = user.decode("ascii", "replace").lower()
                found.append(_View(connection.server.address, name, connection.syn.time_ns, number, ids))
    return found
