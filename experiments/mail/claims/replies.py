"""Verdict on claim S6 of the course: each of 21 SMTP reply codes is sent for the cause that RFC 5321 specifies.

A code alone proves nothing: a server could send 452 at any time. For each code a scenario must therefore show the
command and the cause, as far as packets show it. For a cause inside the host (a full disk), `Scenario.facts` has the
observation. If a command is refused, a counter-test is required: the same command is accepted once the cause is gone,
or a similar command without the cause is accepted at once. A server that always sends the same reply thus fails. See
`refusals` for the codes from 421 on.

    211  the reply to HELP, with the status of this connection
    214  the reply to HELP VERB, with the syntax of that command
    220  the greeting on a new connection
    221  the reply to QUIT, after which the server closes the connection
    250  the message is accepted, and the receiver retrieves it
    251  the server forwards the message to the mailbox in the reply
    354  the reply to DATA after an accepted recipient, not before; the following lines are mail data

Source: RFC 5321 sections 3.1, 3.4, 4.1.1, 4.2.2 and 4.2.3. The capture must be taken at the client, and for 251 at the
server as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    decides,
    failed,
    insufficiency,
    shown,
    undecided,
)
from lab7.experiments.mail.claims.delivery import find_arrival, why_altered
from lab7.experiments.mail.wire.smtp import SmtpExchange, SmtpSession, SmtpTraffic
from lab7.experiments.mail.wire.smtp_grammar import Command

CODES = (211, 214, 220, 221, 250, 251, 354, 421, 450, 451, 452, 500, 501, 502, 503, 504, 550, 551, 552, 553, 554)


@dataclass(frozen=True)
class Scenario:
    """Captured traffic of one scenario, the dialogue that causes one reply code.

    client, server: SMTP traffic at the client and at the server; reading: the recipient's mailbox connections; facts:
    observations inside the server's host, keyed by name, such as free disk space in octets.
    """

    client: SmtpTraffic
    server: SmtpTraffic = field(default_factory=lambda: SmtpTraffic(()))
    reading: tuple[Connection, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def sessions(self) -> tuple[SmtpSession, ...]:
        """Return the SMTP sessions at the client."""
        return self.client.sessions


Check = Callable[[Scenario], Finding]


@decides("S6")
def decide_reply_causes(
    claim: str, scenarios: Mapping[int, Scenario], checks: Mapping[int, Check], broken: Mapping[int, str] | None = None
) -> Verdict:
    """Decide claim S6: each SMTP reply code is sent for the cause that RFC 5321 specifies.

    scenarios: captured traffic of the scenario that causes a code; checks: function that checks the scenario; broken:
    reason why a scenario was interrupted. All are keyed by reply code.
    """
    broken = broken or {}
    missing = [code for code in CODES if code not in scenarios and code not in broken]
    if missing:
        return undecided(claim, f"There is no scenario for {', '.join(map(str, missing))}.")
    unfit = insufficiency([one.client for one in scenarios.values()])
    if unfit is not None:
        return undecided(claim, f"Not decidable: {unfit}.")
    evidence: list[str] = []
    wrong = [f"{code}: The scenario was interrupted: {why}." for code, why in broken.items()]
    frames: list[int] = []
    for code in (code for code in CODES if code not in broken):
        try:
            if (violation := scenarios[code].client.violation) is not None:
                raise violation
            said, its = checks[code](scenarios[code])
            evidence.append(f"{code}: {said}")
        except Contradiction as found:
            its = list(found.frames)
            wrong.append(f"{code}: {found.evidence}")
        frames += its
    if wrong:
        return failed(
            claim,
            "\n".join(
                [(f"{len(wrong)} of {len(CODES)} codes do not have the cause that they report:"), *sorted(wrong)]
            ),
            frames,
        )
    return shown(claim, "\n".join([f"All {len(CODES)} codes have the cause that they report:", *evidence]), frames)


# The following functions are shared by several checks of reply codes.


def answered(scenario: Scenario, code: int, *verbs: str) -> tuple[SmtpSession, SmtpExchange]:
    """Return (session, command with reply) for the first reply `code` to one of the commands `verbs`.

    Raises Contradiction if there is none.
    """
    for session in scenario.sessions:
        for exchange in session.exchanges:
            if exchange.code == code and (not verbs or exchange.verb in verbs):
                return session, exchange
    said = [str(reply.code) for session in scenario.sessions for reply in session.replies]
    frame = scenario.sessions[0].connection.syn.frame
    wanted = f"No {'/'.join(verbs)} gets {code}" if verbs else f"No command gets {code}"
    raise Contradiction(f"{wanted}; the replies are {' '.join(said)}.", frame)


def repeated_exchange(scenario: Scenario, first: SmtpExchange, *codes: int) -> SmtpExchange:
    """Return a repetition of the command `first` that gets a reply in `codes`, with this reply.

    The repetition is later than `first`. Raises Contradiction if there is none.
    """
    for one in later_exchanges(scenario, first):
        if one.command.octets == first.command.octets and one.code in codes:
            return one
    frame = first.command.frame
    raise Contradiction(f"{first.described}, but the same command never gets {' or '.join(map(str, codes))}.", frame)


def similar_exchange(scenario: Scenario, first: SmtpExchange, *codes: int) -> SmtpExchange:
    """Return a command, with reply, that has the verb of `first`, another argument and a reply in `codes`.

    Raises Contradiction if there is none.
    """
    for session in scenario.sessions:
        for exchange in session.exchanges_of(first.verb):
            if exchange.command.octets != first.command.octets and exchange.code in codes:
                return exchange
    frame = first.command.frame
    raise Contradiction(f"{first.described}, but no {first.verb} gets {' or '.join(map(str, codes))}.", frame)


def later_exchanges(scenario: Scenario, first: SmtpExchange) -> Sequence[SmtpExchange]:
    """Return all SMTP commands with replies after `first`, in the same session and in later ones."""
    every = [exchange for session in scenario.sessions for exchange in session.exchanges]
    return every[next(place for place, one in enumerate(every) if one is first) + 1 :]


def command(exchange: SmtpExchange) -> Command:
    """Return the command of an exchange. Raises Contradiction if the exchange is the mail data and their reply."""
    if not isinstance(exchange.command, Command):
        raise Contradiction(f"{exchange.text!r} is not a command.", exchange.command.frame)
    return exchange.command


def reply_lines(exchange: SmtpExchange) -> tuple[str, ...]:
    """Return the lines of a reply without the code; empty if there is no reply."""
    return exchange.final.lines if exchange.final is not None else ()


def of_both(first: SmtpExchange, second: SmtpExchange) -> list[int]:
    """Return the numbers of all frames of two commands and of the replies to them."""
    return [*first.frames, *second.frames]


# The following functions check the reply codes from 211 to 354.


def system_status(scenario: Scenario) -> Finding:
    """Check 211: the reply to HELP without an argument has the status of this connection."""
    session, asked = answered(scenario, 211, "HELP")
    if command(asked).argument:
        raise Contradiction(f"{asked.described}, but the command requests help on one command.", asked.command.frame)
    known = (session.connection.client.address, *(one.partition(" ")[0] for one in _greeting(session)))
    told = next((one for one in known for line in reply_lines(asked) if one in line), None)
    if told is None:
        raise Contradiction(
            "The reply to HELP has neither the server's name nor the client's address.", asked.command.frame
        )
    return f"HELP gets the server's status, which includes {told} (frame {asked.frames[-1]}).", asked.frames


def help_message(scenario: Scenario) -> Finding:
    """Check 214: the reply to HELP with a verb has the verb's syntax, and differs for another verb."""
    _, asked = answered(scenario, 214, "HELP")
    other = similar_exchange(scenario, asked, 214)
    for one in (asked, other):
        verb = command(one).argument.decode().upper()
        if not verb or not any(verb in line.upper() for line in reply_lines(one)):
            raise Contradiction(
                f"The reply to {one.command.text!r} does not describe {verb or 'a command'}.", one.command.frame
            )
    if reply_lines(asked) == reply_lines(other):
        raise Contradiction(
            f"{asked.command.text!r} and {other.command.text!r} get the same reply.", asked.command.frame
        )
    return f"{asked.described} and {other.described}, each with the syntax of that command.", of_both(asked, other)


