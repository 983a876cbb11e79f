"""Health checker in virtual time: a change is detected within an interval and a timeout."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.address_space import Address
from lab7.services.dns.steering.health import Change, CheckResult, HealthTable, State
from lab7.services.dns.steering.health_checker import START_GRACE_S, HealthChecker, Probe
from tests.core.services.dns.steering.cdn_maps import address

ONE, TWO = address("192.0.2.1"), address("192.0.2.2")
# Response time of a healthy replica.
RTT_S = 0.01
TOLERANCE_S = 1e-6


class _Leap(selectors.DefaultSelector):
    """A selector that does not wait: it advances the clock by the timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a virtual clock."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


def run(scene: Callable[[asyncio.AbstractEventLoop], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def whole() -> None:
            await scene(asyncio.get_running_loop())

        runner.run(whole())


class Played(HealthChecker):
    """A checker whose replicas behave as `plays` returns at the time of the check."""

    plays: Callable[[Address, float], str]
    begun: list[tuple[Address, float]]

    async def _request(self, address: Address) -> CheckResult:
        now = self._loop.time()
        self.begun.append((address, now))
        play = self.plays(address, now)
        if play == "refuse":
            raise ConnectionRefusedError
        if play == "break":
            raise RuntimeError("a bug")
        await asyncio.sleep(RTT_S if play == "well" else 1e9)
        return CheckResult(True)


@given(
    st.floats(0.05, 5),
    st.floats(0.05, 5),
    st.sampled_from(["refuse", "hang", "break"]),
    st.floats(0, 20),
    st.floats(0.5, 20),
)
def test_a_change_is_known_in_time(
    interval_s: float, timeout_s: float, failing: str, fails_at: float, back_after: float
) -> None:
    changes: list[tuple[float, Change]] = []
    back_at = fails_at + back_after

    async def scene(loop: asyncio.AbstractEventLoop) -> None:
        table = HealthTable([ONE])

        def noted(address: Address, report: CheckResult) -> None:
            change = table.update(address, report)
            if change is not None:
                changes.append((loop.time(), change))

        checker = Played(loop, Probe("/", 80, interval_s, timeout_s), noted)
        checker.plays = lambda _, now: failing if fails_at <= now < back_at else "well"
        checker.begun = []
        await checker.add([ONE])
        await asyncio.sleep(back_at + 20)
        await checker.stop()
        begun = [at for _, at in checker.begun]
        gaps = [after - before for before, after in itertools.pairwise(begun)]
        # Until its first success a replica is checked more often.
        settled = [gap for gap, at in zip(gaps, begun, strict=False) if at > START_GRACE_S + timeout_s]
        assert all(gap >= interval_s - TOLERANCE_S for gap in settled)
        assert all(gap <= max(interval_s, timeout_s) + TOLERANCE_S for gap in gaps)

    run(scene)
    assert changes[-1][1].state is State.UP
    period_s = max(interval_s, timeout_s)
    for at, change in changes:
        if change.state is State.DOWN:
            assert fails_at <= at <= fails_at + interval_s + timeout_s + RTT_S + TOLERANCE_S
        elif at >= back_at:
            assert at <= back_at + period_s + RTT_S + TOLERANCE_S
    # A failure that lasts long enough is always detected.
    if back_after > interval_s + RTT_S + TOLERANCE_S:
        assert any(change.state is State.DOWN for _, change in changes)


def test_one_that_starts_a_little_later_is_not_called_down() -> None:
    states: list[State] = []

    async def scene(loop: asyncio.AbstractEventLoop) -> None:
        table = HealthTable([ONE])

        def noted(address: Address, report: CheckResult) -> None:
            table.update(address, report)

        checker = Played(loop, Probe("/", 80, 10.0, 1.0), noted)
        checker.plays = lambda _, now: "refuse" if now < 0.5 else "well"
        checker.begun = []
        await checker.add([ONE])
        states.append(State.UP if table.is_up(ONE) else State.DOWN)
        assert loop.time() < 1.0
        await checker.stop()

    run(scene)
    assert states == [State.UP]


def test_those_that_are_new_are_checked_before_they_count_and_those_that_go_are_left_alone() -> None:
    reports: list[Address] = []

    async def scene(loop: asyncio.AbstractEventLoop) -> None:
        checker = Played(loop, Probe("/", 80, 1.0, 1.0), lambda address, _: reports.append(address))
        checker.plays = lambda *_: "hang"
        checker.begun = []
        await checker.add([ONE])
        # It hangs for a timeout, and again: then the grace period is over.
        assert (loop.time(), reports) == (2.0, [ONE, ONE])
        await checker.add([ONE, TWO])
        assert TWO in reports
        await checker.retain([TWO])
        reports.clear()
        await asyncio.sleep(10)
        assert set(reports) == {TWO}
        await checker.stop()
        reports.clear()
        await asyncio.sleep(10)
        assert reports == []

    run(scene)
