"""Encoder of the server's replies, single-line and multi-line (RFC 959 section 4.2).

>>> reply(220, "Ready.")
b'220 Ready.\\r\\n'
>>> reply(211, "Features:", " SIZE", "End.")
b'211-Features:\\r\\n SIZE\\r\\n211 End.\\r\\n'
"""

from collections.abc import Sequence

# Characters that would end a reply line: NUL, CR and LF, which listings replace in file names and commands cannot have.
_LINE_ENDS = dict.fromkeys(map(ord, "\0\r\n"), "?")
_CONTROLS = dict.fromkeys(({*range(32)} - set(map(ord, "\t\r\n"))) | {*range(127, 160)}, "?")


def reply(code: int, *lines: str) -> bytes:
    """Return the octets of a reply. Of several lines, only the first and the last begin with the code."""
    if not 100 <= code <= 599 or not lines:
        raise ValueError(f"invalid reply: {code} {lines!r}")
    if len(lines) == 1:
        return f"{code} {one_line(lines[0])}\r\n".encode("utf-8", "surrogateescape")
    middle = [_indented(line) for line in lines[1:-1]]
    text = "\r\n".join((f"{code}-{one_line(lines[0])}", *middle, f"{code} {one_line(lines[-1])}"))
    return (text + "\r\n").encode("utf-8", "surrogateescape")


def quoted(path: str) -> str:
    """Quote a path for reply 257, with quotes inside doubled (RFC 959 appendix II)."""
    doubled = path.replace('"', '""')
    return f'"{doubled}"'


def host_port(address: str, port: int) -> str:
    """Return an IPv4 address and a port as text `h1,h2,h3,h4,p1,p2` (RFC 959 section 4.1.2, PORT)."""
    return ",".join((*address.split("."), str(port >> 8), str(port & 0xFF)))


def one_line(text: str) -> str:
    """Replace NUL, CR and LF by `?`, since they would end a reply line; keep all other characters."""
    return text if text.isprintable() else text.translate(_LINE_ENDS)


def printable(text: str) -> str:
    """Replace control characters by `?`, so that they do not act on a terminal; keep line ends and tabs."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def is_refusal(code: int) -> bool:
    """Return whether a reply code is a permanent negative completion (5yz)."""
    return code >= 500


def columns(names: Sequence[str], width: int = 8) -> list[str]:
    """Format names as indented lines with `width` names each, for the reply to HELP."""
    return [" " + " ".join(names[begin : begin + width]) for begin in range(0, len(names), width)]


def _indented(line: str) -> str:
    """Indent a line in the middle of a reply, so that it cannot be taken for the last line (RFC 959 section 4.2)."""
    line = one_line(line)
    return line if line.startswith(" ") else " " + line
