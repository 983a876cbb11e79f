"""Requirements of RFC 9110 and RFC 9112 for a server: octets to send, and a property of the responses.

TARGET is a file of the ten octets 0123456789 that was last changed on Sun, 06 Nov 1994 08:49:37 GMT; /echo answers
any method with the request's content; {etag} stands for the file's entity tag.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.http.fields import parse_date
from tests.loopback.http.support import Answer, read_answers

Property = Callable[[bytes, list[Answer]], bool]
NOW = 2_000_000_000.0


@dataclass(frozen=True)
class Must:
    """A requirement: section, paraphrase, octets to send, and the property of the responses."""

    section: str
    sentence: str
    probe: bytes
    holds: Property
    methods: tuple[str, ...] = ()

    def check(self, octets: bytes) -> bool:
        """Return whether the responses have the property."""
        methods = self.methods or (self.probe.split(b" ", 1)[0].strip().decode("latin-1") or "GET",) * 9
        return self.holds(octets, read_answers(octets, methods))


def status(*allowed: int) -> Property:
    """Expect one final response, with one of these codes."""
    return lambda _, answers: len(answers) >= 1 and answers[0].status in allowed


def statuses(*expected: int) -> Property:
    """Expect exactly these final responses, in order."""
    return lambda _, answers: [answer.status for answer in answers] == list(expected)


def content(expected: bytes, code: int = 200) -> Property:
    """Expect one response with this code and content."""
    return lambda _, answers: len(answers) == 1 and (answers[0].status, answers[0].body) == (code, expected)


def field(name: str, expected: str) -> Property:
    """Expect a field with this value in the first response."""
    return lambda _, answers: answers[0].field(name) == expected


def has(name: str) -> Property:
    """Expect a field of this name in the first response."""
    return lambda _, answers: answers[0].field(name) is not None


def lacks(*names: str) -> Property:
    """Expect no field of these names in the first response."""
    return lambda _, answers: all(answers[0].field(name) is None for name in names)


def both(*properties: Property) -> Property:
    """Expect all of these properties."""
    return lambda octets, answers: all(holds(octets, answers) for holds in properties)


def starts(prefix: bytes) -> Property:
    """Expect this prefix."""
    return lambda octets, _: octets.startswith(prefix)


def date_is_fixdate(_: bytes, answers: list[Answer]) -> bool:
    """Expect one Date, in the preferred format of fixed length."""
    dates = answers[0].fields.get_all("Date") or []
    return len(dates) == 1 and len(dates[0]) == 29 and parse_date(dates[0].encode(), NOW) is not None


def not_later_than_date(_: bytes, answers: list[Answer]) -> bool:
    """Expect Last-Modified not later than Date."""
    modified, date = (parse_date((answers[0].field(name) or "").encode(), NOW) for name in ("Last-Modified", "Date"))
    return modified is not None and date is not None and modified <= date


def same_fields(_: bytes, answers: list[Answer]) -> bool:
    """Expect the same fields for HEAD and GET, except Date and Connection."""
    first, second = ({k: v for k, v in a.fields.items() if k not in ("Date", "Connection")} for a in answers[:2])
    return first == second and answers[0].body == b"" and len(answers[1].body) > 0


def framed(_: bytes, answers: list[Answer]) -> bool:
    """Expect Content-Length to equal the length of the content."""
    return answers[0].field("Content-Length") == str(len(answers[0].body))


def multipart(_: bytes, answers: list[Answer]) -> bool:
    """Expect two parts, each with Content-Range, and none in the header section."""
    answer = answers[0]
    return (
        answer.status == 206
        and (answer.field("Content-Type") or "").startswith("multipart/byteranges; boundary=")
        and answer.field("Content-Range") is None
        and answer.body.startswith(b"--")
        and answer.body.count(b"Content-Range: bytes ") == 2
    )


def get(*lines: bytes, target: bytes = b"/a.txt", method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """Return a request with Host and these field lines."""
    start = method + b" " + target + b" HTTP/" + version
    return b"\r\n".join((start, b"Host: a", *lines, b"", b""))


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a POST to the echo resource."""
    return get(*lines, target=b"/echo", method=b"POST") + body


CHUNKED = b"Transfer-Encoding: chunked"
OLD = b"Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = b"Sat, 05 Nov 1994 08:49:37 GMT"
LATER = b"Mon, 07 Nov 1994 08:49:37 GMT"
WHOLE = content(b"0123456789")
END = b"0\r\n\r\n"
