"""Parser of captured SMTP streams: commands, replies and mail data, with the frames that carried them.

Written from RFC 5321 (sections 2.3.7, 2.3.8, 4.1, 4.2 and 4.5), independent of lab7.services.mail.smtp. A line ends in
CRLF, and a bare CR or LF is an error. A command is a verb with an optional argument; a reply line is a code, a space
and text; in a multi-line reply a hyphen follows the code on all lines except the last. Mail data are lines up to a line
with only a dot, and a line that begins with a dot is dot-stuffed (section 4.5.2):

    C: MAIL FROM:<alice@example.org><CRLF>
    S: 250-mail.example.com<CRLF>250 PIPELINING<CRLF>
    C: ..hidden<CRLF>.<CRLF>

A line that is no known command still parses; `Command.why_malformed` has the reason. Obsolete forms (source routes) are
accepted, since section 4.1.2 has servers accept them. Left out: SMTPUTF8 (RFC 6531), and data after STARTTLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.harness.judge.dialogue import Line, Request
from lab7.experiments.harness.judge.reassembly import Stream

EXCERPT_OCTETS = 60
# RFC 5321 sections 4.5.3.1 and 4.1.1.11: maximum octets of a command (longer MAIL included), reply line, text line.
COMMAND_OCTETS, REPLY_OCTETS, TEXT_OCTETS = 1_024, 512, 1_000
LINE = re.compile(rb"([^\r\n]*)\r\n")
# Placeholder for the verb in exchanges of mail data, which have no command.
MAIL_DATA = "."
# RFC 5321 section 4.2: a reply code's first digit is 2 to 5, the second 0 to 5; text is printable ASCII and tab.
REPLY_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])([\t -~]*))?\r\n")
VERB = re.compile(rb"([A-Za-z]{4,12})(?: +(.*?))? *\Z", re.DOTALL)

# Grammar of domains, address literals, mailboxes and paths (RFC 5321 sections 4.1.2 and 4.1.3).
_SUB_DOMAIN = rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rb"(?:" + _SUB_DOMAIN + rb"(?:\." + _SUB_DOMAIN + rb")*)"
_LITERAL = rb"(?:\[[!-Z^-~]+\])"
_ATEXT = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_LOCAL = rb"(?:" + _ATEXT + rb"(?:\." + _ATEXT + rb")*|\"(?:[ !#-\[\]-~]|\\[ -~])*\")"
_MAILBOX = _LOCAL + rb"@(?:" + _DOMAIN + rb"|" + _LITERAL + rb")"
_ROUTE = rb"(?:@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:)?"
_PATH = rb"<" + _ROUTE + _MAILBOX + rb">"
_PARAMETER = rb"[A-Za-z0-9][A-Za-z0-9-]*(?:=[!-<>-~]+)?"
_PARAMETERS = rb"(?: " + _PARAMETER + rb"(?: " + _PARAMETER + rb")*)?"
_STRING = rb"[!-~](?:[ -~]*[!-~])?"
# Verb -> regular expression of the argument (RFC 5321 section 4.1.1, RFC 4954 section 4, RFC 3207 section 4). They are
# compiled at their first use, and then cached by `re`: together they take 40 ms.
ARGUMENTS: dict[str, bytes] = {
    "EHLO": rb"(?:" + _DOMAIN + rb"|" + _LITERAL + rb")\Z",
    "HELO": rb"(?:" + _DOMAIN + rb"|" + _LITERAL + rb")\Z",
    "MAIL": rb"(?i:FROM):(?:<>|" + _PATH + rb")" + _PARAMETERS + rb"\Z",
    "RCPT": rb"(?i:TO):(?:<(?i:postmaster)>|" + _PATH + rb")" + _PARAMETERS + rb"\Z",
    "DATA": rb"\Z",
    "RSET": rb"\Z",
    "VRFY": _STRING + rb"\Z",
    "EXPN": _STRING + rb"\Z",
    "HELP": rb"(?:" + _STRING + rb")?\Z",
    "NOOP": rb"(?:" + _STRING + rb")?\Z",
    "QUIT": rb"\Z",
    "AUTH": rb"[A-Za-z0-9_-]{1,20}(?: (?:=|[A-Za-z0-9+/]+={0,2}))?\Z",
    "STARTTLS": rb"\Z",
}
# Verbs defined in other RFCs: 821 (SEND SOML SAML TURN), 1985 (ETRN), 2645 (ATRN), 3030 (BDAT), 4468 (BURL).
OTHER_VERBS = frozenset(("SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN", "BDAT", "BURL"))


class SmtpGrammarError(ValueError):
    """Octets that violate the SMTP grammar; the message names the rule and quotes an excerpt."""


@dataclass(frozen=True)
class Command(Request):
    """Command line of the client: verb in capitals (empty if the line has none), and argument."""

    argument: bytes

    @property
    def why_malformed(self) -> str | None:
        """Return the violation of the command grammar (RFC 5321 section 4.1.1) as text; None for a valid command."""
        if self.verb not in ARGUMENTS:
            return f"no RFC defines the command {self.verb or self.text!r}"
        if len(self.octets) > COMMAND_OCTETS:
            return f"the line of {self.verb} has {len(self.octets)} octets"
        if re.match(ARGUMENTS[self.verb], self.argument) is None:
            return f"{self.text!r} does not have the syntax of {self.verb}"
        return None

    @property
    def path(self) -> str:
        """Return the mailbox of MAIL or RCPT, without <> and source route; empty for the null reverse-path."""
        found = re.search(rb"<(?:@[^:>]*:)?([^>]*)>", self.argument)
        return found[1].decode(errors="replace") if found is not None else ""


@dataclass(frozen=True)
class Reply(Line):
    """SMTP reply: the code, and the text of each line."""

    code: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class MailData(Request):
    """Mail data: the octets after 354 with the final dot; `content`: the message without dot-stuffing."""

    content: bytes
    # Offsets in the stream of the lines with a stuffed dot.
    stuffed_at: tuple[int, ...]

    @property
    def text(self) -> str:
        """Return the size of the message as text, such as `120 octets of mail data`, for evidence."""
        return f"{len(self.content)} octets of mail data"


def read_line(stream: Stream, start: int) -> Command | None:
    """Return the command line at an offset of a client's stream; None at the end. Raises SmtpGrammarError."""
    found = LINE.match(stream.data, start)
    if found is None:
        _nothing_left(stream, start, "a command")
        return None
    octets = stream.data[start : found.end()]
    parts = VERB.match(found[1])
    verb, argument = (parts[1].decode().upper(), parts[2] or b"") if parts is not None else ("", found[1])
    return Command(octets, stream.span(start, found.end()), verb, argument)


