"""Regular expressions of the product: forms that some of the supported Python versions match wrongly."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
POSSESSIVE = re.compile(r"[*+?}]\+|\(\?>")
ONE_CHARACTER = {constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY}


def modules() -> list[str]:
    """The modules of lab7 with a possessive quantifier or an atomic group."""
    files = [file for top in ("services", "topologies", "experiments") for file in (REPOSITORY / top).rglob("*.py")]
    return sorted(
        ".".join(("lab7", *file.relative_to(REPOSITORY).with_suffix("").parts)).removesuffix(".__init__")
        for file in files
        if POSSESSIVE.search(file.read_text(encoding="utf-8"))
    )


def possessive_groups(parsed: Any) -> Iterator[Any]:
    """The possessive repetitions of more than one character in a parsed pattern."""
    for operation, arguments in parsed:
        if operation is constants.POSSESSIVE_REPEAT:
            repeated = arguments[2]
            if len(repeated) != 1 or repeated[0][0] not in ONE_CHARACTER:
                yield repeated
        nested = arguments if isinstance(arguments, tuple | list) else (arguments,)
        for each in nested:
            if isinstance(each, parser.SubPattern):
                yield from possessive_groups(each)
            elif isinstance(each, list) and all(isinstance(one, parser.SubPattern) for one in each):
                for one in each:
                    yield from possessive_groups(one)


def test_possessive_groups_are_found() -> None:
    for pattern, count in {
        r"(?:ab?)*+": 1,
        r"x(?:y|(?:z++;)?+)": 1,
        r"[ab]*+c++.?+": 0,
        r"(?>(?:ab?)*)": 0,
        r"(?P<a>(?:ab){2,3}+)": 1,
    }.items():
        assert len(list(possessive_groups(parser.parse(pattern)))) == count, pattern


@pytest.mark.parametrize("module", modules())
def test_no_group_is_repeated_possessively(module: str) -> None:
    """Python 3.11.0 to 3.11.4 (Debian 12 has 3.11.2) leave the characters of a failed repetition in the match.

    Write `(?>(?:...)*)` for `(?:...)*+` (CPython issue 106052).
    """
    patterns = [value for value in vars(importlib.import_module(module)).values() if isinstance(value, re.Pattern)]
    for pattern in patterns:
        assert not list(possessive_groups(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))), pattern.pattern
