"""Parser and encoder for SMTP: command lines, replies, and the parameters of MAIL and RCPT (RFC 5321).

    C: MAIL FROM:<alice@example.com> SIZE=1000 BODY=8BITMIME
    S: 550 5.1.1 No such user here

The syntax is specified in RFC 5321 sections 2.3.7, 4.1.1.2, 4.1.1.3, 4.1.1.11, 4.2 and 4.5.3.1. All 2xx, 4xx and 5xx
replies have an enhanced status code (RFC 3463), except the greeting and the replies to HELO and EHLO (RFC 2034 section
3). Parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152), RET and ENVID (RFC 3461), SMTPUTF8 (RFC 6531), and AUTH (RFC
4954 section 5), which is validated and otherwise ignored; of RCPT: NOTIFY and ORCPT (RFC 3461).

    MAIL FROM:<ann@example.net> RET=HDRS ENVID=QQ314159
    RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.com

The values of these requests for delivery status notifications (RFC 3461 section 4) are kept as they were sent, so that
they can be relayed unchanged (section 5.2); decode_xtext() decodes them for a notification.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lab7.services.mail.address import (
    Mailbox,
    MailboxError,
    NotASCIIError,
    PathError,
    PathTooLongError,
    parse_loose_path,
    parse_path,
)
from lab7.services.mail.smtp import limits

CRLF = b"\r\n"
# RFC 5321 section 4.5.3.1.5: a reply line has at most 512 octets, code and CRLF included.
REPLY_LINE_OCTETS_MAX = 512
# Maximum number of lines of a reply; EHLO replies of large servers have some twenty.
REPLY_LINES_MAX = 256
_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")
_UNPRINTABLE = re.compile(r"[^ -~]")
_KEYWORD = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")
# RFC 1870 section 4: the value of SIZE has up to 20 digits.
_SIZE = re.compile(rb"[0-9]{1,20}\Z")
# RFC 3461 sections 4.2 and 4.4: maximum lengths of the values of ORCPT and ENVID.
ORCPT_OCTETS_MAX = 500
ENVID_OCTETS_MAX = 100

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")
_XTEXT_ENCODED = re.compile(r"\+([0-9A-F]{2})")
_ORIGINAL_RECIPIENT = re.compile(r"([A-Za-z0-9-]+);(.+)\Z", re.DOTALL)
_CONDITIONS = frozenset(("SUCCESS", "FAILURE", "DELAY"))
_NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """Parameters of MAIL: `returned` is FULL or HDRS, `envelope_id` the xtext of ENVID; both are empty if not given."""

    returned: str = ""
    envelope_id: str = ""

    def parameters(self) -> list[str]:
        """Return the parameters of MAIL that repeat the request to another server."""
        values = (("RET", self.returned), ("ENVID", self.envelope_id))
        return [f"{name}={value}" for name, value in values if value]


@dataclass(frozen=True, slots=True)
class RecipientRequest:
    """Parameters of RCPT: `notify` is NEVER or a list of conditions, `original` is that of ORCPT; empty: not given."""

    notify: str = ""
    original: str = ""

    def wants(self, condition: str) -> bool:
        """Return True if a notification is requested for SUCCESS, FAILURE or DELAY; FAILURE is the default."""
        return condition in (self.notify or "FAILURE").split(",")

    def parameters(self) -> list[str]:
        """Return the parameters of RCPT that repeat the request to another server."""
        return [f"{name}={value}" for name, value in (("NOTIFY", self.notify), ("ORCPT", self.original)) if value]


NO_MESSAGE_REQUEST = MessageRequest()
NO_RECIPIENT_REQUEST = RecipientRequest()


class EndlessLineError(Exception):
    """Error for a line longer than ENDLESS_LINE_OCTETS; the connection is then closed."""


class CommandLines:
    """Buffer of received octets, consumed as command lines or, for mail data, as raw octets.

    Only CRLF ends a line. If a line is too long for any command, its octets are discarded on arrival, and the next
    command is parsed after its end. A line above ENDLESS_LINE_OCTETS ends the connection.
    """

    def __init__(self) -> None:
        self._octets = bytearray()
        self._searched = 0
        self._skipped = 0

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, data: bytes) -> None:
        """Append received octets to the buffer."""
        self._octets += data

    def pop(self, count: int) -> bytes:
        """Remove and return buffered octets, at most `count`."""
        octets = bytes(self._octets[:count])
        del self._octets[:count]
        self._searched = 0
        return octets

    def pop_all(self) -> bytes:
        """Remove and return all buffered octets."""
        octets_read = bytes(self._octets)
        self.clear()
        return octets_read

    def clear(self) -> None:
        """Discard all buffered octets."""
        self._octets.clear()
        self._searched = self._skipped = 0

    def pop_line(self) -> tuple[bytes, int] | None:
        """Remove and return one command line: (its octets, its full length with CRLF); None if no line is complete.

        For a line too long for any command, the octets are only those that were not discarded. Raises EndlessLineError.
        """
        end = self._octets.find(CRLF, self._searched)
        if end >= 0 and self._skipped + end <= limits.ENDLESS_LINE_OCTETS:
            line = bytes(self._octets[:end])
            octets = self._skipped + end + len(CRLF)
            del self._octets[: end + len(CRLF)]
            self._searched = self._skipped = 0
            return line, octets
        if self._skipped + len(self._octets) > limits.ENDLESS_LINE_OCTETS + 1:
            raise EndlessLineError
        # Search the last octet again, which may be the CR of a CRLF.
        self._searched = max(0, len(self._octets) - 1)
        if len(self._octets) > limits.AUTH_LINE_OCTETS:
            self._skipped += self._searched
            del self._octets[: self._searched]
            self._searched = 0
        return None


def line_limit(verb: bytes) -> int:
    """Return the maximum length in octets, CRLF included, of a command line with this verb."""
    if verb == b"MAIL":
        return limits.MAIL_LINE_OCTETS
    if verb == b"RCPT":
        return limits.RCPT_LINE_OCTETS
    return limits.AUTH_LINE_OCTETS if verb == b"AUTH" else limits.COMMAND_LINE_OCTETS


class ReplyError(ValueError):
    """Error for a server's reply with invalid syntax."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply; `text` has its lines, separated by newlines.

    `enhanced` is its enhanced status code (RFC 3463), or empty. `server` is the name of the server that sent it, empty
    if this program made it.
    """

    code: int
    text: str = ""
    enhanced: str = ""
    server: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines of the reply's text."""
        return self.text.split("\n")

    @property
    def is_positive(self) -> bool:
        """True for 2yz and 3yz replies (RFC 5321 section 4.2.1)."""
        return self.code < 400

    @property
    def is_permanent(self) -> bool:
        """True for 5yz replies: a retry would fail again (RFC 5321 section 4.2.1)."""
        return self.code >= 500

    @property
    def is_temporary(self) -> bool:
        """True for 4yz replies: a retry may succeed (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500

    def to_wire(self) -> bytes:
        """Encode the reply as SMTP lines; characters other than printable ASCII become `?`."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        *first, last = (_UNPRINTABLE.sub("?", prefix + line) for line in self.lines)
        return "".join([*(f"{self.code}-{line}\r\n" for line in first), f"{self.code} {last}\r\n"]).encode("ascii")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


