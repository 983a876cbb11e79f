"""Path names of users: absolute or relative to their working directory, below their own root (RFC 959, RFC 3659 2.2).

    >>> normalise(("pub",), "../a//b/.")
    ('a', 'b')
    >>> normalise((), "../../etc/passwd")     # at the root, .. stays there, as in a directory tree
    ('etc', 'passwd')

A normalised path is a tuple of names: none is empty, `.` or `..`, none has a slash or NUL in it. So text alone leads
nowhere outside; symbolic links are the file system layer's to judge. Names are text in UTF-8 (RFC 2640); octets that
are none are carried through unchanged (surrogateescape).
"""

from services.ftp.limits import PATH_SEGMENTS

# File name patterns with `*`, `?` and `[a-z]`, matched in time proportional to pattern times name at worst.
#
#     >>> matches("*.txt", "a.txt")
#     True
#
# A star that failed is tried again one character later, and only the last star: what the earlier ones took cannot
# matter. So a pattern of many stars, which makes a backtracking matcher explode, costs no more than another.


def matches(pattern: str, name: str) -> bool:
    """Tell whether the whole name fits; a leading dot has to stand in the pattern, as in a shell."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    at = here = 0
    retry_at, retry_here = -1, 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            at += 1
            retry_at, retry_here = at, here
            continue
        end = _one(pattern, at, name[here])
        if end:
            at, here = end, here + 1
        elif retry_at >= 0:
            retry_here += 1
            at, here = retry_at, retry_here
        else:
            return False
    return not pattern[at:].strip("*")


def _one(pattern: str, at: int, character: str) -> int:
    """Return where the pattern goes on after an element that fits the character, 0 where none does."""
    if at >= len(pattern):
        return 0
    if pattern[at] == "?":
        return at + 1
    if pattern[at] == "[":
        end = pattern.find("]", at + 2)
        if end > 0:
            return end + 1 if _in_set(pattern[at + 1 : end], character) else 0
    return at + 1 if pattern[at] == character else 0


def _in_set(members: str, character: str) -> bool:
    negated = members[0] in "!^" and len(members) > 1
    if negated:
        members = members[1:]
    found = False
    position = 0
    while position < len(members):
        if position + 2 < len(members) and members[position + 1] == "-":
            found = found or members[position] <= character <= members[position + 2]
            position += 3
        else:
            found = found or members[position] == character
            position += 1
    return found != negated


VirtualPath = tuple[str, ...]

# An upload under way or broken off; nobody may name a file of their own so.
PARTIAL_PREFIX, PARTIAL_SUFFIX = ".", ".part"
_REFUSED_CHARACTERS = frozenset("\0\r\n")
_WILDCARDS = frozenset("*?[")


class PathError(ValueError):
    """An argument is no path name; its text says why."""


def normalise(directory: VirtualPath, argument: str) -> VirtualPath:
    """Return the path that an argument names from `directory`; raises PathError."""
    if _REFUSED_CHARACTERS.intersection(argument):
        raise PathError("a path has no control characters that end it")
    segments = [] if argument.startswith("/") else list(directory)
    for name in argument.split("/"):
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    if len(segments) > PATH_SEGMENTS:
        raise PathError(f"a path has {PATH_SEGMENTS} names at most")
    return tuple(segments)


def shown(path: VirtualPath) -> str:
    """Return a path as users write it, from the root on."""
    return "/" + "/".join(path)


def partial_name(name: str) -> str:
    """Return the name under which an upload of `name` is kept until it is complete."""
    return PARTIAL_PREFIX + name + PARTIAL_SUFFIX


def is_partial_name(name: str) -> bool:
    """Tell whether a name is kept for uploads that are not complete."""
    return name.startswith(PARTIAL_PREFIX) and name.endswith(PARTIAL_SUFFIX) and len(name) > len(".part") + 1


def split_flags(argument: str) -> str:
    """Return a LIST's argument without the flags of ls(1) that clients send though no RFC has them."""
    while argument.startswith("-"):
        flags, _, argument = argument.partition(" ")
        if not flags[1:].isalnum() and flags != "-":
            return f"{flags} {argument}".strip()
    return argument.strip()


def has_wildcard(name: str) -> bool:
    """Tell whether a name is a pattern for `matches`."""
    return bool(_WILDCARDS.intersection(name))
