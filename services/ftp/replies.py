"""Replies of the server: RFC 959 section 4.2, one line or several.

>>> reply(220, "Ready.")
b'220 Ready.\\r\\n'
>>> reply(211, "Features:", " SIZE", "End.")
b'211-Features:\\r\\n SIZE\\r\\n211 End.\\r\\n'
"""

from collections.abc import Sequence

_CONTROLS = dict.fromkeys((*range(32), 127), "?")


def reply(code: int, *lines: str) -> bytes:
    """Return a reply in octets; with several lines, those between the first and the last are sent as they are."""
    if not 100 <= code <= 599 or not lines:
        raise ValueError(f"no reply: {code} {lines!r}")
    if len(lines) == 1:
        return f"{code} {_one_line(lines[0])}\r\n".encode("utf-8", "surrogateescape")
    middle = [_indented(line) for line in lines[1:-1]]
    text = "\r\n".join((f"{code}-{_one_line(lines[0])}", *middle, f"{code} {_one_line(lines[-1])}"))
    return (text + "\r\n").encode("utf-8", "surrogateescape")


def quoted(path: str) -> str:
    """Return a path as 257 gives it: in quotes, those within it doubled (RFC 959 appendix II)."""
    doubled = path.replace('"', '""')
    return f'"{doubled}"'


def host_port(address: str, port: int) -> str:
    """Return `h1,h2,h3,h4,p1,p2` for an IPv4 address (RFC 959 section 4.1.2, PORT)."""
    return ",".join((*address.split("."), str(port >> 8), str(port & 0xFF)))


def printable(text: str) -> str:
    """Return text without control characters, which would end a line or act on a terminal."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def is_refusal(code: int) -> bool:
    """Tell whether a code is of the 5yz, which repeating the same command would earn again."""
    return code >= 500


def list_of(names: Sequence[str], width: int = 8) -> list[str]:
    """Return names in lines of `width`, each line indented, as HELP shows them."""
    return [" " + " ".join(names[begin : begin + width]) for begin in range(0, len(names), width)]


def _one_line(text: str) -> str:
    return printable(text)


def _indented(line: str) -> str:
    """RFC 959 section 4.2: a line between that begins with digits is padded, so that nobody takes it for the last."""
    line = printable(line)
    return line if line.startswith(" ") else " " + line
