"""Answer types of questions, such as number, text and frame numbers: parsing and scoring of students' answers.

An answer on a sheet is a YAML scalar or list. Each type accepts equivalent spellings: a number with another unit, in
hexadecimal or with a thousands separator, and with a repetition in parentheses (`694 (11 minutes, 34 seconds)`); a
count with its noun (`6 requests`, `200 OK`); a name without its final dot or in other case; a value after the name of
its field (`Age: 30`); a range of frames; a list in any order, unless the order matters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

# Type of an answer on an answer sheet: a YAML scalar, or a list of scalars.
Given = str | int | float | bool | None | list["Given"]
TEXT_MAX = 4_096
LIST_MAX = 1_000
# Units keyed by kind of quantity, each with its size in the kind's base unit (s, bytes, bit/s).
UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9, "min": 60, "h": 3600},
    "size": {
        "byte": 1, "bytes": 1, "octet": 1, "octets": 1, "b": 1, "kb": 1e3, "mb": 1e6, "kib": 1024, "mib": 1024**2,
        "bit": 0.125, "bits": 0.125,
    },
    "rate": {"bit/s": 1, "bps": 1, "kbit/s": 1e3, "kbps": 1e3, "mbit/s": 1e6, "mbps": 1e6, "gbit/s": 1e9, "gbps": 1e9},
    "share": {"": 1, "%": 0.01},
    "count": {"": 1},
}  # fmt: skip
# Long names of units, as Wireshark writes them, with the short names in UNITS or the size in the base unit.
_LONG_UNITS: Mapping[str, Mapping[str, str | float]] = {
    "time": {
        "second": "s", "sec": "s", "millisecond": "ms", "msec": "ms", "microsecond": "us", "usec": "us",
        "nanosecond": "ns", "minute": "min", "hour": "h", "day": 86_400,
    },
    "size": {"kilobyte": "kb", "megabyte": "mb", "kibibyte": "kib", "mebibyte": "mib"},
    "rate": {"bits/s": "bit/s", "bit per second": "bit/s", "bits per second": "bit/s"},
}  # fmt: skip
# Maximum relative difference of a repetition in parentheses, which is often rounded: `1234567 bytes (1.2 MB)`.
_REPEATED = 0.05
_NUMBER = re.compile(
    r"\s*([+-]?)(0[xX][0-9a-fA-F]+|(?:\d[\d_ ,']*)?(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(.*?)\s*\Z", re.DOTALL
)
# Words permitted after a count: a noun, or the reason phrase of a status code. Excluded are units and words that change
# the number.
_WORDS = re.compile(r"[a-z]{2,}(?:[ -][a-z]+){0,4}\Z", re.IGNORECASE)
_NO_NOUN = {
    "or", "and", "to", "plus", "minus", "times", "about", "half", "hundred", "thousand", "million", "dozen",
    "percent", *(name for kind in UNITS.values() for name in kind),
}  # fmt: skip
# The name of a field before its value, and the version of HTTP before a status code.
_FIELD = re.compile(r"\s*[A-Za-z][A-Za-z0-9-]*:\s+(?=\S)")
_REPETITION = re.compile(r"(?P<number>.*\S)\s*\((?P<repeated>[^()]+)\)\s*\Z", re.DOTALL)
_VERSION = re.compile(r"\s*HTTP/[0-9.]+\s+(?=\d{3}\b)", re.IGNORECASE)
# Spellings of a range of frame numbers, and words around frame numbers that are ignored.
_RANGE_SIGN = re.compile(r"(?<=\d)\s*(?:-|\.\.|\u2013|\bto\b)\s*(?=#?\d)")
_FILLING = re.compile(r"\b(?:and|frames?|packets?|numbers?|nos?)\b[.:]?|[#,;&]", re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,11})-(\d{1,11})\Z")


class AnswerError(ValueError):
    """Failure to parse a student's answer as the type of the true answer; the message has the expected format."""


class Answer(Protocol):
    """Interface of answer types: an object holds the true answer to a question, and scores a student's answer."""

    def score(self, given: Given) -> float:
        """Return the fraction of the points that a student's answer earns, 0 to 1. Raises AnswerError if unparsable."""

    def shown(self) -> str:
        """Return the true answer as text for the answer key."""

    def form(self) -> str:
        """Return the expected format of an answer as text for the hand-out, such as `a number in ms`."""


