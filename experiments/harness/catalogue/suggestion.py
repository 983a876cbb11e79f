"""Lookup of misspelt or shortened names: suggestion of the most similar name, and names with a given prefix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Least similarity of a suggestion (difflib.SequenceMatcher.ratio), which accepts two exchanged letters in a short word.
SIMILAR = 0.6


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean NAME?)` for the most similar known name; an empty text if none is similar."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=SIMILAR)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""


def by_prefix(word: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a word can mean: the name itself, or else all names that start with the word."""
    names = list(known)
    return [word] if word in names else [name for name in names if word and name.startswith(word)]
