"""Regular expressions of the services: none takes exponential time for an input that almost matches."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from lab7 import services
from tests.core.test_code_rules import module_name

Items = list[tuple[Any, Any]]


def _repeat(item: tuple[Any, Any]) -> Items | None:
    """Return the body of a repetition without a maximum that may be backtracked into; None for anything else."""
    kind, value = item
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and value[1] is _constants.MAXREPEAT:
        return list(value[2])
    return None


def _alternatives(items: Iterable[tuple[Any, Any]]) -> Iterator[Items]:
    """Return what a sequence may consist of, with the groups and the branches in it opened."""
    found: list[Items] = [[]]
    for item in items:
        kind, value = item
        if kind is _constants.SUBPATTERN:
            inner = list(_alternatives(value[3]))
        elif kind is _constants.BRANCH:
            inner = [one for branch in value[1] for one in _alternatives(branch)]
        else:
            inner = [[item]]
        found = [before + after for before in found for after in inner][:1000]
    yield from found


def _is_nullable(item: tuple[Any, Any]) -> bool:
    kind, value = item
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        return value[0] == 0 or all(_is_nullable(one) for one in value[2])
    return kind in (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT)


def _bodies(items: Iterable[tuple[Any, Any]]) -> Iterator[Items]:
    """Return the bodies of all repetitions without a maximum, at any depth."""
    for item in items:
        kind, value = item
        body = _repeat(item)
        if body is not None:
            yield body
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            yield from _bodies(value[2])
        elif kind is _constants.SUBPATTERN:
            yield from _bodies(value[3])
        elif kind is _constants.BRANCH:
            for branch in value[1]:
                yield from _bodies(branch)


def nested_repetitions(pattern: re.Pattern[Any]) -> list[Items]:
    """Return the alternatives of a repetition that are a repetition themselves, such as a+ in (?:a+|b)*.

    A run of n letters can then be divided in 2**(n-1) ways, all of which are tried where the rest does not match.
    """
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    return [
        alternative
        for body in _bodies(_parser.parse(text, flags))
        for alternative in _alternatives(body)
        if any(
            _repeat(item) is not None and all(_is_nullable(other) for other in alternative if other is not item)
            for item in alternative
        )
    ]


def _patterns() -> dict[str, re.Pattern[Any]]:
    """Return the regular expressions that modules of the services define."""
    found: dict[str, re.Pattern[Any]] = {}
    for path in sorted(Path(services.__file__).parent.rglob("*.py")):
        if path.stem == "__main__" or not _mentions_re(path):
            continue
        module = importlib.import_module(module_name(path))
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                found[f"{module.__name__}.{name}"] = value
    return found


def _mentions_re(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = (alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)
    return "re" in names


@pytest.mark.parametrize("text", [r"(?:[a-z]+|\.)+\Z", r"(a+)*b", r"(?:x*y?)*z", r"(?:(?:a|b+)\s*)*c"])
def test_a_nested_repetition_is_found(text: str) -> None:
    assert nested_repetitions(re.compile(text))


@pytest.mark.parametrize("text", [r"(?:[a-z]|\.)+\Z", r"(?:,a+)*b", r"(?:x*+y?)*z", r"[a-z]+\s*", r"(?:a{1,3})*b"])
def test_what_is_no_nested_repetition(text: str) -> None:
    assert not nested_repetitions(re.compile(text))


def test_no_service_has_a_nested_repetition() -> None:
    patterns = _patterns()
    assert len(patterns) > 100
    assert {name: pattern.pattern for name, pattern in patterns.items() if nested_repetitions(pattern)} == {}