class ReplyReader:
    """Parser of the SMTP replies of a server, of one or several lines, fed line by line."""

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._lines: list[str] = []
        self._code: bytes | None = None

    def feed(self, line: bytes) -> Reply | None:
        """Parse one line without CRLF; return the reply after its last line, before that None. Raises ReplyError."""
        match = _LINE.match(line)
        if match is None or (self._code or match[1]) != match[1]:
            raise ReplyError(f"invalid reply line: {line[:80]!r}")
        self._code = match[1]
        self._lines.append((match[3] or b"").decode("ascii", "replace"))
        if len(self._lines) > REPLY_LINES_MAX:
            raise ReplyError(f"a reply has more than {REPLY_LINES_MAX} lines")
        if match[2] == b"-":
            return None
        lines, self._lines, self._code = self._lines, [], None
        return _reply(int(match[1]), lines, self._server)


def _reply(code: int, lines: Iterable[str], server: str) -> Reply:
    """Return a Reply with the code and text lines that a server sent.

    An enhanced status code (RFC 3463) at the start of every line becomes the field `enhanced`.
    """
    texts = list(lines)
    codes = {match[1] if (match := _ENHANCED.match(text)) else "" for text in texts}
    enhanced = codes.pop() if len(codes) == 1 else ""
    if enhanced[:1] != str(code)[:1]:
        return Reply(code, "\n".join(texts), server=server)
    return Reply(code, "\n".join(text[len(enhanced) + 1 :] for text in texts), enhanced, server)


