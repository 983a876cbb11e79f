"""Health checker of a CDN: requests a status path from each replica (copy of a site) by HTTP once per interval.

Each check has a new connection and a timeout, so a failure is detected within one interval and one timeout, a recovery
within one interval and the response time. HealthCheck in lab7.services.dns.steering.health is the HTTP exchange of a
check.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from errno import ECONNRESET
from os import strerror

from lab7.services.dns.address_space import Address
from lab7.services.dns.steering.health import CheckResult, HealthCheck

READ_OCTETS = 65_536
# Seconds for which HealthChecker.add() waits for a new replica to become healthy, with checks at short intervals.
# Services of this project are ready within 0.5 s of their start, other HTTP caches within 1 s.
START_GRACE_S = 1.5
START_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Probe:
    """Settings of health checks: port and path of the HTTP request, interval and timeout in seconds."""

    path: str
    port: int
    interval_s: float
    timeout_s: float


class HealthChecker:
    """Periodic checks of a set of replicas; `on_result` is called with the result of each check."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, probe: Probe, on_result: Callable[[Address, CheckResult], None]
    ) -> None:
        self._loop = loop
        self._probe = probe
        self._on_result = on_result
        self._tasks: dict[Address, asyncio.Task[None]] = {}

    async def add(self, addresses: Collection[Address]) -> None:
        """Start health checks of new replicas; return once each replica is up, or after START_GRACE_S seconds."""
        initial: list[asyncio.Future[None]] = []
        for address in addresses:
            if address not in self._tasks:
                initial.append(self._loop.create_future())
                self._tasks[address] = self._loop.create_task(self._run(address, initial[-1]))
        await asyncio.gather(*initial)

    async def retain(self, addresses: Collection[Address]) -> None:
        """Stop the health checks of all replicas except those in `addresses`."""
        await self._cancel([address for address in self._tasks if address not in addresses])

    async def stop(self) -> None:
        """Stop all health checks."""
        await self._cancel(list(self._tasks))

    async def _cancel(self, addresses: Collection[Address]) -> None:
        tasks = [self._tasks.pop(address) for address in addresses]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, address: Address, initial: "asyncio.Future[None]") -> None:
        grace_until = self._loop.time() + START_GRACE_S
        while True:
            started = self._loop.time()
            result = await self._check(address)
            self._on_result(address, result)
            if not initial.done() and (result.healthy or self._loop.time() >= grace_until):
                initial.set_result(None)
            interval_s = self._probe.interval_s if initial.done() else min(START_INTERVAL_S, self._probe.interval_s)
            await asyncio.sleep(max(0.0, started + interval_s - self._loop.time()))

    async def _check(self, address: Address) -> CheckResult:
        try:
            async with asyncio.timeout(self._probe.timeout_s):
                return await self._request(address)
        except TimeoutError:
            return CheckResult(False, detail=f"no response within {self._probe.timeout_s:g} s")
        except OSError as error:
            return CheckResult(False, detail=f"connection failed ({error.strerror or type(error).__name__})")
        except Exception as error:
            # An unexpected error is a failed check: no response of a replica may end the loop of checks.
            return CheckResult(False, detail=f"{type(error).__name__}: {error}")

    async def _request(self, address: Address) -> CheckResult:
        check = HealthCheck(address, self._probe.port, self._probe.path)
        reader, writer = await asyncio.open_connection(str(address), self._probe.port)
        try:
            # If the replica has closed the connection already, write() of uvloop's transport would raise.
            if writer.transport.is_closing():
                raise ConnectionResetError(ECONNRESET, strerror(ECONNRESET))
            writer.write(check.request())
            while data := await reader.read(READ_OCTETS):
                result = check.receive(data)
                if result is not None:
                    return result
            return check.end()
        finally:
            writer.transport.abort()
