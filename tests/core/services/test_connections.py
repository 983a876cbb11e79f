"""The connection set: attached connections are swept, replaced, forgotten and drained."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lab7.services import connections as connections_module
from lab7.services.connections import MANY_CONNECTIONS, ConnectionLimits, ConnectionSet, Slot


class RecordedConnection:
    """A connection that records the calls of its set; `closes_on_stop` releases its slot in stop()."""

    def __init__(self, slot: Slot, closes_on_stop: bool = True) -> None:
        self.calls: list[str] = []
        self._slot = slot
        self._closes_on_stop = closes_on_stop
        slot.attach(self)

    def check_deadline(self, now: float) -> None:
        del now
        self.calls.append("check_deadline")

    def stop(self) -> None:
        self.calls.append("stop")
        if self._closes_on_stop:
            self._slot.release()

    def abort(self) -> None:
        self.calls.append("abort")

    def evict(self) -> None:
        self.calls.append("evict")


def run(test: Callable[[ConnectionSet, Callable[[], Slot]], Coroutine[Any, Any, None]], maximum: int = 8) -> None:
    async def inside() -> None:
        connections = ConnectionSet(asyncio.get_running_loop(), ConnectionLimits(maximum), sweep_s=0.001)
        accepted: list[socket.socket] = []

        def admit() -> Slot:
            accepted.append(socket.socket())
            slot = connections.admit(accepted[-1], "192.0.2.7", speaks_tls=False)
            assert slot is not None
            return slot

        try:
            await test(connections, admit)
        finally:
            connections.end_farewells()
            for opened in accepted:
                opened.close()

    asyncio.run(inside())


def test_only_attached_connections_are_swept() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        admit()
        assert not connections.sweep()
        connection = RecordedConnection(admit())
        assert connections.sweep()
        assert connection.calls == ["check_deadline"]

    run(test)


def test_a_released_connection_is_forgotten() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        slot = admit()
        RecordedConnection(slot)
        slot.release()
        slot.release()
        assert len(connections) == len(connections.table) == 0
        assert not connections.sweep()

    run(test)


def test_another_protocol_takes_over_the_slot() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        slot = admit()
        before = RecordedConnection(slot)
        after = RecordedConnection(slot)
        connections.sweep()
        assert (before.calls, after.calls) == ([], ["check_deadline"])
        assert list(connections) == [after]
        assert len(connections.table) == 1

    run(test)


def test_a_full_set_evicts_by_the_last_protocol_of_the_slot() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        slot = admit()
        before = RecordedConnection(slot)
        after = RecordedConnection(slot)
        connections.now = lambda: asyncio.get_running_loop().time() + 100.0
        admit()
        assert (before.calls, after.calls) == ([], ["evict"])

    run(test, maximum=1)


def test_drain_waits_until_all_are_closed_and_aborts_the_rest() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        polite, stalled = RecordedConnection(admit()), RecordedConnection(admit(), closes_on_stop=False)
        await connections.drain(close_s=0.01)
        assert polite.calls == ["stop"]
        assert stalled.calls[0] == "stop"
        assert stalled.calls[-1] == "abort"

    run(test)


def test_drain_waits_for_tasks() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        done: list[str] = []

        async def work() -> None:
            await asyncio.sleep(0.01)
            done.append("work")

        admit().start(work())
        await connections.drain(task_s=5.0)
        assert done == ["work"]

    run(test)


def test_cancel_ends_all_tasks() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        tasks = [admit().start(asyncio.sleep(60)) for _ in range(2)]
        await connections.cancel()
        assert all(task.cancelled() for task in tasks)

    run(test)


def test_a_closed_connection_does_not_wait_for_the_garbage_collector() -> None:
    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        slot = admit()
        connection = RecordedConnection(slot)
        slot.release()
        assert len(connections) == 0
        freed = weakref.ref(connection)
        gc.disable()
        try:
            del slot, connection
            assert freed() is None
        finally:
            gc.enable()

    run(test)


def test_memory_is_returned_once_most_of_many_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    monkeypatch.setattr(connections_module, "RETURN_MEMORY_S", 0.0)

    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        monkeypatch.setattr(connections_module, "return_freed_memory", lambda: returned.append(len(connections.table)))
        slots = [admit() for _ in range(MANY_CONNECTIONS)]
        for number, slot in enumerate(slots):
            slot.release()
            await asyncio.sleep(0.001 if number % 16 == 0 else 0)
        await asyncio.sleep(0.01)

    # Half of the table is what one address may have.
    run(test, 3 * MANY_CONNECTIONS)
    assert len(returned) == 1
    assert returned[0] <= MANY_CONNECTIONS // 4


def test_the_memory_of_few_connections_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[None] = []
    monkeypatch.setattr(connections_module, "RETURN_MEMORY_S", 0.0)
    monkeypatch.setattr(connections_module, "return_freed_memory", lambda: returned.append(None))

    async def test(connections: ConnectionSet, admit: Callable[[], Slot]) -> None:
        del connections
        for slot in [admit() for _ in range(8)]:
            slot.release()
        await asyncio.sleep(0.01)

    run(test, 64)
    assert returned == []