NOT_TAKEN = Reply(555, "Unsupported parameter", "5.5.4")
NOT_UNDERSTOOD = Reply(501, "Invalid value of a parameter", "5.5.4")
TWICE = Reply(501, "Duplicate parameter", "5.5.4")
NOT_IMPLEMENTED = Reply(504, "Unsupported value of BODY", "5.5.4")


class ParameterError(Exception):
    """Error for an invalid argument or parameter of MAIL or RCPT; `reply`: the reply to send."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailParameters:
    """The parsed argument of MAIL.

    `reverse_path` None is the null reverse-path; `size_octets` is 0 if the client declares no size.
    """

    reverse_path: Mailbox | None
    size_octets: int = 0
    is_8bit: bool = False
    request: MessageRequest = NO_MESSAGE_REQUEST
    is_smtputf8: bool = False


def parse_mail(argument: bytes, with_auth: bool, strict: bool = True) -> MailParameters:
    """Parse the argument of MAIL; raises ParameterError.

    If `with_auth`, the parameter AUTH is permitted. If not `strict`, the domain may be missing, and malformed paths are
    accepted as in parse_loose_path().
    """
    # RFC 6531 section 3.4: with the parameter SMTPUTF8, this path and those of RCPT may have characters beyond ASCII.
    is_smtputf8 = b"SMTPUTF8" in argument.upper().split(b" ")
    mailbox, rest = _path(argument, b"FROM:", "5.1.7", strict, is_smtputf8)
    if strict and mailbox is not None and not mailbox.domain:
        raise ParameterError(Reply(553, "The mailbox has no domain", "5.1.7"))
    values = _keywords(rest)
    size, body = 0, b""
    for keyword, value in values.items():
        if keyword == b"SIZE":
            if not _SIZE.match(value):
                raise ParameterError(NOT_UNDERSTOOD)
            size = int(value)
        elif keyword == b"BODY":
            body = _body(value)
        elif keyword == b"SMTPUTF8" and value:
            raise ParameterError(NOT_UNDERSTOOD)
        elif keyword not in (b"RET", b"ENVID", b"SMTPUTF8") and not (keyword == b"AUTH" and with_auth and value):
            raise ParameterError(NOT_TAKEN)
    request = MessageRequest(_value(values, b"RET", _parse_returned), _value(values, b"ENVID", _parse_envelope_id))
    return MailParameters(mailbox, size, body == b"8BITMIME", request, b"SMTPUTF8" in values)


def parse_rcpt(argument: bytes, strict: bool = True, is_smtputf8: bool = False) -> tuple[Mailbox, RecipientRequest]:
    """Parse the argument of RCPT; return the recipient's mailbox and the DSN request; raises ParameterError."""
    mailbox, rest = _path(argument, b"TO:", "5.1.3", strict, is_smtputf8)
    if mailbox is None:
        raise ParameterError(Reply(553, "RCPT requires a mailbox: the null path is valid in MAIL only", "5.1.3"))
    values = _keywords(rest)
    if not values.keys() <= {b"NOTIFY", b"ORCPT"}:
        raise ParameterError(NOT_TAKEN)
    return mailbox, RecipientRequest(
        _value(values, b"NOTIFY", _parse_notify), _value(values, b"ORCPT", _parse_original)
    )


