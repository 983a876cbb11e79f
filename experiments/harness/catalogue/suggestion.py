"""Lookup of misspelt or shortened names: suggestion of the most similar name, and names with a given prefix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Least similarity of a suggestion (difflib.SequenceMatcher.ratio), which accepts two exchanged letters in a short word.
SIMILAR = 0.6
# The same for the first word of names with hyphens: one wrong letter in a word of three.
SIMILAR_START = 0.65
# A single letter is similar to too much.
SHORTEST = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean NAME?)` for the most similar known name; an empty text if none is similar.

    If only the first word of names is similar (`htp` of http-versions), all names with this word are suggested.
    """
    by_lower = {name.lower(): name for name in known}
    if len(word) < SHORTEST or word.lower() in by_lower:
        return ""
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=SIMILAR)
    if not near:
        first_words = dict.fromkeys(name.partition("-")[0] for name in by_lower if "-" in name)
        start = difflib.get_close_matches(word.lower(), first_words, n=1, cutoff=SIMILAR_START)
        near = [name for name in by_lower if start and name.startswith(f"{start[0]}-")]
    if not near:
        return ""
    *others, last = (by_lower[name] for name in near)
    return f" (did you mean {', '.join(others)}{' or ' if others else ''}{last}?)"


def by_prefix(word: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a word can mean: the name itself, or else all names that start with the word."""
    names = list(known)
    return [word] if word in names else [name for name in names if word and name.startswith(word)]