@dataclass(frozen=True)
class Number:
    """A number as the true answer: a time in s, a size in bytes, a rate in bit/s, or a number without a unit.

    A student's answer is right within `tolerance` (relative) or `slack` (absolute, in the unit of `value`). `unit` is
    the unit in which the question asks; it is assumed for an answer without a unit.
    """

    value: float
    kind: str = "count"
    unit: str = ""
    tolerance: float = 0.0
    slack: float = 0.0

    def score(self, given: Given) -> float:
        """Return 1 for a number within the tolerance, else 0. Raises AnswerError for text that is not a number."""
        found = self.parse(given)
        allowed = max(abs(self.value) * self.tolerance, self.slack, abs(self.value) * 1e-9, 1e-12)
        return float(abs(found - self.value) <= allowed)

    def parse(self, given: Given) -> float:
        """Return the number in an answer, converted to s, bytes or bit/s. Raises AnswerError if there is none."""
        if isinstance(given, bool | list) or given is None:
            raise AnswerError(f"expected {self.form()}")
        if isinstance(given, int | float):
            return self._finite(float(given) * self._factor(self.unit))
        text = _VERSION.sub("", given[:TEXT_MAX]) if self.kind == "count" else given[:TEXT_MAX]
        text = _FIELD.sub("", text, count=1)
        twice = _REPETITION.match(text)
        if twice is None:
            return self._quantity(text)
        value = self._quantity(twice["number"])
        # Wireshark writes a time span in several units: 694 (11 minutes, 34 seconds).
        repeated = sum(self._quantity(part) for part in re.split(r",\s+", twice["repeated"]))
        if not math.isclose(value, repeated, rel_tol=_REPEATED):
            raise AnswerError(f"expected {self.form()}, not {_short(given)}: two different numbers")
        return value

    def _quantity(self, text: str) -> float:
        """Return a number with an optional unit, converted to the base unit. Raises AnswerError for other text."""
        found = _NUMBER.match(text)
        if found is None or not found[2]:
            raise AnswerError(f"expected {self.form()}, not {_short(text)}")
        sign = -1.0 if found[1] == "-" else 1.0
        return self._finite(sign * _decimal(found[2]) * self._factor(found[3] or self.unit))

    def _factor(self, unit: str) -> float:
        units = UNITS[self.kind]
        if self.kind == "count" and _WORDS.match(unit) and not _NO_NOUN & set(re.split("[ -]", unit.lower())):
            return 1.0
        long = _LONG_UNITS.get(self.kind, {})
        short = long.get(unit.lower()) or long.get(unit.lower().removesuffix("s"), unit)
        factor = short if isinstance(short, float | int) else units.get(short) or units.get(short.lower())
        if factor is None:
            raise AnswerError(f"unknown unit {_short(unit)}: use {', '.join(name for name in units if name) or 'none'}")
        return factor

    def _finite(self, value: float) -> float:
        if not math.isfinite(value):
            raise AnswerError(f"expected {self.form()}")
        return value

    def shown(self) -> str:
        """Return the true number as text, in the question's unit."""
        value = self.value / self._factor(self.unit)
        return f"{value:.6g} {self.unit}".strip() if value != int(value) else f"{int(value)} {self.unit}".strip()

    def form(self) -> str:
        """Return the expected format of the number with its unit as text, such as `a number in ms`."""
        if self.kind == "share" and not self.unit:
            return "a number or a percentage"
        return f"a number in {self.unit}" if self.unit else "a number"


@dataclass(frozen=True)
class Predicted:
    """A measured number as the true answer; a student's prediction of it is scored by the relative error.

    `bands`: pairs (maximum relative error, fraction of the points).
    """

    measured: Number
    bands: tuple[tuple[float, float], ...]

    def score(self, given: Given) -> float:
        """Return the fraction of points for a prediction's relative error; 0 beyond all bands. Raises AnswerError."""
        distance = self.distance(given)
        return next((share for limit, share in sorted(self.bands) if distance <= limit + 1e-9), 0.0)

    def distance(self, given: Given) -> float:
        """Return the relative error of a prediction, as a fraction. Raises AnswerError if it is not a number."""
        off = abs(self.measured.parse(given) - self.measured.value)
        if off == 0:
            return 0.0
        return off / abs(self.measured.value) if self.measured.value else math.inf

    def shown(self) -> str:
        """Return the measured number as text."""
        return self.measured.shown()

    def form(self) -> str:
        """Return the expected format of the number with its unit as text, such as `a number in ms`."""
        return self.measured.form()


@dataclass(frozen=True)
class Found:
    """Score of a task that is graded from the student's own capture; `share` is the fraction of the points, 0 to 1."""

    share: float

    def score(self, given: Given) -> float:  # noqa: ARG002
        """Return the fraction of the points, 0 to 1; the student's answer is ignored."""
        return self.share

    def shown(self) -> str:
        """Return a text on the required packets: found completely, in part, or not."""
        return "found" if self.share == 1 else "not found" if self.share == 0 else "found in part"

    def form(self) -> str:
        """Return `decided by the capture`: the hand-out's note that a task needs no answer on a sheet."""
        return "decided by the capture"


