"""An answer that is begun when somebody awaits it, so that one whom nobody awaits any more has done nothing.

Later(make, request)        # make(request) is called, and awaited, by `await`
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Later(Generic[Result]):
    """A coroutine function and its arguments."""

    __slots__ = ("_arguments", "_make")

    def __init__(self, make: Callable[..., Coroutine[Any, Any, Result]], *arguments: object) -> None:
        self._make = make
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, Result]:
        return self._make(*self._arguments).__await__()
