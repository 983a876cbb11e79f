"""Execution of long operations on Maildir folders in steps, such as the copy of many messages, by generators.

Such an operation is a generator that yields after a bounded number of messages. Between two steps, a server handles its
other sessions.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Pause = TypeVar("_Pause")
_Result = TypeVar("_Result")


def run_steps(steps: Generator[None, None, _Result]) -> _Result:
    """Run a generator to its end without pauses for other sessions; return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result


def with_pauses(steps: Generator[None, None, _Result], pause: _Pause) -> Generator[_Pause, None, _Result]:
    """Run a generator step by step and return its result; yield `pause` after each step, for other sessions to run."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        yield pause


def batches(items: Sequence[_Item], count: int) -> Iterator[Sequence[_Item]]:
    """Yield consecutive slices of at most `count` items."""
    for begin in range(0, len(items), count):
        yield items[begin : begin + count]
