"""Directory listings of FTP: lines of `ls -l` (LIST), names (NLST), or facts (MLSD, MLST; RFC 3659 section 7).

    -rw-r--r--   1 ftp      ftp            1024 Nov 23 12:00 a.txt
    type=file;size=1024;modify=20261123120000;perm=r;unique=fd01g1a2b; a.txt

RFC 959 leaves the format of LIST open; clients parse the format of ls. Times are in UTC, names of months in English.
File names are sent unchanged, control characters included (RFC 3659 section 2.2), so that a client can use the names in
commands; only NUL, CR and LF are replaced by `?`.
"""

import re
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from lab7.services.ftp.replies import one_line

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Half a year in seconds: LIST shows the year instead of the time of an older or future file, as ls(1) does.
RECENT_S = 365.2425 * 86400 / 2
_FUTURE_S = 86400.0
_TIME_VALUE = re.compile(r"([0-9]{14})(\.[0-9]{1,9})?")

FACTS = ("type", "size", "modify", "perm", "unique", "UNIX.mode")
DEFAULT_FACTS = FACTS


class Kind(Enum):
    """Kind of an entry in a directory listing: file or directory."""

    FILE = "file"
    DIRECTORY = "dir"


class Style(Enum):
    """Format of a directory listing: long lines for LIST, names for NLST, or facts for MLSD."""

    LONG = auto()
    NAMES = auto()
    FACTS = auto()


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Status of a file or directory; `mode` has the permission bits, `modified_s` is in seconds since 1970 UTC."""

    kind: Kind
    size_bytes: int
    modified_s: float
    mode: int
    unique: str
    links: int = 1


def long_line(name: str, status: FileStatus, now: float) -> str:
    """Format a file's status as a line of LIST, like `ls -l`.

    The modification time has hour and minute if it is recent, else the year; `now` is the current time in seconds since
    1970 UTC.
    """
    kind = stat.S_IFDIR if status.kind is Kind.DIRECTORY else stat.S_IFREG
    modes = stat.filemode(kind | status.mode)
    when = _when(status.modified_s, now)
    return f"{modes} {status.links:3} ftp      ftp      {status.size_bytes:12} {when} {one_line(name)}"


def facts_line(name: str, status: FileStatus, writable: bool, enabled: Collection[str], is_home: bool = False) -> str:
    """Format a line of MLSD or MLST: the `enabled` facts, a space, the name.

    `is_home` marks the user's home directory: its fact `perm` permits neither removal nor renaming.
    """
    is_file = status.kind is Kind.FILE
    values = {
        "type": status.kind.value,
        "size": str(status.size_bytes) if is_file else None,
        "modify": time_value(status.modified_s),
        "perm": _permissions(is_file, writable, is_home),
        "unique": status.unique,
        "UNIX.mode": f"0{status.mode:03o}",
    }
    parts = (f"{fact}={values[fact]};" for fact in FACTS if fact in enabled and values[fact] is not None)
    return "".join(parts) + " " + one_line(name)


def time_value(modified_s: float) -> str:
    """Format seconds since 1970 UTC as a time-val (RFC 3659 section 2.3), for MDTM and the fact `modify`."""
    moment = time.gmtime(max(0, int(modified_s)))
    date = f"{moment.tm_year:04}{moment.tm_mon:02}{moment.tm_mday:02}"
    return f"{date}{moment.tm_hour:02}{moment.tm_min:02}{moment.tm_sec:02}"


def parse_time_value(text: str) -> float | None:
    """Parse a time-val (RFC 3659 section 2.3) to seconds since 1970 UTC; None for other text or a time before 1970."""
    match = _TIME_VALUE.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return moment + float(match[2] or 0) if moment >= 0 else None


def parse_facts(argument: str) -> tuple[str, ...]:
    """Parse the fact names of `OPTS MLST a;b;`; return the known ones in the server's order (RFC 3659 section 7.9)."""
    names = {name.lower() for name in argument.split(";")}
    return tuple(fact for fact in FACTS if fact.lower() in names)


def _permissions(is_file: bool, writable: bool, is_home: bool) -> str:
    """Return the value of the fact `perm` (RFC 3659 section 7.5.5).

    r retrieve, a append, w store, d delete, f rename; for a directory e enter, l list, c create files, m make
    directories, p purge.
    """
    if is_file:
        return "adfrw" if writable else "r"
    if not writable:
        return "el"
    return "celmp" if is_home else "cdeflmp"


def _when(modified_s: float, now: float) -> str:
    moment = time.gmtime(max(0, int(modified_s)))
    day = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2}"
    if now - RECENT_S < modified_s < now + _FUTURE_S:
        return f"{day} {moment.tm_hour:02}:{moment.tm_min:02}"
    return f"{day}  {moment.tm_year}"
