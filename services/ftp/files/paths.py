"""Path names of FTP commands (RFC 959, RFC 3659 section 2.2), and file name patterns of LIST and NLST.

    >>> normalise(("pub",), "../a//b/.")      # working directory /pub
    ('a', 'b')
    >>> normalise((), "../../etc/passwd")     # at the root, .. is the root, as in a file system
    ('etc', 'passwd')

A normalised path is a tuple of names: none is empty, `.` or `..`, none contains a slash or NUL. So no path text leads
outside of the root; symbolic links are resolved by jailed_tree.py. Names are UTF-8 (RFC 2640); other octets are kept
unchanged (surrogateescape).
"""

import hashlib
import os

from lab7.services.ftp.limits import NAME_OCTETS, PATH_SEGMENTS


def matches(pattern: str, name: str) -> bool:
    """Match a whole name against a pattern with `*`, `?` and `[a-z]`; `*` matches no leading dot, as in a shell.

    >>> matches("*.txt", "a.txt")
    True

    The time is at worst proportional to the product of both lengths. After a mismatch only the last star is retried,
    with one character more: a longer match of an earlier star would lead to the same positions. So a pattern with many
    stars causes no exponential backtracking.
    """
    if name.startswith(".") and not pattern.startswith("."):
        return False
    at = here = 0
    retry_at, retry_here = -1, 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            at += 1
            retry_at, retry_here = at, here
            continue
        end = _match_one(pattern, at, name[here])
        if end:
            at, here = end, here + 1
        elif retry_at >= 0:
            retry_here += 1
            at, here = retry_at, retry_here
        else:
            return False
    return not pattern[at:].strip("*")


def _match_one(pattern: str, at: int, character: str) -> int:
    """Match one character against the pattern element at position `at`.

    Return the position after the element, 0 if the character does not match.
    """
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
    is_member = False
    position = 0
    while position < len(members):
        if position + 2 < len(members) and members[position + 1] == "-":
            is_member = is_member or members[position] <= character <= members[position + 2]
            position += 3
        else:
            is_member = is_member or members[position] == character
            position += 1
    return is_member != negated


VirtualPath = tuple[str, ...]

# Prefix and suffix of the name of an incomplete upload; users cannot give such a name to a file.
PARTIAL_PREFIX, PARTIAL_SUFFIX = ".", ".part"
_DIGEST_DIGITS = 32
_REFUSED_CHARACTERS = frozenset("\0\r\n")
_WILDCARDS = frozenset("*?[")


class PathError(ValueError):
    """Error for a command argument that is no path name; the message is the text of the reply."""


def normalise(directory: VirtualPath, argument: str) -> VirtualPath:
    """Resolve a path argument against the working directory `directory` into a tuple of names; raises PathError."""
    if _REFUSED_CHARACTERS.intersection(argument):
        raise PathError("control characters are not allowed in a path")
    segments = [] if argument.startswith("/") else list(directory)
    for name in argument.split("/"):
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    if len(segments) > PATH_SEGMENTS:
        raise PathError(f"a path can have at most {PATH_SEGMENTS} components")
    return tuple(segments)


def format_path(path: VirtualPath) -> str:
    """Format a path, a tuple of names, as an absolute path for replies."""
    return "/" + "/".join(path)


def partial_name(name: str) -> str:
    """Return the name of the incomplete upload of a file `name`.

    If that name is longer than the file system permits, the end of `name` is replaced by a digest of `name`.
    """
    octets = os.fsencode(name)
    room = NAME_OCTETS - len(PARTIAL_PREFIX + PARTIAL_SUFFIX)
    if room < len(octets) <= NAME_OCTETS:
        digest = hashlib.sha256(octets).hexdigest()[:_DIGEST_DIGITS]
        name = os.fsdecode(octets[: room - _DIGEST_DIGITS]) + digest
    return PARTIAL_PREFIX + name + PARTIAL_SUFFIX


def is_partial_name(name: str) -> bool:
    """Return whether a name is reserved for incomplete uploads."""
    return name.startswith(PARTIAL_PREFIX) and name.endswith(PARTIAL_SUFFIX) and len(name) > len(".part") + 1


def strip_flags(argument: str) -> str:
    """Strip flags of ls(1) from the argument of LIST: clients send such flags, though no RFC defines them."""
    while argument.startswith("-"):
        flags, _, argument = argument.partition(" ")
        if not flags[1:].isalnum() and flags != "-":
            return f"{flags} {argument}".strip()
    return argument.strip()


def has_wildcard(name: str) -> bool:
    """Return whether a name contains wildcards and is thus a pattern for matches()."""
    return bool(_WILDCARDS.intersection(name))
