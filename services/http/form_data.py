r"""multipart/form-data, in which a browser sends forms with files (RFC 7578).

    parser = MultipartParser(b"b")
    parser.feed(b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\nbob\r\n--b--\r\n')
        # [PartHead("to", None, ""), PartData(b"bob"), PartEnd()]
    parser.finish()

Octets go in as they come, events come out; who makes a mistake gets HTTPError 400, who sends too much 413. A name or a
file name may hold %0D, %0A and %22 for what cannot stand in quotes, as browsers write them; `filename*` is not read
(RFC 7578 section 4.2), and a Content-Transfer-Encoding that changes octets is refused (section 4.7).
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from services.http.errors import HTTPError
from services.http.syntax import TCHAR

# RFC 2046 section 5.1.1: 1 to 70 characters.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# Parts of one form: this project's longest has two hundred fields.
PARTS_MAX = 500
# The header of one part: a name, and a file's name of 255 octets with three for each.
PART_HEADER_OCTETS = 4096
# What stands before the first delimiter, or blanks behind one, which no browser sends.
PADDING_OCTETS = 1024

_FIELD_LINE = re.compile(rb"(" + TCHAR + rb"+):([^\r\n\x00]*)\r\n")
_DISPOSITION = re.compile(rb"form-data(?=[ \t]*(?:;|$))", re.IGNORECASE)
# A backslash stands for itself but before a quotation mark or another one: browsers write C:\a.txt as it is.
_QUOTED = rb'"(?:[^"\\\r\n]|\\.)*+"'
_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(" + TCHAR + rb"+)=(" + _QUOTED + rb"|" + TCHAR + rb"+)")
_ESCAPED = re.compile(rb'\\(["\\])')
_PERCENT = re.compile(rb"%(0[DdAa]|22)")
_UNCHANGED = (b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part begins; `file_name` is None where it is no file."""

    name: str
    file_name: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of its content."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


PartEvent = PartHead | PartData | PartEnd


