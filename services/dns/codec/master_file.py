"""Master files: the records of a zone as text, read with the place of each, and written again.

    $ORIGIN example.com.
    $TTL 1h
    @       SOA  ns hostmaster ( 1 1d 2h 4w 5m )
            NS   ns
    ns      A    192.0.2.1
    *.dev   IN 30m CNAME www

RFC 1035 section 5 (5.1: TTL and class in either order, both optional), RFC 2308 section 4 ($TTL), RFC 3597 section 5.
An $INCLUDE stays in the folder of the first file. Left out: BIND's $GENERATE, which no RFC has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.dns.codec.codes import META_TYPES, RRClass, class_from_text, class_to_text, type_from_text, type_to_text
from services.dns.codec.errors import MasterFileError, TextError
from services.dns.codec.lexer import LexError, Line, Tokens, lex
from services.dns.codec.name import Name
from services.dns.codec.rdata import SOA, rdata_from_tokens
from services.dns.codec.records import Record, RRset
from services.dns.codec.ttl import is_ttl, ttl_from_text

# Files within files; BIND's own reader has no bound and fails by running out of descriptors.
INCLUDE_DEPTH_MAX = 8
# One file; a lab's zones are a few KiB, and the largest that fits is far beyond what Python serves with pleasure.
FILE_OCTETS_MAX = 64 * 1024 * 1024
# Names as they were written that are remembered with what they mean: an owner is mostly repeated soon.
NAMES_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and where it stands."""

    record: Record
    file: str
    line: int

    def error(self, detail: str) -> MasterFileError:
        """Return an error that points here."""
        return MasterFileError(self.file, self.line, detail)


def read_master_file(path: Path, origin: Name | None = None) -> list[Entry]:
    """Read a file and those that it includes; raises MasterFileError.

    `origin` is what relative names end in until $ORIGIN says otherwise; without either they are an error.
    """
    return list(_Reader(path.parent.resolve()).read(path, origin, 0))


def parse_master_file(text: str, origin: Name | None = None, file: str = "zone") -> list[Entry]:
    """Read text that includes no file; raises MasterFileError, which calls the text `file`."""
    return list(_Reader(None).parse(text, file, origin, 0))


