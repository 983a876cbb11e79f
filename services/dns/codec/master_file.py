"""Master files: parser with file and line of each record, and writer.

    $ORIGIN example.com.
    $TTL 1h
    @       SOA  ns hostmaster ( 1 1d 2h 4w 5m )
            NS   ns
    ns      A    192.0.2.1
    *.dev   IN 30m CNAME www

RFC 1035 section 5 (5.1: TTL and class in either order, both optional), RFC 2308 section 4 ($TTL), RFC 3597 section 5.
An included file must be in the folder of the first file or below. $GENERATE is an extension of BIND (generate.py).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab7.services.dns.codec.codes import (
    META_TYPES,
    RRClass,
    class_from_text,
    class_to_text,
    type_from_text,
    type_to_text,
)
from lab7.services.dns.codec.errors import MasterFileError, TextError
from lab7.services.dns.codec.generate import generated
from lab7.services.dns.codec.lexer import LexError, Line, Tokens, lex
from lab7.services.dns.codec.message import Record, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import SOA, rdata_from_tokens
from lab7.services.dns.codec.ttl import TTL_MAX, U32_MAX, is_ttl, ttl_from_text

# Maximum nesting depth of $INCLUDE; BIND has no bound, and fails when it runs out of file descriptors.
INCLUDE_DEPTH_MAX = 8
# Maximum size of a master file in octets; zones of an emulated network have a few KiB.
FILE_OCTETS_MAX = 64 * 1024 * 1024
# Maximum number of parsed owner names in the cache; successive records mostly share their owner.
NAMES_MAX = 4096

# Callback for warnings: takes a message (`file:line: ...`) about a mistake that does not prevent loading the zone.
Warn = Callable[[str], None]


def no_warning(_: str) -> None:
    """Ignore a warning; the default for parameters of type Warn, which are callbacks for warnings."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with the file name and line number from which it was parsed."""

    record: Record
    file: str
    line: int

    def error(self, detail: str) -> MasterFileError:
        """Return a MasterFileError that names this entry's file and line."""
        return MasterFileError(self.file, self.line, detail)


def read_master_file(path: Path, origin: Name | None = None, warn: Warn = no_warning) -> list[Entry]:
    """Parse a master file and the files that it includes; return the records as entries.

    Raises MasterFileError. Relative names before the first $ORIGIN are completed with `origin`; if it is None, such a
    name is an error.
    """
    return list(_Parser(path.parent.resolve(), warn).read(path, origin, 0))


def parse_master_file(text: str, origin: Name | None = None, file: str = "zone") -> list[Entry]:
    """Parse the text of a master file; return its records as entries (record, file, line). $INCLUDE is an error.

    Raises MasterFileError, whose message names the file `file`.
    """
    return list(_Parser(None, no_warning).parse(text, file, origin, 0))