def _decimal(text: str) -> float:
    if text[:2].lower() == "0x":
        return float(int(text, 16))
    # Separators of thousands: 1,234,567 or 1 234 567 or 1_234_567; a single comma not before 3 digits is decimal.
    plain = re.sub(r"[ _']", "", text)
    if re.fullmatch(r"\d+,\d+", plain) and len(plain.rpartition(",")[2]) != 3:
        plain = plain.replace(",", ".")
    plain = plain.replace(",", "")
    try:
        return float(plain)
    except ValueError as error:
        raise AnswerError(f"{_short(text)} is not a number") from error


@dataclass(frozen=True)
class Text:
    """A word or line as the true answer.

    `case`: compared case-sensitively; `name`: compared as a domain name (RFC 1035 section 2.3.3), and without the final
    dot; `others`: further right answers.
    """

    value: str
    case: bool = False
    name: bool = False
    others: tuple[str, ...] = ()

    def score(self, given: Given) -> float:
        """Return 1 if the texts are equal apart from white space, quotes and case, else 0.

        A field name before the value, and `HTTP/1.1` before a status code, are ignored. Raises AnswerError for a domain
        name with white space.
        """
        said = as_text(given)
        spellings = {self._plain(text) for text in (said, _FIELD.sub("", said, count=1), _VERSION.sub("", said))}
        if self.name and all(" " in one for one in spellings):
            raise AnswerError(f"expected {self.form()}, not {_short(said)}")
        return float(not spellings.isdisjoint(self._plain(one) for one in (self.value, *self.others)))

    def _plain(self, text: str) -> str:
        plain = " ".join(text.split())
        plain = plain.strip("\"'`") if len(plain) > 1 else plain
        if self.name:
            plain = plain.rstrip(".") or "."
        return plain if self.case and not self.name else plain.casefold()

    def shown(self) -> str:
        """Return the true text."""
        return self.value

    def form(self) -> str:
        """Return the expected format as text: `a domain name` or `text`."""
        return "a domain name" if self.name else "text"


@dataclass(frozen=True)
class Address:
    """An IP address without a port as the true answer, compared in any spelling (RFC 4291 section 2.2)."""

    value: str

    def score(self, given: Given) -> float:
        """Return 1 if the addresses are equal, else 0; a host name beside the address is ignored.

        Raises AnswerError for text without an IP address, or with several.
        """
        from ipaddress import ip_address

        found = {address for word in as_text(given).split() if (address := _address(word)) is not None}
        if len(found) != 1:
            raise AnswerError(f"expected an IP address, not {_short(as_text(given))}")
        return float(found.pop() == ip_address(self.value))

    def shown(self) -> str:
        """Return the true address as text."""
        return self.value

    def form(self) -> str:
        """Return the expected format as text: `an IP address`."""
        return "an IP address"


def _address(word: str) -> IPv4Address | IPv6Address | None:
    """Parse a word as an IP address, without brackets and a final dot; return None for any other word."""
    from ipaddress import ip_address

    try:
        return ip_address(word.strip("[]()").removesuffix("."))
    except ValueError:
        return None


@dataclass(frozen=True)
class Choice:
    """Right option of a multiple-choice question; accepted as letter, text, or both: `a`, `client`, `a) client`."""

    value: str
    options: tuple[str, ...]

    def score(self, given: Given) -> float:
        """Return 1 for the right option, else 0. Raises AnswerError for text that names no option."""
        said = " ".join(as_text(given).split()).casefold()
        texts = [option.casefold() for option in self.options]
        # An option's text takes precedence over a letter, since an option may itself be a letter.
        spellings = {text: text for text in texts}
        for place, text in enumerate(texts):
            letter = chr(ord("a") + place)
            for spelling in (letter, f"{letter} {text}", f"{letter}: {text}"):
                spellings.setdefault(spelling, text)
        plain = re.sub(r"\A\(?([a-z])[.)]\s*", r"\1 ", said).strip().rstrip(".:)")
        found = spellings.get(said, spellings.get(plain))
        if found is None:
            raise AnswerError(f"expected {self.form()}, not {_short(said)}")
        return float(found == self.value.casefold())

    def shown(self) -> str:
        """Return the right option with its letter, as text."""
        return f"{chr(ord('a') + self.options.index(self.value))}) {self.value}"

    def form(self) -> str:
        """Return all options with their letters, as text."""
        return "one of " + ", ".join(f"{chr(ord('a') + at)}) {one}" for at, one in enumerate(self.options))


YES = ("yes", "no")


def yes_no(value: bool) -> Choice:
    """Return the Choice for a yes-or-no question. YAML reads an unquoted `yes` as true, which is accepted."""
    return Choice(YES[not value], YES)