def _value(values: Mapping[bytes, bytes], keyword: bytes, parse: Callable[[str], str]) -> str:
    """Return the parsed value of a parameter, empty if the parameter is not given; raises ParameterError."""
    if keyword not in values:
        return ""
    try:
        return parse(values[keyword].decode("ascii"))
    except ValueError as error:
        raise ParameterError(Reply(501, f"Invalid value of a parameter: {error}", "5.5.4")) from None


def _body(value: bytes) -> bytes:
    body = value.upper()
    # BINARYMIME (RFC 3030 section 3) requires the command BDAT, which is not implemented.
    if body == b"BINARYMIME":
        raise ParameterError(NOT_IMPLEMENTED)
    if body not in (b"7BIT", b"8BITMIME"):
        raise ParameterError(NOT_UNDERSTOOD)
    return body


def _path(argument: bytes, prefix: bytes, enhanced: str, strict: bool, utf8: bool) -> tuple[Mailbox | None, bytes]:
    if argument[: len(prefix)].upper() != prefix:
        raise ParameterError(Reply(501, f"Syntax: {prefix.decode()}<mailbox>", "5.5.4"))
    try:
        # RFC 5321 section 3.3 permits no space after the colon, but many programs send one.
        return (parse_path if strict else parse_loose_path)(argument[len(prefix) :].lstrip(b" "), utf8)
    except PathTooLongError as error:
        raise ParameterError(Reply(501, f"Invalid mailbox: {error}", enhanced)) from None
    except PathError as error:
        raise ParameterError(Reply(501, f"Syntax: {prefix.decode()}<mailbox>: {error}", "5.5.4")) from None
    except NotASCIIError as error:
        raise ParameterError(Reply(553, f"Invalid mailbox: {error}", "5.6.7")) from None
    except MailboxError as error:
        raise ParameterError(Reply(553, f"Invalid mailbox: {error}", enhanced)) from None


def _keywords(octets: bytes) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for word in octets.split():
        match = _KEYWORD.match(word)
        if match is None:
            raise ParameterError(NOT_UNDERSTOOD)
        keyword = match[1].upper()
        if keyword in values:
            raise ParameterError(TWICE)
        values[keyword] = match[2] or b""
    return values


def _parse_returned(value: str) -> str:
    """Parse the value of RET; raises ValueError."""
    if value.upper() not in ("FULL", "HDRS"):
        raise ValueError("RET takes FULL or HDRS")
    return value.upper()


def _parse_envelope_id(value: str) -> str:
    """Parse the value of ENVID; raises ValueError."""
    if len(value) > ENVID_OCTETS_MAX or not _is_xtext(value):
        raise ValueError("ENVID takes xtext of at most 100 characters")
    return value


def _parse_notify(value: str) -> str:
    """Parse the value of NOTIFY: NEVER alone, or SUCCESS, FAILURE and DELAY separated by commas; raises ValueError."""
    words = value.upper().split(",")
    if words != [_NEVER] and not (_CONDITIONS.issuperset(words) and len(set(words)) == len(words)):
        raise ValueError("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return value.upper()


def _parse_original(value: str) -> str:
    """Parse the value of ORCPT, `type;xtext`; raises ValueError."""
    match = _ORIGINAL_RECIPIENT.match(value)
    if match is None or len(value) > ORCPT_OCTETS_MAX or not _is_xtext(match[2]):
        raise ValueError("ORCPT takes an address type, a semicolon and xtext")
    return value


def decode_xtext(value: str) -> str:
    """Decode xtext (RFC 3461 section 4), such as the value of ENVID, or of ORCPT with its address type."""
    return _XTEXT_ENCODED.sub(lambda match: chr(int(match[1], 16)), value)


def _is_xtext(value: str) -> bool:
    # The decoded text goes into a header field of the notification, so it is printable ASCII (RFC 3461 section 4.4).
    return _XTEXT.match(value) is not None and all(" " <= one <= "~" for one in decode_xtext(value))
