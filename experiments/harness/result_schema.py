"""Take typed fields out of JSON data, with errors that name the field by its path."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class ResultError(ValueError):
    """The data are not a result; the message names the field."""


class Reader:
    """One JSON object, and the path that leads to it."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise ResultError(f"{path}: expected an object, found {_kind(data)}")
        self._data = data
        self._path = path

    def has(self, name: str) -> bool:
        """Return whether there is such a field."""
        return name in self._data

    def text(self, name: str) -> str:
        """Return a string field."""
        return str(self._take(name, "a string", lambda value: isinstance(value, str)))

    def optional(self, name: str) -> str | None:
        """Return a string field that may be null."""
        value = self._take(name, "a string or null", lambda value: value is None or isinstance(value, str))
        return None if value is None else str(value)

    def word(self, name: str, words: Sequence[str]) -> str:
        """Return a string field that must be one of these words."""
        return str(self._take(name, "one of " + ", ".join(words), lambda value: value in words))

    def integer(self, name: str) -> int:
        """Return an integer field."""
        return int(self._take(name, "an integer", _is_integer))

    def number(self, name: str) -> float:
        """Return a finite number."""
        return float(self._take(name, "a finite number", _is_number))

    def integers(self, name: str) -> list[int]:
        """Return an array of integers."""
        return list(self._take(name, "an array of integers", _each(_is_integer)))

    def optional_integers(self, name: str) -> tuple[int, ...] | None:
        """Return an array of integers that may be null."""
        if self._data.get(name, ...) is None:
            return None
        return tuple(self.integers(name))

    def numbers(self, name: str) -> list[float]:
        """Return an array of finite numbers."""
        return [float(value) for value in self._take(name, "an array of numbers", _each(_is_number))]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object field as it is."""
        return dict(self._take(name, "an object", lambda value: isinstance(value, dict)))

    def texts(self, name: str) -> Mapping[str, str]:
        """Return an object whose values are strings."""
        return dict(self._take(name, "an object of strings", _values(lambda value: isinstance(value, str))))

    def seconds(self, name: str) -> Mapping[str, float]:
        """Return an object whose values are numbers."""
        return dict(self._take(name, "an object of numbers", _values(_is_number)))

    def reader(self, name: str) -> Reader:
        """Return a reader of an object field."""
        return Reader(self.mapping(name), f"{self._path}.{name}")

    def readers(self, name: str) -> list[Reader]:
        """Return a reader of each object in an array."""
        values = self._take(name, "an array", lambda value: isinstance(value, list))
        return [Reader(value, f"{self._path}.{name}[{index}]") for index, value in enumerate(values)]

    def _take(self, name: str, expected: str, fits: Callable[[Any], bool]) -> Any:
        if name not in self._data:
            raise ResultError(f"{self._path}.{name}: missing")
        value = self._data[name]
        if not fits(value):
            raise ResultError(f"{self._path}.{name}: expected {expected}, found {value!r:.60}")
        return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(fits(item) for item in value)


def _values(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(fits(item) for item in value.values())


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
