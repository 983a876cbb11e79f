"""Checks of the SMTP reply codes from 421 to 554: the server sends each code for its specified cause, and only then.

    421          sent unsolicited after a signal to the server, which closes the connection and accepts no new one
    450          the mailbox is unavailable for now; the same RCPT is accepted only after the greylisting delay
    451          writing to the queue's disk fails; later the same message is accepted
    452          the disk is full; the same command is accepted earlier, and later when there is space
    500          no RFC defines the verb; the session continues
    501          the syntax of a known verb is wrong; with correct syntax the command is accepted
    502          an RFC defines the verb, but this server does not implement it
    503          the command is out of sequence; in sequence, the same command is accepted
    504          the parameter is not supported; with a supported parameter the command is accepted
    550          the user is unknown; another user is accepted
    551          the user has moved; the mailbox in the reply accepts mail
    552          the quota is exceeded; the same message is accepted earlier, and after the mailbox is emptied
    553          the path violates the grammar of a mailbox; a valid path is accepted
    554          DATA without an accepted recipient; after an accepted recipient the reply to DATA is 354

Source: RFC 5321 sections 3.3, 3.4, 3.8, 4.1.1, 4.2.2 to 4.2.4 and 4.5.4.1.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab7.experiments.harness.judge.verdict import Contradiction, Finding
from lab7.experiments.mail.claims import replies as replies
from lab7.experiments.mail.claims.replies import (
    Check,
    Scenario,
    answered,
    command,
    later_exchanges,
    of_both,
    repeated_exchange,
    reply_lines,
    similar_exchange,
)
from lab7.experiments.mail.wire.pop3 import read_session
from lab7.experiments.mail.wire.smtp import Message, SmtpExchange
from lab7.experiments.mail.wire.smtp_grammar import ARGUMENTS, OTHER_VERBS

POSITIVE = (250, 251)


def shutting_down(scenario: Scenario) -> Finding:
    """Check 421: a server that shuts down sends 421 unsolicited, closes the connection, and accepts no new one."""
    for session in scenario.sessions:
        for reply in (one for one in session.unsolicited if one.code == 421):
            fin = session.connection.from_server.fin
            if reply.first_ns < scenario.facts.get("stopped_ns", float("inf")):
                raise Contradiction("Reply 421 precedes the shutdown of the server.", reply.frame)
            if fin is None:
                raise Contradiction("The server sends 421, but leaves the connection open.", reply.frame)
            refused = [
                connection
                for connection in scenario.client.others
                if connection.from_server.reset and connection.syn.frame > fin.frame
            ]
            if not refused:
                raise Contradiction(
                    "The server sends 421, but it accepts new connections, or the client opened none.", reply.frame
                )
            frames = [reply.frame, fin.frame, refused[0].syn.frame]
            return (
                f"the server is shut down, sends 421 unsolicited in frame {frames[0]}, closes the connection "
                f"in frame {frames[1]}, and resets the next connection (SYN in frame {frames[2]})."
            ), frames
    raise Contradiction("The server sends no unsolicited 421.", scenario.sessions[0].connection.syn.frame)


def mailbox_unavailable(scenario: Scenario) -> Finding:
    """Check 450: a recipient is rejected temporarily; the same RCPT is accepted only after the greylisting delay."""
    _, first = answered(scenario, 450, "RCPT")
    second = repeated_exchange(scenario, first, *POSITIVE)
    waited_s = (second.command.first_ns - first.command.first_ns) / 1e9
    if waited_s < scenario.facts.get("delay_s", float("inf")):
        raise Contradiction(
            f"The same RCPT is accepted after {waited_s:.2f} s, before the end of the greylisting delay.",
            *second.frames,
        )
    again = [
        one
        for one in later_exchanges(scenario, first)
        if one.command.octets == first.command.octets and one.code == 450
    ]
    if not again:
        raise Contradiction("The same RCPT was not repeated before the end of the greylisting delay.", *first.frames)
    return (
        f"{first.described}; the same command is accepted {waited_s:.1f} s later, after the greylisting delay."
    ), of_both(first, second)


def local_error(scenario: Scenario) -> Finding:
    """Check 451: the server cannot write to its queue; the same message is accepted afterwards."""
    _, first = answered(scenario, 451, ".")
    if not scenario.facts.get("read_only"):
        raise Contradiction("The server replies 451, but its queue was writable.", first.command.frame)
    if scenario.facts.get("read_only_later", 1.0):
        raise Contradiction("The queue was still not writable at the second attempt.", first.command.frame)
    second = repeated_exchange(scenario, first, 250)
    return (
        f"{first.described} while the queue's disk is read-only; the same message is accepted when it is writable."
    ), of_both(first, second)


def insufficient_storage(scenario: Scenario) -> Finding:
    """Check 452: a command is rejected while the disk is full; the same command is accepted when there is space."""
    _, first = answered(scenario, 452, "MAIL", "RCPT", ".")
    second = repeated_exchange(scenario, first, *POSITIVE)
    _taken_before(scenario, first)
    before, after = (scenario.facts.get(name, -1.0) for name in ("free_octets", "free_octets_later"))
    if not 0 <= before < after:
        raise Contradiction(
            f"The disk had {before:.0f} octets free at the refusal and {after:.0f} later, so it was not full.",
            first.command.frame,
        )
    return (
        f"{first.described} with {before:.0f} octets free on the queue's disk; the same command gets "
        f"{second.code} with {after:.0f} octets free."
    ), of_both(first, second)


def _taken_before(scenario: Scenario, refused: SmtpExchange) -> None:
    """Raise Contradiction unless the same command as the refused one was accepted earlier."""
    for session in scenario.sessions:
        for exchange in session.exchanges:
            if exchange is refused:
                raise Contradiction(
                    f"{refused.described}, but the same command was not accepted before.", refused.command.frame
                )
            if exchange.command.octets == refused.command.octets and exchange.code in POSITIVE:
                return


def unknown_verb(scenario: Scenario) -> Finding:
    """Check 500: a verb that no RFC defines is rejected, and the session continues."""
    _, asked = answered(scenario, 500)
    verb = command(asked).verb
    if verb in ARGUMENTS or verb in OTHER_VERBS:
        raise Contradiction(f"{asked.described}, but the verb is defined by an RFC.", asked.command.frame)
    after = next((one for one in replies.later_exchanges(scenario, asked) if one.code == 250), None)
    if after is None:
        raise Contradiction(f"{asked.described}, but no later command gets 250.", asked.command.frame)
    return f"{asked.described}: no RFC defines that verb; then {after.described}.", of_both(asked, after)


def syntax_error(scenario: Scenario) -> Finding:
    """Check 501: a known verb with bad syntax is rejected; with correct syntax it is accepted."""
    _, asked = answered(scenario, 501)
    why = command(asked).why_malformed
    if asked.verb not in ARGUMENTS or why is None:
        raise Contradiction(f"{asked.described}, but the command has valid syntax.", asked.command.frame)
    right = similar_exchange(scenario, asked, 250)
    return f"{why}; {right.text!r}.", of_both(asked, right)


def not_implemented(scenario: Scenario) -> Finding:
    """Check 502: a verb that an RFC defines, but that the server does not announce, is rejected."""
    session, asked = answered(scenario, 502)
    if asked.verb not in OTHER_VERBS:
        raise Contradiction(
            f"{asked.described}, but the verb is not defined by an RFC on SMTP extensions.", asked.command.frame
        )
    offered = [line for exchange in session.exchanges_of("EHLO") for line in reply_lines(exchange)]
    if any(asked.verb in line.upper().split() for line in offered):
        raise Contradiction(f"The server announces {asked.verb}, but replies 502 to it.", asked.command.frame)
    return f"{asked.described}: an RFC defines that verb, and the server does not announce it.", asked.frames


def bad_sequence(scenario: Scenario) -> Finding:
    """Check 503: a command out of sequence is rejected; the same command in sequence is accepted."""
    _, asked = answered(scenario, 503)
    if command(asked).why_malformed is not None:
        raise Contradiction(
            f"{asked.described}, but the command has invalid syntax, so its place in the sequence is not the cause.",
            asked.command.frame,
        )
    right = repeated_exchange(scenario, asked, *POSITIVE, 354)
    between = [one.verb for one in replies.later_exchanges(scenario, asked) if one.command.frame < right.command.frame]
    if not between:
        raise Contradiction(
            f"{asked.described}, but the same command is accepted at once afterwards.", asked.command.frame
        )
    return (f"{asked.described} before {between[-1]}; the same command gets {right.code} after it."), of_both(
        asked, right
    )


def parameter_not_implemented(scenario: Scenario) -> Finding:
    """Check 504: a well-formed but unsupported parameter is rejected; a supported parameter is accepted."""
    session, asked = answered(scenario, 504)
    said = command(asked)
    if said.why_malformed is not None or b" " not in said.argument:
        raise Contradiction(f"{asked.described}, but the command has no parameter.", asked.command.frame)
    value = said.argument.rpartition(b" ")[2].rpartition(b"=")[2].decode().upper()
    offered = [line.upper() for exchange in session.exchanges_of("EHLO") for line in reply_lines(exchange)]
    if any(value in line.split() for line in offered):
        raise Contradiction(f"The server announces {value}, but replies 504 to it.", asked.command.frame)
    right = similar_exchange(scenario, asked, 250)
    return f"{asked.described}: the server does not announce {value}; {right.described}.", of_both(asked, right)


def unknown_user(scenario: Scenario) -> Finding:
    """Check 550: an unknown user is rejected; another user of the same domain is accepted."""
    _, asked = answered(scenario, 550, "RCPT")
    other = similar_exchange(scenario, asked, 250)
    if command(asked).path.rpartition("@")[2] != command(other).path.rpartition("@")[2]:
        raise Contradiction(f"{asked.described}, but the accepted recipient is in another domain.", asked.command.frame)
    if command(asked).why_malformed is not None:
        raise Contradiction(f"{asked.described}, but its argument is not a valid mailbox.", asked.command.frame)
    return f"{asked.text!r}, {other.text!r}.", of_both(asked, other)


def user_moved(scenario: Scenario) -> Finding:
    """Check 551: a moved user is rejected; the server of the mailbox in the reply accepts that mailbox."""
    session, asked = answered(scenario, 551, "RCPT")
    for other in scenario.sessions:
        for exchange in other.exchanges_of("RCPT"):
            named = any(f"<{command(exchange).path}>" in line for line in reply_lines(asked))
            elsewhere = other.connection.server.address != session.connection.server.address
            if named and elsewhere and exchange.code in POSITIVE:
                return (
                    f"{asked.described}, with the mailbox <{command(exchange).path}>; at the server of that "
                    f"domain {exchange.described}."
                ), of_both(asked, exchange)
    raise Contradiction(f"{asked.described}, but no server accepts the mailbox in the reply.", asked.command.frame)


def quota_exceeded(scenario: Scenario) -> Finding:
    """Check 552: a message that exceeds the quota is rejected, but accepted earlier and after emptying the mailbox."""
    messages = [message for session in scenario.sessions for message in session.messages]
    refused = next((message for message in messages if message.sent.code == 552), None)
    if refused is None:
        raise Contradiction("No message gets reply 552.", scenario.sessions[0].connection.syn.frame)
    same = [message for message in messages if message.content == refused.content and message.taken]
    before = [message for message in same if message.data.frame < refused.data.frame]
    after = [message for message in same if message.data.frame > refused.data.frame]
    if not before or not after:
        raise Contradiction(
            "The refused message is not accepted both before and after the refusal.", refused.data.frame
        )
    _emptied(scenario, refused, after[0])
    bound, octets = scenario.facts.get("quota_octets", float("inf")), len(refused.content)
    if not octets <= bound < 2 * octets:
        raise Contradiction(
            f"Two messages of {octets} octets do not exceed the quota of {bound:.0f} octets.", refused.data.frame
        )
    frames = [before[0].data.frame, *refused.sent.frames, after[0].data.frame]
    return (
        f"a message of {octets} octets is accepted, the same message is refused under a quota of {bound:.0f} "
        f"octets, and accepted again after the mailbox was emptied (frames {frames[0]}, {frames[1]}, "
        f"{frames[-1]})."
    ), frames


def _emptied(scenario: Scenario, refused: Message, after: Message) -> None:
    refused_ns, after_ns = refused.data.last_ns, after.data.last_ns
    between = [one for one in scenario.reading if refused_ns < one.syn.time_ns < after_ns]
    if not any(exchange.ok for connection in between for exchange in read_session(connection).exchanges_of("DELE")):
        raise Contradiction("The mailbox is not emptied between the refusal and the next message.", refused.data.frame)


def invalid_mailbox(scenario: Scenario) -> Finding:
    """Check 553: a path that violates the grammar of a mailbox is rejected; a valid path is accepted."""
    _, asked = answered(scenario, 553, "RCPT", "MAIL", "VRFY")
    why = command(asked).why_malformed
    if why is None or not command(asked).path:
        raise Contradiction(f"{asked.described}, but the mailbox is valid.", asked.command.frame)
    right = similar_exchange(scenario, asked, 250)
    return f"{asked.described}: the mailbox is invalid; {right.described}.", of_both(asked, right)


def no_valid_recipients(scenario: Scenario) -> Finding:
    """Check 554: DATA is rejected if every recipient was refused; after an accepted recipient the reply is 354."""
    session, asked = answered(scenario, 554, "DATA")
    place = next(at for at, one in enumerate(session.exchanges) if one is asked)
    recipients = [exchange for exchange in session.exchanges[:place] if exchange.verb == "RCPT"]
    if not recipients or any(exchange.code in POSITIVE for exchange in recipients):
        raise Contradiction("DATA gets 554, but a recipient was accepted, or there was no RCPT.", asked.command.frame)
    right = repeated_exchange(scenario, asked, 354)
    return (
        f"DATA gets 554 after the only recipient was refused ({recipients[-1].described}); after an "
        "accepted recipient it gets 354."
    ), [
        *recipients[-1].frames,
        *of_both(asked, right),
    ]


CHECKS: Mapping[int, Check] = {
    211: replies.system_status,
    214: replies.help_message,
    220: replies.service_ready,
    221: replies.closing_channel,
    250: replies.mail_accepted,
    251: replies.user_forwarded,
    354: replies.start_mail_input,
    421: shutting_down,
    450: mailbox_unavailable,
    451: local_error,
    452: insufficient_storage,
    500: unknown_verb,
    501: syntax_error,
    502: not_implemented,
    503: bad_sequence,
    504: parameter_not_implemented,
    550: unknown_user,
    551: user_moved,
    552: quota_exceeded,
    553: invalid_mailbox,
    554: no_valid_recipients,
}