class _Parser:
    """Parser of master files; a line without owner, TTL or class gets the previous one (RFC 1035 section 5.1)."""

    def __init__(self, folder: Path | None, warn: Warn) -> None:
        self._folder = folder
        self._warn = warn
        self._owner: Name | None = None
        self._default_ttl: int | None = None
        self._last_ttl: int | None = None
        self._class: int | None = None
        self._names: dict[tuple[str, Name | None], Name] = {}
        # `file:line` of the record being parsed, for warnings.
        self._place = ""

    def read(self, path: Path, origin: Name | None, depth: int) -> Iterator[Entry]:
        try:
            with path.open("rb") as stream:
                data = stream.read(FILE_OCTETS_MAX + 1)
        except OSError as error:
            raise MasterFileError(str(path), 0, f"cannot read ({error.strerror})") from error
        if len(data) > FILE_OCTETS_MAX:
            raise MasterFileError(str(path), 0, f"larger than {FILE_OCTETS_MAX} octets")
        yield from self.parse(data.decode("latin-1"), str(path), origin, depth)

    def parse(self, text: str, file: str, origin: Name | None, depth: int) -> Iterator[Entry]:
        try:
            for line in lex(text):
                self._place = f"{file}:{line.number}"
                try:
                    if not line.indented and line.tokens[0].text.startswith("$") and not line.tokens[0].quoted:
                        included, origin = self._directive(line, file, origin, depth)
                        yield from included
                    else:
                        yield self._entry(line, file, origin)
                except TextError as error:
                    raise MasterFileError(file, line.number, str(error)) from error
        except LexError as error:
            raise MasterFileError(file, error.line, str(error)) from error

    def _directive(self, line: Line, file: str, origin: Name | None, depth: int) -> tuple[Iterable[Entry], Name | None]:
        """Process a directive such as $INCLUDE; return (entries to include, origin for the lines that follow)."""
        tokens = Tokens(line.tokens, origin)
        verb = tokens.token("a directive").text.upper()
        included: Iterable[Entry] = ()
        if verb == "$ORIGIN":
            origin = tokens.name("the origin")
        elif verb == "$TTL":
            self._default_ttl = self._ttl(tokens.token("the TTL").text)
        elif verb == "$GENERATE":
            return self._generate(line, file, origin), origin
        elif verb == "$INCLUDE":
            # RFC 1035 section 5.1: $INCLUDE does not change the origin of the parent file.
            name = tokens.octets("the file").decode("latin-1")
            included = self._include(name, file, tokens.name("the origin") if len(tokens) else origin, depth)
        else:
            raise TextError(f"unknown directive {verb}: expected $ORIGIN, $TTL, $INCLUDE or $GENERATE")
        tokens.finish()
        return included, origin

    def _include(self, name: str, file: str, origin: Name | None, depth: int) -> Iterator[Entry]:
        if self._folder is None:
            raise TextError("$INCLUDE is allowed in files only")
        if depth >= INCLUDE_DEPTH_MAX:
            raise TextError(f"$INCLUDE nested more than {INCLUDE_DEPTH_MAX} deep")
        path = (Path(file).parent / name).resolve()
        if not path.is_relative_to(self._folder):
            raise TextError(f"{name!r} is outside of the zone's folder")
        owner = self._owner
        yield from self.read(path, origin, depth + 1)
        self._owner = owner

    def _generate(self, line: Line, file: str, origin: Name | None) -> Iterator[Entry]:
        owner = self._owner
        for tokens in generated(line.tokens[1:]):
            yield self._entry(Line(line.number, tokens, indented=False), file, origin)
        self._owner = owner

    def _entry(self, line: Line, file: str, origin: Name | None) -> Entry:
        record, stated = self._record(line, origin)
        entry = Entry(record, file, line.number)
        if not stated and self._default_ttl is None and self._last_ttl is None:
            # If no TTL is stated, the SOA's MINIMUM applies, as before RFC 2308 and in BIND and dnspython.
            self._default_ttl = record.ttl
            self._warn(str(entry.error(f"no TTL and no $TTL: the SOA's MINIMUM, {record.ttl} s, is the default TTL")))
        self._last_ttl = record.ttl
        return entry

    def _record(self, line: Line, origin: Name | None) -> tuple[Record, bool]:
        """Parse a record; return (record, True if the line states a TTL)."""
        tokens = Tokens(line.tokens, origin)
        if not line.indented:
            self._owner = self._name(tokens, origin)
        if self._owner is None:
            raise TextError("the first record has no owner name")
        ttl, rclass, rtype = self._ttl_class_type(tokens)
        stated = ttl is not None
        rdata = rdata_from_tokens(rtype, rclass, tokens)
        if ttl is None:
            # A record without TTL gets the value of $TTL (RFC 2308 section 4), else the last stated TTL (RFC 1035 5.1).
            ttl = self._default_ttl if self._default_ttl is not None else self._last_ttl
            if ttl is None and isinstance(rdata, SOA):
                ttl = rdata.minimum
            if ttl is None:
                raise TextError("no TTL and no previous $TTL")
        return Record(self._owner, rtype, rclass, ttl, rdata), stated

    def _name(self, tokens: Tokens, origin: Name | None) -> Name:
        key = (first.text, origin) if (first := tokens.peek()) else ("", origin)
        cached = self._names.get(key)
        if cached is not None:
            tokens.token("the owner name")
            return cached
        name = tokens.name("the owner name")
        if len(self._names) < NAMES_MAX:
            self._names[key] = name
        return name

    def _ttl(self, word: str) -> int:
        """Parse a TTL in seconds; a TTL with bit 31 set counts as 0, as in messages (RFC 2181 section 8) and BIND."""
        ttl = ttl_from_text(word, maximum=U32_MAX)
        if ttl > TTL_MAX:
            self._warn(f"{self._place}: the TTL {word} is more than {TTL_MAX} seconds, and counts as 0")
            return 0
        return ttl

    def _ttl_class_type(self, tokens: Tokens) -> tuple[int | None, int, int]:
        """Parse optional TTL and class, in either order, and type (RFC 1035 5.1); return (TTL or None, class, type)."""
        ttl: int | None = None
        rclass: int | None = None
        while True:
            word = tokens.token("the type").text
            if ttl is None and is_ttl(word):
                ttl = self._ttl(word)
            elif rclass is None and _is_class(word):
                rclass = class_from_text(word)
            else:
                break
        rtype = type_from_text(word)
        if rtype in META_TYPES or rtype == 0:
            raise TextError(f"{word} is a query type, not a record type")
        # RFC 1035 section 5.2: all records of a file are of one class.
        if rclass is None:
            rclass = self._class or RRClass.IN
        if self._class not in (None, rclass):
            raise TextError(f"class {class_to_text(rclass)} after records of another class")
        self._class = rclass
        return ttl, rclass, rtype


def _is_class(word: str) -> bool:
    upper = word.upper()
    return upper in ("IN", "CH", "HS") or (upper.startswith("CLASS") and upper[5:].isdigit())


def write_master_file(origin: Name, rrsets: Iterable[RRset]) -> str:
    """Return a master file of these RRsets, in the given order and with owners relative to `origin`."""
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