def service_ready(scenario: Scenario) -> Finding:
    """Check 220: the greeting is sent unsolicited on a new connection, with the server's name."""
    session = scenario.sessions[0]
    first = session.greeting
    frame = session.connection.syn.frame
    if first is None or first.code != 220:
        raise Contradiction(f"The session of frame {frame} does not begin with 220.", frame)
    accepted = session.connection.from_server.syn
    assert accepted is not None
    early = [exchange.command.frame for exchange in session.exchanges if exchange.command.first_ns < first.last_ns]
    if early or not _greeting(session)[0].partition(" ")[0]:
        raise Contradiction(
            f"The greeting 220 in frame {first.frame} follows a command, or does not contain the server's name.",
            first.frame,
        )
    name = _greeting(session)[0].partition(" ")[0]
    frames = [accepted.frame, first.frame]
    return (
        f"{name} accepts a connection in frame {frames[0]} and sends its greeting in frame {frames[1]}, "
        "before any command."
    ), frames


def closing_channel(scenario: Scenario) -> Finding:
    """Check 221: the server sends 221 in reply to QUIT, and then closes the connection."""
    session, asked = answered(scenario, 221, "QUIT")
    fin, theirs = session.connection.from_server.fin, session.connection.from_client.fin
    if fin is None or (theirs is not None and theirs.frame < fin.frame):
        raise Contradiction("The server replies 221, but does not close the connection.", asked.command.frame)
    return f"After QUIT and 221 the server closes the connection in frame {fin.frame}.", [*asked.frames, fin.frame]


