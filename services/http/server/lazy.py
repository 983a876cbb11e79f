"""A coroutine that starts when it is awaited, so that a cancelled request does no work.

LazyResponse(handle, request)        # handle(request) is called by `await`
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class LazyResponse(Generic[Result]):
    """A coroutine function with its arguments; unlike a coroutine it may be dropped without being awaited."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: object) -> None:
        self._function = function
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, Result]:
        return self._function(*self._arguments).__await__()
