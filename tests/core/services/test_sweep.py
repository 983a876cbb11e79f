"""A sweep is called every period while connections are left, and schedules no timer without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab7.services.connections import Sweep


class Loop:
    """A fake event loop with a settable clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Any:
        timer = (self.now + delay_s, action)
        self.timers.append(timer)
        loop = self

        class Handle:
            def cancel(self) -> None:
                loop.timers.remove(timer)

        return Handle()

    def pass_s(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end


def sweep_of(left: list[int]) -> tuple[Loop, Sweep, list[float]]:
    loop, looks = Loop(), list[float]()

    def look() -> bool:
        looks.append(loop.now)
        return bool(left)

    return loop, Sweep(loop, 0.5, look), looks  # type: ignore[arg-type]


def test_it_looks_every_period_while_something_is_left() -> None:
    left = [1]
    loop, sweep, looks = sweep_of(left)
    sweep.wake()
    sweep.wake()
    loop.pass_s(1.6)
    assert looks == [0.5, 1.0, 1.5]
    left.clear()
    loop.pass_s(10)
    assert looks == [0.5, 1.0, 1.5, 2.0]
    assert not loop.timers


def test_it_begins_anew_when_woken() -> None:
    loop, sweep, looks = sweep_of([])
    for _ in range(2):
        sweep.wake()
        loop.pass_s(3)
    assert looks == [0.5, 3.5]


def test_nothing_is_looked_at_before_it_is_woken_or_after_it_is_cancelled() -> None:
    loop, sweep, looks = sweep_of([1])
    loop.pass_s(100)
    sweep.wake()
    sweep.cancel()
    sweep.cancel()
    loop.pass_s(100)
    assert not looks
    assert not loop.timers
