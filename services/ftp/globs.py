"""File name patterns with `*`, `?` and `[a-z]`, matched in time proportional to pattern times name at worst.

    >>> matches("*.txt", "a.txt")
    True

A star that failed is tried again one character later, and only the last star: what the earlier ones took cannot
matter. So a pattern of many stars, which makes a backtracking matcher explode, costs no more than another.
"""


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
