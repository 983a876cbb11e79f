"""HTML form submissions: application/x-www-form-urlencoded and multipart/form-data (RFC 7578).

    parser = FormParser(b"application/x-www-form-urlencoded")
    parser.feed(b"to=bob%40example.com&subject=Hello+Bob")
    parser.finish().get("subject") == "Hello Bob"

The content is parsed as it arrives. Text is decoded as UTF-8, with U+FFFD for invalid octets. A malformed form raises
HTTPError 400, a form beyond the limits 413, another media type 415.

In the field and file names of multipart/form-data, %0D, %0A and %22 are decoded: browsers encode CR, LF and quotation
marks in this way. Left out: `filename*` (RFC 7578 section 4.2 forbids it), and Content-Transfer-Encoding (section 4.7
deprecates it): a part with a value other than 7bit, 8bit and binary is rejected.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import parse_qsl

from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import QUOTED_STRING, TCHAR

# Maximum number of fields of a form, 413 beyond it: a list of 50 messages with check boxes has about sixty.
FIELDS_MAX = 500
# Maximum size of all fields of a form without its files, 413 beyond it: the text of a long message.
FIELD_OCTETS = 4 * 1024 * 1024

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
_TOKEN = TCHAR + rb"+"
_MEDIA_TYPE = re.compile(rb"(%b/%b)[ \t]*" % (_TOKEN, _TOKEN))
_MEDIA_TYPE_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(%b)=(%b|%b)[ \t]*" % (_TOKEN, QUOTED_STRING, _TOKEN))

# RFC 2046 section 5.1.1: a boundary has 1 to 70 characters and does not end with a space.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# Maximum number of parts of a form, 413 beyond it: the longest form of this project has two hundred fields.
PARTS_MAX = 500
# Maximum header of a part, 413 beyond it: a field name, and a file name of 255 octets, both percent-encoded.
PART_HEADER_OCTETS = 4096
# Maximum octets before the first delimiter, and of padding after a delimiter; browsers send neither.
PADDING_OCTETS = 1024

_FIELD_LINE = re.compile(rb"(" + TCHAR + rb"+):([^\r\n\x00]*)\r\n")
_DISPOSITION = re.compile(rb"form-data(?=[ \t]*(?:;|$))", re.IGNORECASE)
# In a quoted string, a backslash escapes only a quotation mark or a backslash: browsers send C:\a.txt as it is.
_QUOTED = rb'"[^"\\\r\n]*+(?>(?:\\.[^"\\\r\n]*+)*)"'
_DISPOSITION_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(" + TCHAR + rb"+)=(" + _QUOTED + rb"|" + TCHAR + rb"+)")
_ESCAPED = re.compile(rb'\\(["\\])')
_PERCENT = re.compile(rb"%(0[DdAa]|22)")
_UNCHANGED = (b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class FormFile:
    """An uploaded file: name of the form field, file name and media type as sent by the browser, and content."""

    field_name: str
    file_name: str
    content_type: str
    content: bytes


@dataclass
class Form:
    """Fields and files of a submitted form, in order."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[FormFile] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return the value of the first field with this name; an empty string if there is none."""
        return next((value for field_name, value in self.fields if field_name == name), "")

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields with this name, in order."""
        return [value for field_name, value in self.fields if field_name == name]


def media_type(value: bytes | None) -> tuple[bytes, dict[bytes, bytes]]:
    """Parse a Content-Type into media type and parameters, with names in lower case; raises HTTPError 415."""
    match = _MEDIA_TYPE.match(value or b"")
    if value is None or match is None:
        raise HTTPError(415, "the Content-Type field is missing or invalid")
    parameters: dict[bytes, bytes] = {}
    offset = match.end()
    while offset < len(value):
        parameter = _MEDIA_TYPE_PARAMETER.match(value, offset)
        if parameter is None:
            raise HTTPError(415, "the parameters of Content-Type are invalid")
        parameters.setdefault(parameter[1].lower(), unquote_string(parameter[2]))
        offset = parameter.end()
    return match[1].lower(), parameters


def url_fields(octets: bytes) -> list[tuple[str, str]]:
    """Parse application/x-www-form-urlencoded octets, of a query or a form, into a list of (name, value) pairs.

    Raises HTTPError 413 if there are too many pairs.
    """
    try:
        return parse_qsl(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise HTTPError(413, f"the form has more than {FIELDS_MAX} fields") from None


@dataclass(frozen=True, slots=True)
class PartHead:
    """Event of MultipartParser: the header of a part; `file_name` is None unless the part is a file."""

    name: str
    file_name: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class PartData:
    """Event of MultipartParser: a piece of a part's content."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """Event of MultipartParser: the end of a part's content."""


PartEvent = PartHead | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()
    HEADER = auto()
    EMPTY_LINE = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Incremental parser of one multipart/form-data form (RFC 7578).

    parser = MultipartParser(b"b")
    parser.feed(b'--b\\r\\nContent-Disposition: form-data; name="to"\\r\\n\\r\\nbob\\r\\n--b--\\r\\n')
            == [PartHead("to", None, ""), PartData(b"bob"), PartEnd()]
    parser.finish()
    """

    def __init__(self, boundary: bytes) -> None:
        if _BOUNDARY.fullmatch(boundary) is None:
            raise HTTPError(400, "the multipart boundary is missing or invalid")
        # RFC 2046 section 5.1.1: a delimiter includes the line end before it, which the first delimiter may lack.
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._parts = 0

    def feed(self, data: bytes) -> list[PartEvent]:
        """Parse octets of the form and return events; raises HTTPError 400 or 413."""
        self._buffer += data
        events: list[PartEvent] = []
        while self._step(events):
            pass
        return events

    def finish(self) -> None:
        """Handle the end of the content; raises HTTPError 400 if the closing delimiter is missing."""
        if self._state is not _State.EPILOGUE:
            raise HTTPError(400, "the form ends before its closing boundary")

    def _step(self, events: list[PartEvent]) -> bool:
        """Parse the next element of the form and append its events; return True if another one may follow."""
        if self._state is _State.PREAMBLE:
            return self._preamble()
        if self._state is _State.DELIMITER:
            return self._delimiter_end()
        if self._state is _State.HEADER:
            return self._header(events)
        if self._state is _State.EMPTY_LINE:
            return self._empty_line(events)
        if self._state is _State.CONTENT:
            return self._content(events)
        # RFC 2046 section 5.1.1: the epilogue, after the last delimiter, is ignored.
        self._buffer.clear()
        return False

    def _preamble(self) -> bool:
        position = self._buffer.find(self._delimiter)
        if position > PADDING_OCTETS or (position < 0 and len(self._buffer) > PADDING_OCTETS + len(self._delimiter)):
            raise HTTPError(400, "the form does not begin with its boundary")
        if position < 0:
            return False
        del self._buffer[: position + len(self._delimiter)]
        self._state = _State.DELIMITER
        return True

    def _delimiter_end(self) -> bool:
        """Parse the rest of a delimiter line: `--` after the last part, else padding and CRLF.

        Returns False while the line is incomplete.
        """
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._state = _State.EPILOGUE
            return True
        end = self._buffer.find(b"\r\n", 0, PADDING_OCTETS)
        padding = bytes(self._buffer[: end if end >= 0 else PADDING_OCTETS])
        if padding.removesuffix(b"\r").strip(b" \t"):
            raise HTTPError(400, "a multipart boundary is followed by other characters on its line")
        if end < 0:
            if len(self._buffer) >= PADDING_OCTETS:
                raise HTTPError(400, "the line of a multipart boundary is too long")
            return False
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise HTTPError(413, f"the form has more than {PARTS_MAX} parts")
        del self._buffer[: end + 2]
        self._state = _State.HEADER
        return True

    def _header(self, events: list[PartEvent]) -> bool:
        # A part header without lines is only the CRLF of its empty line.
        end = 0 if self._buffer.startswith(b"\r\n") else self._buffer.find(b"\r\n\r\n", 0, PART_HEADER_OCTETS) + 2
        if end == 1:
            if len(self._buffer) >= PART_HEADER_OCTETS:
                raise HTTPError(413, f"the header of a part is longer than {PART_HEADER_OCTETS} octets")
            return False
        events.append(_part_head(bytes(self._buffer[:end])))
        del self._buffer[:end]
        self._state = _State.EMPTY_LINE
        return True

    def _empty_line(self, events: list[PartEvent]) -> bool:
        """Parse the empty line between a part's header and content.

        If the part is empty, the delimiter may follow directly.
        """
        begin = self._buffer[: len(self._delimiter)]
        if len(begin) < len(self._delimiter) and self._delimiter.startswith(begin):
            return False
        if begin == self._delimiter:
            self._end_part(events, 0)
        else:
            del self._buffer[:2]
            self._state = _State.CONTENT
        return True

    def _content(self, events: list[PartEvent]) -> bool:
        position = self._buffer.find(self._delimiter)
        # The last octets of the buffer may be the start of a delimiter, so keep these octets in the buffer.
        end = position if position >= 0 else max(len(self._buffer) - len(self._delimiter) + 1, 0)
        if end:
            events.append(PartData(bytes(self._buffer[:end])))
        if position < 0:
            del self._buffer[:end]
            return False
        self._end_part(events, position)
        return True

    def _end_part(self, events: list[PartEvent], position: int) -> None:
        events.append(PartEnd())
        del self._buffer[: position + len(self._delimiter)]
        self._state = _State.DELIMITER