def read_replies(stream: Stream) -> Iterator[Reply]:
    """Yield the replies in a server's stream. Raises SmtpGrammarError."""
    start = 0
    while start < len(stream.data):
        end, code, lines = _reply(stream, start)
        yield Reply(stream.data[start:end], stream.span(start, end), code, tuple(lines))
        start = end


def _reply(stream: Stream, start: int) -> tuple[int, int, list[str]]:
    lines: list[str] = []
    code, at = b"", start
    while (found := REPLY_LINE.match(stream.data, at)) is not None:
        if code and found[1] != code:
            raise SmtpGrammarError(f"a reply has the two codes {code.decode()} and {found[1].decode()}")
        if found.end() - at > REPLY_OCTETS:
            raise SmtpGrammarError(f"a reply line has {found.end() - at} octets, more than {REPLY_OCTETS}")
        code, at = found[1], found.end()
        lines.append((found[3] or b"").decode())
        if found[2] != b"-":
            return at, int(code), lines
    raise SmtpGrammarError(f"not a reply: {_excerpt(stream.data[at:])}")


def read_mail_data(stream: Stream, start: int) -> MailData | None:
    """Return the mail data at an offset of a client's stream; None if incomplete. Raises SmtpGrammarError."""
    lines: list[bytes] = []
    stuffed: list[int] = []
    at = start
    while (found := LINE.match(stream.data, at)) is not None:
        line = found[1]
        if line == b".":
            end = found.end()
            content = b"".join(lines)
            return MailData(stream.data[start:end], stream.span(start, end), MAIL_DATA, content, tuple(stuffed))
        if line.startswith(b"."):
            stuffed.append(at)
            line = line[1:]
        if len(line) + 2 > TEXT_OCTETS:
            raise SmtpGrammarError(f"a line of the mail data has {len(line) + 2} octets, more than {TEXT_OCTETS}")
        lines.append(line + b"\r\n")
        at = found.end()
    rest = stream.data[at:]
    if b"\n" in rest or b"\r" in rest[:-1]:
        raise SmtpGrammarError(f"the mail data contain a bare CR or LF: {_excerpt(rest)}")
    return None


def _nothing_left(stream: Stream, start: int, what: str) -> None:
    rest = stream.data[start:]
    if rest:
        raise SmtpGrammarError(f"{what} is incomplete, or contains a bare CR or LF: {_excerpt(rest)}")


def _excerpt(data: bytes) -> str:
    return repr(data[:EXCERPT_OCTETS])[1:]