class _Where(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()
    HEADER = auto()
    EMPTY_LINE = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Reads one form with this boundary."""

    def __init__(self, boundary: bytes) -> None:
        if _BOUNDARY.fullmatch(boundary) is None:
            raise HTTPError(400, "the boundary of the form is none")
        # RFC 2046 section 5.1.1: the line end before a delimiter belongs to it; the first may have none.
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")
        self._where = _Where.PREAMBLE
        self._parts = 0

    def feed(self, data: bytes) -> list[PartEvent]:
        """Take octets and return what they complete; raises HTTPError."""
        self._buffer += data
        events: list[PartEvent] = []
        while self._step(events):
            pass
        return events

    def finish(self) -> None:
        """Take note that no more comes; raises HTTPError where the form is not complete."""
        if self._where is not _Where.EPILOGUE:
            raise HTTPError(400, "the form breaks off")

    def _step(self, events: list[PartEvent]) -> bool:
        """Whether to go on with what is left."""
        if self._where is _Where.PREAMBLE:
            return self._preamble()
        if self._where is _Where.DELIMITER:
            return self._delimiter_end()
        if self._where is _Where.HEADER:
            return self._header(events)
        if self._where is _Where.EMPTY_LINE:
            return self._empty_line(events)
        if self._where is _Where.CONTENT:
            return self._content(events)
        # RFC 2046 section 5.1.1: the epilogue is ignored.
        self._buffer.clear()
        return False

    def _preamble(self) -> bool:
        found = self._buffer.find(self._delimiter)
        if found > PADDING_OCTETS or (found < 0 and len(self._buffer) > PADDING_OCTETS + len(self._delimiter)):
            raise HTTPError(400, "the form does not begin with its boundary")
        if found < 0:
            return False
        del self._buffer[: found + len(self._delimiter)]
        self._where = _Where.DELIMITER
        return True

    def _delimiter_end(self) -> bool:
        """Behind a delimiter: `--` for the last one, else blanks and the end of the line."""
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._where = _Where.EPILOGUE
            return True
        end = self._buffer.find(b"\r\n", 0, PADDING_OCTETS)
        padding = bytes(self._buffer[: end if end >= 0 else PADDING_OCTETS])
        if padding.removesuffix(b"\r").strip(b" \t"):
            raise HTTPError(400, "something follows a boundary of the form")
        if end < 0:
            if len(self._buffer) >= PADDING_OCTETS:
                raise HTTPError(400, "blanks without end follow a boundary of the form")
            return False
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise HTTPError(413, f"the form has more than {PARTS_MAX} parts")
        del self._buffer[: end + 2]
        self._where = _Where.HEADER
        return True

    def _header(self, events: list[PartEvent]) -> bool:
        # A header of no lines ends at once.
        end = 0 if self._buffer.startswith(b"\r\n") else self._buffer.find(b"\r\n\r\n", 0, PART_HEADER_OCTETS) + 2
        if end == 1:
            if len(self._buffer) >= PART_HEADER_OCTETS:
                raise HTTPError(413, f"the header of a part is longer than {PART_HEADER_OCTETS} octets")
            return False
        events.append(_part_head(bytes(self._buffer[:end])))
        del self._buffer[:end]
        self._where = _Where.EMPTY_LINE
        return True

    def _empty_line(self, events: list[PartEvent]) -> bool:
        """RFC 2046 section 5.1.1: a part without a body has no empty line, and what looks like it is a delimiter's."""
        begin = self._buffer[: len(self._delimiter)]
        if len(begin) < len(self._delimiter) and self._delimiter.startswith(begin):
            return False
        if begin == self._delimiter:
            self._end_part(events, 0)
        else:
            del self._buffer[:2]
            self._where = _Where.CONTENT
        return True

    def _content(self, events: list[PartEvent]) -> bool:
        found = self._buffer.find(self._delimiter)
        # What may be the beginning of a delimiter is kept back.
        end = found if found >= 0 else max(len(self._buffer) - len(self._delimiter) + 1, 0)
        if end:
            events.append(PartData(bytes(self._buffer[:end])))
        if found < 0:
            del self._buffer[:end]
            return False
        self._end_part(events, found)
        return True

    def _end_part(self, events: list[PartEvent], found: int) -> None:
        events.append(PartEnd())
        del self._buffer[: found + len(self._delimiter)]
        self._where = _Where.DELIMITER


def _part_head(lines: bytes) -> PartHead:
    """RFC 7578 section 4.2: each part says its name."""
    fields = _fields(lines)
    if fields.get(b"content-transfer-encoding", b"binary").lower() not in _UNCHANGED:
        raise HTTPError(400, "a part of the form is encoded, which no form is")
    value = fields.get(b"content-disposition", b"")
    kind = _DISPOSITION.match(value)
    if kind is None:
        raise HTTPError(400, "a part of the form has no Content-Disposition: form-data")
    parameters = _parameters(value[kind.end() :])
    if b"name" not in parameters:
        raise HTTPError(400, "a part of the form has no name")
    file_name = parameters.get(b"filename")
    content_type = fields.get(b"content-type", b"").decode("ascii", "replace")
    return PartHead(_text(parameters[b"name"]), None if file_name is None else _text(file_name), content_type)


def _fields(lines: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(lines):
        line = _FIELD_LINE.match(lines, place)
        if line is None:
            raise HTTPError(400, "the header of a part of the form is no header")
        fields.setdefault(line[1].lower(), line[2].strip(b" \t"))
        place = line.end()
    return fields


def _parameters(octets: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    place = 0
    while place < len(octets):
        parameter = _PARAMETER.match(octets, place)
        if parameter is None:
            raise HTTPError(400, "a Content-Disposition of the form cannot be read")
        parameters.setdefault(parameter[1].lower(), unquoted(parameter[2]))
        place = parameter.end()
    return parameters


def unquoted(value: bytes) -> bytes:
    """Return what a token or a quoted string stands for."""
    return _ESCAPED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value


def _text(octets: bytes) -> str:
    """RFC 7578 section 5.1.2: UTF-8, as the pages are that hold the forms."""
    return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), octets).decode("utf-8", "replace")
