"""The name of a message's file: `1700000000.M20046P77Q3R9c.host,S=1040,W=1064:2,FS`.

Before the colon is what tells it from every other message, for ever: the time, who delivered it and a random number,
and its size as it is stored (S) and with CRLF at the end of each line (W). After `:2,` are the flags, in the order of
their letters. What another program wrote is read as far as it is understood and kept as it is.
"""

import os
import re
from itertools import count

# https://cr.yp.to/proto/maildir.html; P (passed) is kept but means nothing here.
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
FLAGS = {flag: letter for letter, flag in LETTERS.items()}
_INFO = ":2,"
_SIZE = re.compile(r",W=(\d{1,18})(?=,|$)")
_STORED = re.compile(r",S=(\d{1,18})(?=,|$)")
_TIME = re.compile(r"(\d{1,18})(?:\.(?:[A-LN-Z]\w*?)?(?:M(\d{1,9}))?(?:P(\d{1,9}))?(?:Q(\d{1,18}))?)?")
_counter = count()


def host_part(host: str) -> str:
    """Return a host's name without what has a meaning in a file's name."""
    return host.replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")


_HOST = host_part(os.uname().nodename)


def unique_name(written: os.stat_result, stored_octets: int, size_octets: int) -> str:
    """Return a name that no other message has, for a file that was `written` in tmp/."""
    seconds, nanoseconds = divmod(written.st_mtime_ns, 1_000_000_000)
    number = os.urandom(8).hex()
    place = f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_counter)}R{number}"
    return f"{place}.{_HOST},S={stored_octets},W={size_octets}"


def split_name(file_name: str) -> tuple[str, str]:
    """Return (what identifies the message, the letters of its flags)."""
    base, colon, letters = file_name.partition(_INFO)
    return base, letters if colon else ""


def with_letters(base: str, letters: str) -> str:
    """Return the name in cur/ of a message with these flags."""
    return base + _INFO + "".join(sorted(set(letters)))


def size_in(base: str) -> int | None:
    """Return the size in octets with CRLF, None where the name does not tell."""
    match = _SIZE.search(base)
    return int(match[1]) if match else None


def stored_in(base: str) -> int | None:
    """Return the size in octets of the file, None where the name does not tell."""
    match = _STORED.search(base)
    return int(match[1]) if match else None


def order(base: str) -> tuple[int, int, int, str]:
    """Return what sorts messages by the time of their delivery, as far as their names tell it."""
    match = _TIME.match(base)
    if match is None:
        return (1 << 62, 0, 0, base)
    return (int(match[1]), int(match[2] or 0), int(match[4] or 0), base)