@dataclass(frozen=True)
class Frames:
    """Frame numbers as the true answer: a number, a list, or ranges such as `4-7, 9`, in any order.

    `least`: number of right frame numbers that earns full points if none is wrong; with None, all are required, and
    each wrong number cancels a right one. `beside`: numbers that are neither right nor wrong, such as those of the
    other segments of a message, which an answer given as a range contains.
    """

    value: tuple[int, ...]
    least: int | None = None
    beside: tuple[int, ...] = ()

    def score(self, given: Given) -> float:
        """Return (number of right frame numbers - number of wrong ones) / number of true frame numbers, but at least 0.

        With `least`, return 1 or 0 (see Frames). Raises AnswerError for other text.
        """
        said = self.parse(given) - (set(self.beside) - set(self.value))
        right = said & set(self.value)
        if self.least is not None:
            return float(len(right) >= self.least and said <= set(self.value))
        return max(0.0, (len(right) - len(said - right)) / len(set(self.value)))

    def parse(self, given: Given) -> set[int]:
        """Parse an answer text to a set of frame numbers.

        Raises AnswerError for other text, and for more than LIST_MAX numbers.
        """
        said = " ".join(map(as_text, given)) if isinstance(given, list) else as_text(given)
        found: set[int] = set()
        for text in _FILLING.sub(" ", _RANGE_SIGN.sub("-", said)).split():
            between = _RANGE.match(text)
            if between is not None:
                low, high = int(between[1]), int(between[2])
                if high - low >= LIST_MAX:
                    raise AnswerError(f"more than {LIST_MAX} frames")
                found |= set(range(low, high + 1))
            elif text.isascii() and text.isdigit() and len(text) < 12:
                found.add(int(text))
            else:
                raise AnswerError(f"expected {self.form()}, not {_short(text)}")
            if len(found) > LIST_MAX:
                raise AnswerError(f"more than {LIST_MAX} frames")
        if not found:
            raise AnswerError(f"expected {self.form()}")
        return found

    def shown(self) -> str:
        """Return the true frame numbers as text."""
        return ", ".join(map(str, self.value))

    def form(self) -> str:
        """Return the expected format of one or several frame numbers as text."""
        return "a frame number" if len(self.value) == 1 else "frame numbers, for example 4, 7-9"


# Separators of the answers in a list that is written as text.
_SEPARATOR = re.compile(r"\s*(?:[,;]|->|=>|\u2192)\s*|\n")


@dataclass(frozen=True)
class Listing:
    """List of answers of one type as the true answer; `ordered`: the order matters.

    If a student gives more answers than the list has, each surplus answer cancels a right one.
    """

    value: tuple[Text | Address | Number, ...]
    ordered: bool = False

    def score(self, given: Given) -> float:
        """Return (number of right answers - number of surplus answers) / number of true answers, but at least 0.

        Raises AnswerError for more than LIST_MAX answers.
        """
        said = self.parts(given)
        if self.ordered:
            right = sum(one.score(part) for one, part in zip(self.value, said, strict=False))
        else:
            left = list(said)
            right = 0.0
            for one in self.value:
                match = next((part for part in left if _scores(one, part)), None)
                if match is not None:
                    left.remove(match)
                    right += 1
        surplus = max(0, len(said) - len(self.value))
        return max(0.0, (right - surplus) / len(self.value))

    def parts(self, given: Given) -> list[Given]:
        """Return the answers in a list, or in text split at commas, semicolons, arrows and line ends.

        A text of addresses alone is split at blanks as well.

        Raises AnswerError for more than LIST_MAX answers, and for a list inside of a list.
        """
        parts: Sequence[Given] = given if isinstance(given, list) else _SEPARATOR.split(as_text(given).strip())
        if len(parts) == 1 and isinstance(self.value[0], Address):
            words = as_text(parts[0]).split()
            parts = words if all(_address(word) is not None for word in words) else parts
        if len(parts) > LIST_MAX:
            raise AnswerError(f"more than {LIST_MAX} answers")
        return [part for part in parts if as_text(part).strip()]

    def shown(self) -> str:
        """Return the true answers as text."""
        return ", ".join(one.shown() for one in self.value)

    def form(self) -> str:
        """Return the expected format as text: whether the order matters, and the format of each answer."""
        return f"a list{' in order' if self.ordered else ''}, each {self.value[0].form()}"


def _scores(one: Answer, part: Given) -> bool:
    try:
        return one.score(part) == 1
    except AnswerError:
        return False


def as_text(given: Given) -> str:
    """Return a YAML scalar as text, with `yes` for true (YAML reads `yes` as true). Raises AnswerError for a list."""
    if isinstance(given, bool):
        return YES[not given]
    if given is None:
        return ""
    if isinstance(given, list):
        raise AnswerError("expected one answer, not a list")
    if len(str(given)) > TEXT_MAX:
        raise AnswerError(f"an answer has at most {TEXT_MAX} characters")
    return str(given)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
