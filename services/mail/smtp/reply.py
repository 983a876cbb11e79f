"""SMTP replies: three-digit code, lines of text, enhanced status code (RFC 5321 section 4.2, RFC 2034, RFC 3463).

    >>> Reply(550, "No such user here", "5.1.1").to_wire()
    b'550 5.1.1 No such user here\\r\\n'

RFC 2034 section 3: all 2xx, 4xx and 5xx replies carry an enhanced code, except the greeting and those to HELO and EHLO.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# RFC 5321 section 4.5.3.1.5, code and CRLF counted.
REPLY_LINE_OCTETS_MAX = 512
# Limit on the lines of one reply: an EHLO reply of a large server has some twenty.
REPLY_LINES_MAX = 256
_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")
_UNPRINTABLE = re.compile(r"[^ -~]")


class ReplyError(ValueError):
    """Not a reply: a syntax error of the peer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `text` has its lines separated by newlines, `enhanced` is empty or a code of RFC 3463."""

    code: int
    text: str = ""
    enhanced: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines of text."""
        return self.text.split("\n")

    @property
    def is_positive(self) -> bool:
        """True for 2yz and 3yz replies (RFC 5321 section 4.2.1)."""
        return self.code < 400

    @property
    def is_permanent(self) -> bool:
        """True for 5yz replies: a retry would fail again."""
        return self.code >= 500

    def to_wire(self) -> bytes:
        """Encode the reply; characters other than printable ASCII become `?`."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        *first, last = (_UNPRINTABLE.sub("?", prefix + line) for line in self.lines)
        return "".join([*(f"{self.code}-{line}\r\n" for line in first), f"{self.code} {last}\r\n"]).encode("ascii")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


class ReplyReader:
    """Parser of multi-line replies."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._code: bytes | None = None

    def feed(self, line: bytes) -> Reply | None:
        """Parse one line without its CRLF; returns the reply if this is its last line; raises ReplyError."""
        match = _LINE.match(line)
        if match is None or (self._code or match[1]) != match[1]:
            raise ReplyError(f"no reply line: {line[:80]!r}")
        self._code = match[1]
        self._lines.append((match[3] or b"").decode("ascii", "replace"))
        if len(self._lines) > REPLY_LINES_MAX:
            raise ReplyError(f"a reply of more than {REPLY_LINES_MAX} lines")
        if match[2] == b"-":
            return None
        lines, self._lines, self._code = self._lines, [], None
        return _reply(int(match[1]), lines)


def _reply(code: int, lines: Iterable[str]) -> Reply:
    """Split the enhanced code from the text if every line has the same one."""
    texts = list(lines)
    codes = {match[1] if (match := _ENHANCED.match(text)) else "" for text in texts}
    enhanced = codes.pop() if len(codes) == 1 else ""
    if enhanced[:1] != str(code)[:1]:
        return Reply(code, "\n".join(texts))
    return Reply(code, "\n".join(text[len(enhanced) + 1 :] for text in texts), enhanced)
