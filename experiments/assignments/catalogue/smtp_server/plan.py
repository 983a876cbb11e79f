"""Test cases of the SMTP server exercise: octets of each SMTP session, and the check of its replies and deliveries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from random import Random

from lab7.experiments.analysis.rules import smtp
from lab7.experiments.analysis.rules.lines import Line
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.exercise import More, no_more
from lab7.experiments.assignments.programs.peers.next_hop import DEFERRED
from lab7.experiments.assignments.programs.smtp_cases import RECIPIENTS, Case, Delivery, View, expect_same

CLIENT_NAME, DOMAIN = "client.example.org", "example.net"
# RFC 5321 section 4.5.3.1.6: maximum octets of a text line with its CRLF, without the dot of dot-stuffing.
TEXT_LINE_MAX = 1_000
HELLO, QUIT, DATA = f"EHLO {CLIENT_NAME}\r\n".encode(), b"QUIT\r\n", b"DATA\r\n"
OK, CLOSING, START, SEQUENCE, NO_RECIPIENTS = 250, 221, 354, 503, 554

GREETING = Rule("smtp-server-greeting", "smtp", "A server that is ready greets by 220.", "RFC 5321 section 4.3.1")
EHLO = Rule("smtp-server-ehlo", "smtp", "EHLO and HELO are answered by 250.", "RFC 5321 section 4.1.1.1")
ACCEPTS = Rule("smtp-server-accepts", "smtp", "MAIL, RCPT, RSET and NOOP succeed by 250.", "RFC 5321 section 4.3.2")
SEQUENCES = Rule("smtp-server-sequence", "smtp", "A command out of order is answered by 503.", "RFC 5321 section 4.1.4")
RESET = Rule("smtp-server-reset", "smtp", "RSET discards sender and recipients.", "RFC 5321 section 4.1.1.5")
UNKNOWN = Rule("smtp-server-unknown", "smtp", "An unknown command is answered by 500.", "RFC 5321 section 4.2.4")
MAIL_DATA = Rule("smtp-server-data", "smtp", "DATA is answered by 354, and mail data by 250.", "RFC 5321 section 4.3.2")
DOTS = Rule(
    "smtp-server-dots",
    "smtp",
    "A receiver deletes the first of several characters of a line of mail data if it is a dot.",
    "RFC 5321 section 4.5.2",
)
LONG_LINES = Rule(
    "smtp-server-long-lines",
    "smtp",
    "A text line may have 1000 octets with its CRLF.",
    "RFC 5321 section 4.5.3.1.6",
)
RECEIVED = Rule(
    "smtp-server-received",
    "smtp",
    "A server inserts a Received field with from, by and date at the top of each message.",
    "RFC 5321 section 4.4",
)
EIGHT_BIT = Rule(
    "smtp-server-8bitmime", "smtp", "A server with 8BITMIME takes MAIL with BODY=8BITMIME.", "RFC 6152 section 2"
)
QUITS = Rule(
    "smtp-server-quit", "smtp", "QUIT is answered by 221, and then the server closes.", "RFC 5321 section 4.1.1.10"
)
SEGMENTS = Rule(
    "smtp-server-segments", "smtp", "A command ends in CRLF, in however many segments it comes.", "RFC 5321 section 2.4"
)
LETTERS = Rule("smtp-server-letters", "smtp", "Verbs are in capital or small letters.", "RFC 5321 section 2.4")
NULL_PATH = Rule("smtp-server-null-path", "smtp", "MAIL FROM:<> is for notifications.", "RFC 5321 section 4.5.5")
TRANSACTIONS = Rule(
    "smtp-server-transactions",
    "smtp",
    "The end of mail data ends the transaction: the next one has its own recipients.",
    "RFC 5321 section 4.1.1.4",
)
LF_DOT = Rule("smtp-server-lf-dot", "smtp", "LF, a dot and LF do not end mail data.", "RFC 5321 section 4.1.1.4")
DURABLE = Rule(
    "smtp-server-durable",
    "smtp",
    "A server that has replied 250 to mail data has taken responsibility, and does not lose them in a crash.",
    "RFC 5321 section 6.1",
)
Check = Callable[[View], str]


@dataclass(frozen=True)
class Mail:
    """Test message: reverse-path, recipients, and the lines of header section and body without CRLF."""

    sender: str
    recipients: tuple[str, ...]
    lines: tuple[bytes, ...]

    @property
    def message(self) -> bytes:
        """The octets of the message, with CRLF line ends and without dot-stuffing."""
        return b"".join(line + b"\r\n" for line in self.lines)

    @property
    def sent(self) -> bytes:
        """The mail data as sent: with CRLF, dot-stuffing, and the final dot."""
        return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in self.lines) + b".\r\n"

    def envelope(self, parameters: str = "") -> tuple[bytes, ...]:
        """Return the command lines MAIL and RCPT (one for each recipient)."""
        mail = f"MAIL FROM:<{self.sender}>{parameters}\r\n".encode()
        return mail, *(f"RCPT TO:<{one}>\r\n".encode() for one in self.recipients)

    def session(self, parameters: str = "") -> tuple[bytes, ...]:
        """Return the octets of an SMTP session that sends the message, divided into pieces that are sent one by one.

        The first piece is empty: the client waits for the greeting. The last piece is QUIT, and the one before it the
        mail data.
        """
        return b"", HELLO, *self.envelope(parameters), DATA, self.sent, QUIT


@dataclass
class Plan:
    """Test cases of the exercise, with addresses and texts drawn from a seed."""

    random: Random
    cases: list[Case] = field(default_factory=list)

    def word(self) -> str:
        """Return a random word, such as `amber-0f3c21`."""
        return f"{self.random.choice(('amber', 'birch', 'cedar', 'delta'))}-{self.random.randrange(16**6):06x}"

    def mail(self, *body: bytes, recipients: int = 1, sender: str | None = None, prefix: str = "") -> Mail:
        """Return a message with random addresses, Message-ID and text; `body` has further lines of the text."""
        nonce = f"{self.random.getrandbits(64):016x}"
        start = (f"Message-ID: <{nonce}@{CLIENT_NAME}>", f"Subject: {self.word()}", "", f"Text {self.word()}.")
        to = tuple(f"{prefix}{self.word()}@{DOMAIN}" for _ in range(recipients))
        given = f"{self.word()}@{CLIENT_NAME}" if sender is None else sender
        return Mail(given, to, (*(line.encode() for line in start), *body))

    def add(self, claim: str, pieces: Sequence[bytes], check: Check, *rules: Rule, **more: bool) -> None:
        """Add a test case for a claim; `more` sets boolean attributes of the Case."""
        self.cases.append(Case(claim, tuple(pieces), check, frozenset(rule.id for rule in rules), **more))


def plan_of(seed: int, which: str, more: More = no_more) -> Plan:
    """Return the test cases drawn from a seed; those hidden from students are omitted if `which` is "public".

    `more`: function that adds further test cases.
    """
    plan = Plan(Random(seed))
    _hello(plan)
    _envelope(plan)
    _messages(plan)
    plan.add("quit", (b"", HELLO, QUIT), _quits)
    if which != "public":
        _hidden(plan)
        more(plan)
    return plan


def _hello(plan: Plan) -> None:
    plan.add("greeting", (b"", QUIT), _greets)
    plan.add("ehlo", (b"", HELLO, QUIT), _says_hello("EHLO"))
    plan.add("ehlo", (b"", f"HELO {CLIENT_NAME}\r\n".encode(), QUIT), _says_hello("HELO"))


def _greets(view: View) -> str:
    view.expect(0, (220,), GREETING, "a new connection", "220 name-of-the-server ESMTP\\r\\n")
    return "The server greets by 220."


def _says_hello(verb: str) -> Check:
    def check(view: View) -> str:
        view.expect(1, (OK,), EHLO, verb)
        return f"{verb} is answered by 250."

    return check


def _envelope(plan: Plan) -> None:
    mail = plan.mail()
    plan.add("envelope", (b"", HELLO, b"NOOP\r\n", *mail.envelope(), b"RSET\r\n", QUIT), _succeeds)
    first, second = mail.envelope()
    plan.add("order", (b"", HELLO, second, QUIT), _out_of_order("RCPT before MAIL"))
    plan.add("order", (b"", HELLO, first, DATA, QUIT), _out_of_order("DATA before RCPT", 3))
    plan.add("reset", (b"", HELLO, first, second, b"RSET\r\n", second, QUIT), _resets)
    plan.add("unknown", (b"", HELLO, f"{plan.random.choice(('FROB', 'BREW', 'PLAY'))}\r\n".encode(), QUIT), _refuses)


def _succeeds(view: View) -> str:
    for number, command in enumerate(("NOOP", "MAIL", "RCPT", "RSET"), 2):
        view.expect(number, (OK,), ACCEPTS, command)
    return "NOOP, MAIL, RCPT and RSET succeed."


def _out_of_order(what: str, number: int = 2) -> Check:
    codes = (SEQUENCE, NO_RECIPIENTS) if what.startswith("DATA") else (SEQUENCE,)

    def check(view: View) -> str:
        view.expect(number, codes, SEQUENCES, what, "503 bad sequence of commands\\r\\n")
        return f"{what} is refused."

    return check


def _resets(view: View) -> str:
    view.expect(4, (OK,), RESET, "RSET")
    view.expect(5, (SEQUENCE,), RESET, "RCPT behind RSET, without another MAIL", "503 bad sequence of commands\\r\\n")
    return "RSET discards the transaction."


def _refuses(view: View) -> str:
    view.expect(2, (500, 502), UNKNOWN, "an unknown command")
    return "An unknown command is refused."


def _messages(plan: Plan) -> None:
    for claim, count in (("data", 1), ("recipients", 3)):
        mail = plan.mail(recipients=count)
        plan.add(claim, mail.session(), _handed_on(mail), smtp.DATA_REPLY)
    word = plan.word().encode()
    mail = plan.mail(b"." + word, b"." + b"", b".." + word, word + b".", b"...", word)
    plan.add("dots", mail.session(), _handed_on(mail, DOTS))
    length = TEXT_LINE_MAX - 2
    letters = "".join(plan.random.choice("abcdefgh ") for _ in range(length - 1)).encode() + b"z"
    mail = plan.mail(letters, b"." + letters[1:], letters[: plan.random.randrange(500, 900)] + b"z")
    plan.add("long-lines", mail.session(), _handed_on(mail, LONG_LINES))
    mail = plan.mail()
    plan.add("received", mail.session(), _traced(mail))
    mail = plan.mail(f"café, naïve, 10 €, {plan.word()}".encode())
    plan.add("8bit", mail.session(" BODY=8BITMIME"), _takes_8bit(mail))


def accepted(view: View, mail: Mail, rule: Rule) -> int:
    """Require that the server accepts the message `mail` in a session with one transaction.

    Returns the index of the mail data among the pieces of the session (see Mail.session).
    """
    data = 3 + len(mail.recipients)
    view.expect(2, (OK,), rule if rule is EIGHT_BIT else ACCEPTS, "MAIL")
    for number in range(3, data):
        view.expect(number, (OK,), ACCEPTS, "RCPT")
    view.expect(data, (START,), MAIL_DATA, "DATA", "354 start mail input\\r\\n")
    view.expect(data + 1, (OK,), rule, "mail data")
    return data + 1


def _handed_on(mail: Mail, rule: Rule | None = None) -> Check:
    """Return a check function: the server must relay a message unaltered to the next hop, for all its recipients."""

    def check(view: View) -> str:
        number = accepted(view, mail, rule or MAIL_DATA)
        found = _complete(view, mail, number, rule)
        to = f"{len(mail.recipients)} recipient{'s' if len(mail.recipients) > 1 else ''}"
        return f"A message of {len(mail.lines)} lines is handed on to {to} by {found}."

    return check


def _complete(view: View, mail: Mail, number: int, rule: Rule | None = None) -> str:
    """Require that the next hop receives the message `mail` unaltered for all recipients.

    `number`: index of its mail data among the pieces of the session. Returns the number of mail transactions as text.
    """
    found = view.delivered(mail.lines[0], number)
    for one in found:
        if rule is None:
            expect_same(one, mail.message)
        else:
            expect_same(one, mail.message, rule)
        if one.sender != mail.sender:
            raise one.fault(RECIPIENTS, one.command, f"MAIL FROM:<{one.sender}>", f"MAIL FROM:<{mail.sender}>\\r\\n")
        for recipient in one.recipients:
            if recipient not in mail.recipients:
                raise one.fault(
                    TRANSACTIONS, one.command, f"the recipient {recipient}, of another message", "no octets"
                )
    reached = {recipient for one in found for recipient in one.recipients}
    for recipient in mail.recipients:
        if recipient not in reached:
            said = f"the message is handed on to {len(reached)} of {len(mail.recipients)} recipients"
            raise found[0].fault(RECIPIENTS, found[0].command, said, f"RCPT TO:<{recipient}>\\r\\n")
    return f"{len(found)} transaction{'s' if len(found) > 1 else ''}"


def _traced(mail: Mail) -> Check:
    def check(view: View) -> str:
        number = accepted(view, mail, MAIL_DATA)
        one = view.delivered(mail.lines[0], number)[0]
        trace = _trace(one)
        example = f"Received: from {CLIENT_NAME} by name-of-the-server with ESMTP; day, date, time and zone\\r\\n"
        if not trace:
            raise one.fault(RECEIVED, one.lines[0], "no Received field at the top of the message", example)
        text = b" ".join(line.text.strip() for line in trace)
        for word in (b"from", b"by"):
            if not re.search(rb"(?i)(?:\s|:)" + word + rb"\s+\S", text):
                raise one.fault(RECEIVED, trace[0], f"a Received field without {word.decode()}", example)
        if not _has_date(text):
            raise one.fault(RECEIVED, trace[-1], "a Received field without a date behind a semicolon", example)
        return "The server adds a Received field at the top."

    return check


def _trace(one: Delivery) -> list[Line]:
    """Return the lines of the Received field at the top of a relayed message; empty if there is no such field."""
    if not one.lines or not one.lines[0].text.lower().startswith(b"received:"):
        return []
    folded = [one.lines[0]]
    for line in one.lines[1:]:
        if line.text[:1] not in (b" ", b"\t"):
            break
        folded.append(line)
    return folded


def _has_date(text: bytes) -> bool:
    try:
        parsedate_to_datetime(text.rpartition(b";")[2].decode("ascii").strip())
    except (ValueError, TypeError, IndexError):
        return False
    return b";" in text


def _takes_8bit(mail: Mail) -> Check:
    def check(view: View) -> str:
        hello = view.expect(1, (OK,), EHLO, "EHLO")
        if not any(line[4:].strip().upper() == b"8BITMIME" for line in hello.lines):
            raise view.fault(
                EIGHT_BIT, hello.start, hello.end, "EHLO is answered without 8BITMIME", "250 8BITMIME\\r\\n"
            )
        number = accepted(view, mail, EIGHT_BIT)
        _complete(view, mail, number, EIGHT_BIT)
        return "A message with 8-bit text is accepted and handed on as it was."

    return check


def _quits(view: View) -> str:
    reply = view.expect(2, (CLOSING,), QUITS, "QUIT")
    fin, client_fin = view.connection.from_server.fin, view.connection.from_client.fin
    if fin is None or (client_fin is not None and client_fin.time_ns < fin.time_ns):
        raise view.fault(QUITS, reply.start, reply.end, "the connection stays open behind 221", "a FIN behind 221")
    return "QUIT is answered by 221, and the server closes."


def _hidden(plan: Plan) -> None:
    mail = plan.mail()
    whole = mail.session()
    cut = len(whole[2]) // 2
    pieces = (b"", HELLO, whole[2][:cut], whole[2][cut:], *whole[3:5], mail.sent[:-4], mail.sent[-4:], QUIT)
    plan.add("segments", pieces, _in_segments(mail))
    mail = plan.mail()
    small = [piece.replace(b"MAIL FROM", b"mail from").replace(b"RCPT TO", b"rcpt to") for piece in mail.envelope()]
    plan.add("letters", (b"", HELLO.lower(), *small, b"data\r\n", mail.sent, b"quit\r\n"), _small_letters(mail))
    mail = plan.mail(sender="")
    plan.add("null-path", mail.session(), _null_path(mail))
    mails = plan.mail(recipients=2), plan.mail()
    pieces = (b"", HELLO, *mails[0].envelope(), DATA, mails[0].sent, *mails[1].envelope(), DATA, mails[1].sent, QUIT)
    plan.add("transactions", pieces, _separate(mails))
    mail, other = plan.mail(), plan.mail()
    smuggled = b"\n.\n" + b"".join((*other.envelope(), DATA)) + other.sent
    pieces = (*mail.session()[:-2], mail.message + b"text" + smuggled, QUIT)
    plan.add("lf-dot", pieces, _not_smuggled(mail, other), malformed=True)
    mail = plan.mail(prefix=DEFERRED)
    plan.add("durable", mail.session(), _survives(mail), restarts=True)


def _in_segments(mail: Mail) -> Check:
    def check(view: View) -> str:
        view.expect(3, (OK,), SEGMENTS, "MAIL in two segments")
        view.expect(5, (START,), MAIL_DATA, "DATA")
        view.expect(7, (OK,), SEGMENTS, "mail data whose end comes in a segment of its own")
        _complete(view, mail, 7)
        return "Commands and mail data may come in several segments."

    return check


def _small_letters(mail: Mail) -> Check:
    def check(view: View) -> str:
        for number, (code, what) in enumerate(((OK, "ehlo"), (OK, "mail"), (OK, "rcpt"), (START, "data")), 1):
            view.expect(number, (code,), LETTERS, what)
        view.expect(5, (OK,), MAIL_DATA, "mail data")
        _complete(view, mail, 5)
        return "Verbs in small letters are the same verbs."

    return check


def _null_path(mail: Mail) -> Check:
    def check(view: View) -> str:
        view.expect(2, (OK,), NULL_PATH, "MAIL FROM:<>")
        _complete(view, mail, accepted(view, mail, MAIL_DATA))
        return "A message with the null reverse-path is handed on."

    return check


def _separate(mails: tuple[Mail, Mail]) -> Check:
    def check(view: View) -> str:
        _complete(view, mails[0], accepted(view, mails[0], MAIL_DATA))
        view.expect(7, (OK,), TRANSACTIONS, "MAIL of the second message")
        view.expect(10, (OK,), MAIL_DATA, "the second mail data")
        _complete(view, mails[1], 10)
        return "Two messages on one connection have their own recipients."

    return check


def _not_smuggled(mail: Mail, other: Mail) -> Check:
    def check(view: View) -> str:
        for one in view.deliveries:
            if one.begins_at(other.lines[0]) == _first_behind_trace(one) and one.sender == other.sender:
                found = f"the second message of the mail data of <{mail.sender}>, which begins behind LF, a dot and LF"
                raise one.fault(LF_DOT, one.command, found, "no message, since the mail data have one end")
        return "LF, a dot and LF do not end the mail data."

    return check


def _first_behind_trace(one: Delivery) -> int:
    return len(_trace(one))


def _survives(mail: Mail) -> Check:
    def check(view: View) -> str:
        reply = view.reply(5)
        if reply.code != OK:
            return f"The message is not accepted ({reply.code}), since the next hop is out of order."
        why = ": the server was killed behind this reply, and started again"
        view.delivered(mail.lines[0], 5, DURABLE, why)
        _complete(view, mail, 5)
        return "A message that was accepted survives a crash of the server."

    return check