class _Reader:
    """What holds from one line to the next (RFC 1035 section 5.1): owner, TTL, class; files of one folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._owner: Name | None = None
        self._default_ttl: int | None = None
        self._last_ttl: int | None = None
        self._class: int | None = None
        self._names: dict[tuple[str, Name | None], Name] = {}

    def read(self, path: Path, origin: Name | None, depth: int) -> Iterator[Entry]:
        try:
            with path.open("rb") as stream:
                data = stream.read(FILE_OCTETS_MAX + 1)
        except OSError as error:
            raise MasterFileError(str(path), 0, f"cannot be read ({error.strerror})") from error
        if len(data) > FILE_OCTETS_MAX:
            raise MasterFileError(str(path), 0, f"has more than {FILE_OCTETS_MAX} octets")
        yield from self.parse(data.decode("latin-1"), str(path), origin, depth)

    def parse(self, text: str, file: str, origin: Name | None, depth: int) -> Iterator[Entry]:
        try:
            for line in lex(text):
                try:
                    if not line.indented and line.tokens[0].text.startswith("$") and not line.tokens[0].quoted:
                        included, origin = self._directive(line, file, origin, depth)
                        yield from included
                    else:
                        yield Entry(self._record(line, origin), file, line.number)
                except TextError as error:
                    raise MasterFileError(file, line.number, str(error)) from error
        except LexError as error:
            raise MasterFileError(file, error.line, str(error)) from error

    def _directive(self, line: Line, file: str, origin: Name | None, depth: int) -> tuple[Iterable[Entry], Name | None]:
        """Obey one directive; returns the entries that it stands for and the origin from here on."""
        tokens = Tokens(line.tokens, origin)
        verb = tokens.take("a directive").text.upper()
        included: Iterable[Entry] = ()
        if verb == "$ORIGIN":
            origin = tokens.name("the origin")
        elif verb == "$TTL":
            self._default_ttl = ttl_from_text(tokens.take("the TTL").text)
        elif verb == "$INCLUDE":
            # RFC 1035 section 5.1: the origin of the including file stays what it was.
            name = tokens.octets("the file").decode("latin-1")
            included = self._include(name, file, tokens.name("the origin") if len(tokens) else origin, depth)
        else:
            raise TextError(f"{verb} is no directive: $ORIGIN, $TTL and $INCLUDE are")
        tokens.finish()
        return included, origin

    def _include(self, name: str, file: str, origin: Name | None, depth: int) -> Iterator[Entry]:
        if self._folder is None:
            raise TextError("$INCLUDE needs a zone that is a file")
        if depth >= INCLUDE_DEPTH_MAX:
            raise TextError(f"files include each other more than {INCLUDE_DEPTH_MAX} deep")
        path = (Path(file).parent / name).resolve()
        if not path.is_relative_to(self._folder):
            raise TextError(f"{name!r} lies outside the zone's folder")
        owner = self._owner
        yield from self.read(path, origin, depth + 1)
        self._owner = owner

    def _record(self, line: Line, origin: Name | None) -> Record:
        tokens = Tokens(line.tokens, origin)
        if not line.indented:
            self._owner = self._name(tokens, origin)
        if self._owner is None:
            raise TextError("the first record has no owner name")
        ttl, rclass, rtype = self._ttl_class_type(tokens)
        rdata = rdata_from_tokens(rtype, rclass, tokens)
        if ttl is None:
            # RFC 2308 section 4: $TTL; before it, RFC 1035 section 5.1: the last one stated. Every server takes a
            # lone SOA's minimum, which is what it meant before RFC 2308.
            ttl = self._default_ttl if self._default_ttl is not None else self._last_ttl
            if ttl is None and isinstance(rdata, SOA):
                ttl = rdata.minimum
            if ttl is None:
                raise TextError("the record has no TTL, and no $TTL stands before it")
        self._last_ttl = ttl
        return Record(self._owner, rtype, rclass, ttl, rdata)

    def _name(self, tokens: Tokens, origin: Name | None) -> Name:
        key = (line_start.text, origin) if (line_start := tokens.peek()) else ("", origin)
        known = self._names.get(key)
        if known is not None:
            tokens.take("the owner name")
            return known
        name = tokens.name("the owner name")
        if len(self._names) < NAMES_REMEMBERED:
            self._names[key] = name
        return name

    def _ttl_class_type(self, tokens: Tokens) -> tuple[int | None, int, int]:
        """RFC 1035 section 5.1: TTL and class in either order before the type, each at most once."""
        ttl: int | None = None
        rclass: int | None = None
        while True:
            word = tokens.take("the type").text
            if ttl is None and is_ttl(word):
                ttl = ttl_from_text(word)
            elif rclass is None and _is_class(word):
                rclass = class_from_text(word)
            else:
                break
        rtype = type_from_text(word)
        if rtype in META_TYPES or rtype == 0:
            raise TextError(f"{word} is a type of questions, not of records")
        # RFC 1035 section 5.2: all records of a file are of one class.
        if rclass is None:
            rclass = self._class or RRClass.IN
        if self._class not in (None, rclass):
            raise TextError(f"class {class_to_text(rclass)} follows records of another")
        self._class = rclass
        return ttl, rclass, rtype


def _is_class(word: str) -> bool:
    upper = word.upper()
    return upper in ("IN", "CH", "HS") or (upper.startswith("CLASS") and upper[5:].isdigit())


def write_master_file(origin: Name, rrsets: Iterable[RRset]) -> str:
    """Return a master file with these sets, owners relative to `origin`, in the order given."""
    lines = [f"$ORIGIN {origin}"]
    for rrset in rrsets:
        kind = f"{rrset.ttl} {class_to_text(rrset.rclass)} {type_to_text(rrset.rtype)}"
        owner = _relative(rrset.name, origin)
        lines += [f"{owner} {kind} {rdata.to_text()}" for rdata in rrset.rdatas]
    return "\n".join(lines) + "\n"


def _relative(name: Name, origin: Name) -> str:
    if name == origin:
        return "@"
    if len(origin) == 0 or not name.is_below(origin):
        return name.to_text()
    return Name(name.labels[: len(name) - len(origin)]).to_text()[:-1]
