"""Forms that a browser sends: their fields and files, in either of the two media types of HTML.

    reader = FormReader(b"application/x-www-form-urlencoded")
    reader.feed(b"to=bob%40example.com&subject=Hello+Bob")
    reader.finish().get("subject") == "Hello Bob"

Text is UTF-8, as the pages are that hold the forms; what is none becomes U+FFFD. A mistake earns HTTPError 400, too
much 413, and another media type 415.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from services.http.errors import HTTPError
from services.http.form_data import MultipartParser, PartData, PartEvent, PartHead, unquoted
from services.http.syntax import QUOTED_STRING, TCHAR

# Fields of a form: a list of 50 messages to tick has some sixty.
FIELDS_MAX = 500
# What is no file, taken together: the text of a long letter.
FIELD_OCTETS = 4 * 1024 * 1024

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
_TOKEN = TCHAR + rb"+"
_MEDIA_TYPE = re.compile(rb"(%b/%b)[ \t]*" % (_TOKEN, _TOKEN))
_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(%b)=(%b|%b)[ \t]*" % (_TOKEN, QUOTED_STRING, _TOKEN))


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form: the field that it is for, its name there, the type that the browser says, the octets."""

    field_name: str
    file_name: str
    content_type: str
    content: bytes


@dataclass
class Form:
    """Fields and files in their order."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[FormFile] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return the first field of this name, empty where there is none."""
        return next((value for own, value in self.fields if own == name), "")

    def get_all(self, name: str) -> list[str]:
        """Return all fields of this name."""
        return [value for own, value in self.fields if own == name]


def media_type(value: bytes | None) -> tuple[bytes, dict[bytes, bytes]]:
    """Return a Content-Type's media type and parameters, names in lower case; raises HTTPError 415 where it is none."""
    found = _MEDIA_TYPE.match(value or b"")
    if value is None or found is None:
        raise HTTPError(415, "the content has no media type")
    parameters: dict[bytes, bytes] = {}
    place = found.end()
    while place < len(value):
        parameter = _PARAMETER.match(value, place)
        if parameter is None:
            raise HTTPError(415, "the content's media type cannot be read")
        parameters.setdefault(parameter[1].lower(), unquoted(parameter[2]))
        place = parameter.end()
    return found[1].lower(), parameters


def url_fields(octets: bytes) -> list[tuple[str, str]]:
    """Return the fields of a query or of a form in that form; raises HTTPError 413."""
    try:
        return parse_qsl(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise HTTPError(413, f"the form has more than {FIELDS_MAX} fields") from None


class FormReader:
    """Takes a request's content as it comes."""

    def __init__(self, content_type: bytes | None) -> None:
        kind, parameters = media_type(content_type)
        if kind not in (URLENCODED, MULTIPART):
            raise HTTPError(415, "the content is no form")
        self._parser = MultipartParser(parameters.get(b"boundary", b"")) if kind == MULTIPART else None
        self._form = Form()
        self._head: PartHead | None = None
        self._pieces: list[bytes] = []
        self._field_octets = 0

    def feed(self, data: bytes) -> None:
        """Take octets; raises HTTPError."""
        if self._parser is None:
            self._keep(data)
            return
        for event in self._parser.feed(data):
            self._take(event)

    def finish(self) -> Form:
        """Return the form, which is complete; raises HTTPError where it is not."""
        if self._parser is None:
            self._form.fields = url_fields(b"".join(self._pieces))
        else:
            self._parser.finish()
        return self._form

    def _keep(self, data: bytes) -> None:
        if self._head is None or self._head.file_name is None:
            self._field_octets += len(data)
            if self._field_octets > FIELD_OCTETS:
                raise HTTPError(413, f"the fields of the form are longer than {FIELD_OCTETS} octets")
        self._pieces.append(data)

    def _take(self, event: PartEvent) -> None:
        if isinstance(event, PartHead):
            self._head = event
        elif isinstance(event, PartData):
            self._keep(event.data)
        elif self._head is not None:
            content = b"".join(self._pieces)
            self._pieces.clear()
            self._add(self._head, content)

    def _add(self, head: PartHead, content: bytes) -> None:
        if head.file_name is None:
            self._form.fields.append((head.name, content.decode("utf-8", "replace")))
        elif head.file_name or content:
            # A browser sends a nameless file of no octets for a choice of none.
            self._form.files.append(FormFile(head.name, head.file_name, head.content_type, content))
