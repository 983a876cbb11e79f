"""Asks replicas how they are, each on a connection of its own, once an interval and never for longer than a time-out.

So a replica that fails is known to have failed at the latest an interval and a time-out later, and one that is back an
interval and the time of its answer later. What is asked and what an answer means stands in
services.dns.steering.health.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from errno import ECONNRESET
from os import strerror

from services.dns.address_space import Address
from services.dns.steering.health import Report, StatusCheck

READ_OCTETS = 65_536
# A name server and its replicas may be started together: for so long a new one is asked again at short intervals before
# it counts as down. Services here are ready within half a second, real caches within one.
START_PATIENCE_S = 1.5
START_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Probe:
    """How replicas are asked: a path, a port, seconds between the beginnings of two checks, seconds that one may take.

    The failures in a row that take a replica out are the table's to count.
    """

    path: str
    port: int
    interval_s: float
    timeout_s: float


class Checker:
    """Checks the replicas that it follows; `noted` is told the report of each check."""

    def __init__(self, loop: asyncio.AbstractEventLoop, probe: Probe, noted: Callable[[Address, Report], None]) -> None:
        self._loop = loop
        self._probe = probe
        self._noted = noted
        self._watches: dict[Address, asyncio.Task[None]] = {}

    async def follow(self, addresses: Collection[Address]) -> None:
        """Begin to check these as well; returns when each that is new has answered, or had its time to start."""
        firsts: list[asyncio.Future[None]] = []
        for address in addresses:
            if address not in self._watches:
                firsts.append(self._loop.create_future())
                self._watches[address] = self._loop.create_task(self._watch(address, firsts[-1]))
        await asyncio.gather(*firsts)

    async def keep(self, addresses: Collection[Address]) -> None:
        """Check no others than these any more."""
        await self._end([address for address in self._watches if address not in addresses])

    async def stop(self) -> None:
        """End all checks."""
        await self._end(list(self._watches))

    async def _end(self, addresses: Collection[Address]) -> None:
        ending = [self._watches.pop(address) for address in addresses]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _watch(self, address: Address, first: "asyncio.Future[None]") -> None:
        started_by = self._loop.time() + START_PATIENCE_S
        while True:
            begun = self._loop.time()
            report = await self._check(address)
            self._noted(address, report)
            if not first.done() and (report.is_well or self._loop.time() >= started_by):
                first.set_result(None)
            pause_s = self._probe.interval_s if first.done() else min(START_INTERVAL_S, self._probe.interval_s)
            await asyncio.sleep(max(0.0, begun + pause_s - self._loop.time()))

    async def _check(self, address: Address) -> Report:
        try:
            async with asyncio.timeout(self._probe.timeout_s):
                return await self._ask(address)
        except TimeoutError:
            return Report(False, detail=f"no answer within {self._probe.timeout_s:g} s")
        except OSError as error:
            return Report(False, detail=f"no connection ({error.strerror or type(error).__name__})")
        except Exception as error:
            # Whatever a replica can do to its check, it does not end the checks.
            return Report(False, detail=f"{type(error).__name__}: {error}")

    async def _ask(self, address: Address) -> Report:
        check = StatusCheck(address, self._probe.port, self._probe.path)
        reader, writer = await asyncio.open_connection(str(address), self._probe.port)
        try:
            # The replica may have closed it at once, and uvloop's transport then takes no octets.
            if writer.transport.is_closing():
                raise ConnectionResetError(ECONNRESET, strerror(ECONNRESET))
            writer.write(check.request())
            while data := await reader.read(READ_OCTETS):
                report = check.receive(data)
                if report is not None:
                    return report
            return check.end()
        finally:
            writer.transport.abort()