def mail_accepted(scenario: Scenario) -> Finding:
    """Check 250: the mail data are accepted, and the recipient retrieves the message."""
    _, asked = answered(scenario, 250, ".")
    message = next(one for session in scenario.sessions for one in session.messages if one.sent is asked)
    for one in (message.mail, *message.recipients):
        if one.code != 250:
            raise Contradiction(f"{one.text!r}, not 250.", one.command.frame)
    found = find_arrival(message.content, scenario.reading)
    read = found[0] if found is not None else None
    if read is None:
        raise Contradiction("The message gets 250, but the recipient cannot retrieve it.", asked.frames[-1])
    frames = [*message.mail.frames, *asked.frames, read.syn.frame]
    return (
        f"MAIL, RCPT and {len(message.content)} octets of mail data are accepted (frame {asked.frames[-1]}), "
        f"and the recipient retrieves them (connection of frame {read.syn.frame})."
    ), frames


def user_forwarded(scenario: Scenario) -> Finding:
    """Check 251: the reply for a recipient who has moved names the new mailbox, and the server forwards the message."""
    session, asked = answered(scenario, 251, "RCPT")
    message = next((one for one in session.messages if asked in one.recipients), None)
    if message is None or not message.taken:
        raise Contradiction(f"{asked.described}, but no message is accepted for this recipient.", asked.command.frame)
    address = session.connection.server.address
    for onward in (one for one in scenario.server.sessions if one.connection.client.address == address):
        for passed in (one for one in onward.messages if one.taken and not why_altered(message.content, one.content)):
            for path in (command(recipient).path for recipient in passed.recipients):
                if any(f"<{path}>" in line for line in reply_lines(asked)):
                    frames = [*asked.frames, onward.connection.syn.frame, passed.data.frame]
                    return (
                        f"{asked.described}, with the mailbox <{path}>, and the server forwards the message "
                        f"to that mailbox (frame {passed.data.frame})."
                    ), frames
    raise Contradiction(
        f"{asked.described}, but the server does not forward the message to the mailbox in the reply.",
        asked.command.frame,
    )


def start_mail_input(scenario: Scenario) -> Finding:
    """Check 354: DATA gets 354 after an accepted recipient only; the lines after 354 are mail data."""
    session, asked = answered(scenario, 354, "DATA")
    message = next((one for one in session.messages if one.data_command is asked), None)
    if message is None or not message.taken:
        raise Contradiction("DATA gets 354, but the lines after it are not accepted as mail data.", asked.command.frame)
    every = [exchange for each in scenario.sessions for exchange in each.exchanges]
    place = next(at for at, one in enumerate(every) if one is asked)
    early = next(
        (exchange for exchange in every[:place] if exchange.verb == "DATA" and exchange.code in (503, 554)), None
    )
    if early is None:
        raise Contradiction("DATA was not tried before a recipient was accepted.", asked.command.frame)
    return (
        f"DATA gets {early.code} before a recipient is accepted (frame {early.command.frame}) and 354 "
        f"afterwards; {len(message.content)} octets of mail data follow and are accepted."
    ), of_both(early, asked)


def _greeting(session: SmtpSession) -> tuple[str, ...]:
    return session.greeting.lines if session.greeting is not None else ("",)