def _part_head(lines: bytes) -> PartHead:
    """Parse the header section of a form's part into a PartHead; the parameter `name` is required (RFC 7578 4.2)."""
    fields = _fields(lines)
    if fields.get(b"content-transfer-encoding", b"binary").lower() not in _UNCHANGED:
        raise HTTPError(
            400, "a part of the form has a Content-Transfer-Encoding, which is not supported (RFC 7578 section 4.7)"
        )
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
    offset = 0
    while offset < len(lines):
        line = _FIELD_LINE.match(lines, offset)
        if line is None:
            raise HTTPError(400, "a part of the form has an invalid header field")
        fields.setdefault(line[1].lower(), line[2].strip(b" \t"))
        offset = line.end()
    return fields


def _parameters(octets: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    offset = 0
    while offset < len(octets):
        parameter = _DISPOSITION_PARAMETER.match(octets, offset)
        if parameter is None:
            raise HTTPError(400, "a part of the form has an invalid Content-Disposition field")
        parameters.setdefault(parameter[1].lower(), unquote_string(parameter[2]))
        offset = parameter.end()
    return parameters


def unquote_string(value: bytes) -> bytes:
    """Decode a token or a quoted string into its value."""
    return _ESCAPED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value


def _text(octets: bytes) -> str:
    """Decode a name as UTF-8, the charset of the pages that contain the forms (RFC 7578 section 5.1.2)."""
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), octets).decode("utf-8", "replace")


