"""Maildir file names: unique part, sizes and flags: `1700000000.M20046P77Q3R9c.host,S=1040,W=1064:2,FS`.

The part before the colon identifies the message for ever: time, delivering process, random number, and the size as
stored (S) and with CRLF line ends (W). After `:2,` follow the flags in the order of their letters. Names written by
other programs are parsed as far as possible and kept unchanged.
"""

import os
import re
from itertools import count

# https://cr.yp.to/proto/maildir.html; P (passed) is preserved but not interpreted.
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
FLAGS = {flag: letter for letter, flag in LETTERS.items()}
_INFO = ":2,"
_SIZE = re.compile(r",W=(\d{1,18})(?=,|$)")
_STORED = re.compile(r",S=(\d{1,18})(?=,|$)")
_TIME = re.compile(r"(\d{1,18})(?:\.(?:[A-LN-Z]\w*?)?(?:M(\d{1,9}))?(?:P(\d{1,9}))?(?:Q(\d{1,18}))?)?")
_counter = count()


def host_part(host: str) -> str:
    """Escape the characters of a host name that have a meaning in file names."""
    return host.replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")


_HOST = host_part(os.uname().nodename)


def unique_name(written: os.stat_result, stored_octets: int, size_octets: int) -> str:
    """Return a unique name for a file `written` in tmp/."""
    seconds, nanoseconds = divmod(written.st_mtime_ns, 1_000_000_000)
    number = os.urandom(8).hex()
    place = f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_counter)}R{number}"
    return f"{place}.{_HOST},S={stored_octets},W={size_octets}"


def split_name(file_name: str) -> tuple[str, str]:
    """Return (the unique part, the letters of the flags)."""
    base, colon, letters = file_name.partition(_INFO)
    return base, letters if colon else ""


def with_flag_letters(base: str, letters: str) -> str:
    """Return the name in cur/ of a message with these flags."""
    return base + _INFO + "".join(sorted(set(letters)))


def wire_size(base: str) -> int | None:
    """Return the size with CRLF line ends, or None if the name lacks it."""
    match = _SIZE.search(base)
    return int(match[1]) if match else None


def stored_size(base: str) -> int | None:
    """Return the size of the file, or None if the name lacks it."""
    match = _STORED.search(base)
    return int(match[1]) if match else None


def sort_key(base: str) -> tuple[int, int, int, str]:
    """Return a sort key for the time of delivery, as far as the name has it."""
    match = _TIME.match(base)
    if match is None:
        return (1 << 62, 0, 0, base)
    return (int(match[1]), int(match[2] or 0), int(match[4] or 0), base)