class FormParser:
    """Incremental parser of a submitted form: application/x-www-form-urlencoded or multipart/form-data."""

    def __init__(self, content_type: bytes | None) -> None:
        kind, parameters = media_type(content_type)
        if kind not in (URLENCODED, MULTIPART):
            raise HTTPError(415, f"the Content-Type of a form must be {URLENCODED.decode()} or {MULTIPART.decode()}")
        self._parser = MultipartParser(parameters.get(b"boundary", b"")) if kind == MULTIPART else None
        self._form = Form()
        self._head: PartHead | None = None
        self._pieces: list[bytes] = []
        self._field_octets = 0

    def feed(self, data: bytes) -> None:
        """Parse octets of the form; raises HTTPError 400 or 413."""
        if self._parser is None:
            self._buffer_content(data)
            return
        for event in self._parser.feed(data):
            self._handle(event)

    def finish(self) -> Form:
        """Return the complete form; raises HTTPError 400 if it is incomplete."""
        if self._parser is None:
            self._form.fields = url_fields(b"".join(self._pieces))
        else:
            self._parser.finish()
        return self._form

    def _buffer_content(self, data: bytes) -> None:
        if self._head is None or self._head.file_name is None:
            self._field_octets += len(data)
            if self._field_octets > FIELD_OCTETS:
                raise HTTPError(413, f"the fields of the form are longer than {FIELD_OCTETS} octets")
        self._pieces.append(data)

    def _handle(self, event: PartEvent) -> None:
        if isinstance(event, PartHead):
            self._head = event
        elif isinstance(event, PartData):
            self._buffer_content(event.data)
        elif self._head is not None:
            content = b"".join(self._pieces)
            self._pieces.clear()
            self._add(self._head, content)

    def _add(self, head: PartHead, content: bytes) -> None:
        if head.file_name is None:
            self._form.fields.append((head.name, content.decode("utf-8", "replace")))
        elif head.file_name or content:
            # Skip a file input without a chosen file, for which browsers send an empty file without a name.
            self._form.files.append(FormFile(head.name, head.file_name, head.content_type, content))
