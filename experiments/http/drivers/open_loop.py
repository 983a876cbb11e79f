"""Open-loop HTTP client program: it sends each request at a scheduled time, without waiting for earlier responses.

    python -m lab7.experiments.http.drivers.open_loop FILE      on an emulated host

FILE is JSON: {"connect": [host, port], "host": name, "connections": n, "warm": [target, ...], "requests": [[offset_s,
target], ...]}, optionally with "timeout_s", the time-out of each response.

The program opens n connections, requests the warm-up targets on them, waits until the link's queue is empty, and prints
READY. After a line on its standard input, it sends each request at its offset. It uses an idle connection or, if there
is none, a new one. At the end it prints one JSON line: began_ns and ended_ns (CLOCK_REALTIME, the capture's clock),
late_s (maximum delay of a request after its scheduled time), opened (number of connections beyond n), failures (count
by message).
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any, cast

from lab7.experiments.harness.driver_process import send
from lab7.services.http.fields import Fields
from lab7.services.http.http1.connection import ClientConnection
from lab7.services.http.messages import Closed, EndOfMessage, Fault, Request, Response
from lab7.services.shell import run_loop

# Time-out in seconds of each response, unless the plan has a `timeout_s`.
RESPONSE_TIMEOUT_S = 30.0


class _Connection(asyncio.Protocol):
    """Persistent HTTP/1.1 connection that carries one request at a time."""

    def __init__(self) -> None:
        self._core = ClientConnection()
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[int] | None = None
        self._status = 0
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> asyncio.Future[int]:
        """Send a request; return a future of the status code, which is set when the response is complete."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(self._core.send_request(request))
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._take(self._core.receive_data(data))

    def eof_received(self) -> bool:
        self._take(self._core.receive_eof())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._end(error=f"the connection was lost ({exc})" if exc else "the server closed the connection")

    def close(self) -> None:
        """Close the TCP connection."""
        self._transport.close()

    def _take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Response):
                self._status = event.status
            elif isinstance(event, EndOfMessage):
                self.usable = self._core.persistent
                self._end()
            elif isinstance(event, Closed | Fault):
                self.usable = False
                self._end(error=getattr(event, "detail", "the server closed the connection"))

    def _end(self, error: str | None = None) -> None:
        answered, self._answered = self._answered, None
        if answered is None or answered.done():
            return
        if error is None:
            answered.set_result(self._status)
        else:
            answered.set_exception(ConnectionError(error))


class OpenLoop:
    """Open-loop HTTP client that executes one plan: connections, warm-up targets, and requests with time offsets."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._host, self._port = plan["connect"]
        self._name = plan["host"].encode()
        self._plan = plan
        self._timeout_s = plan.get("timeout_s", RESPONSE_TIMEOUT_S)
        self._idle: deque[_Connection] = deque()
        self._failures: Counter[str] = Counter()
        self._opened = 0
        self._late_s = 0.0

    async def warm_up(self) -> None:
        """Open the connections, request the warm-up targets on them, and wait until the link's queue is empty.

        Simultaneous requests fill the queue for longer than TCP's probe timeout of two round trips (RFC 8985 section
        7.2), and TCP retransmits segments. These may still be in the queue when the last response arrives, and would
        delay measured requests. The queue empties in at most the time that the warm-up took; the function therefore
        waits for that time again.
        """
        began_s = asyncio.get_running_loop().time()
        self._idle.extend(await asyncio.gather(*(self._open() for _ in range(self._plan["connections"]))))
        waiting = deque(self._plan["warm"])
        await asyncio.gather(*(self._drain(waiting) for _ in range(len(self._idle))))
        await asyncio.sleep(asyncio.get_running_loop().time() - began_s)

    async def run(self) -> dict[str, Any]:
        """Send every request at its scheduled time, and wait for all responses; return a report.

        The report has start and end in ns, the largest delay in s of a request, the number of additional connections,
        and the failures.
        """
        loop = asyncio.get_running_loop()
        began_ns, start_s = time.time_ns(), time.monotonic()
        tasks: list[asyncio.Task[None]] = []

        def start(offset_s: float, target: str) -> None:
            self._late_s = max(self._late_s, time.monotonic() - start_s - offset_s)
            tasks.append(loop.create_task(self._ask(target)))

        def pace() -> None:
            for offset_s, target in self._plan["requests"]:
                time.sleep(max(0.0, start_s + offset_s - time.monotonic()))
                loop.call_soon_threadsafe(start, offset_s, target)

        # Pace in a thread: the event loop's timers have a resolution of 1 ms (epoll_wait(2)) and would send in groups.
        await asyncio.to_thread(pace)
        await asyncio.gather(*tasks)
        return {
            "began_ns": began_ns,
            "ended_ns": time.time_ns(),
            "late_s": self._late_s,
            "opened": self._opened,
            "failures": dict(self._failures),
        }

    async def _open(self) -> _Connection:
        _, protocol = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return protocol

    async def _drain(self, waiting: deque[str]) -> None:
        while waiting:
            await self._ask(waiting.popleft())

    async def _ask(self, target: str) -> None:
        try:
            connection = await self._take_idle()
            request = Request(b"GET", target.encode(), Fields(((b"Host", self._name),)))
            status = await asyncio.wait_for(connection.send(request), self._timeout_s)
            if status != 200:
                self._failures[f"status {status}"] += 1
        except (OSError, TimeoutError) as error:
            self._failures[str(error) or "no response came in time"] += 1
        else:
            # Reuse the most recently used connection first, so that few connections stay warm, as in a browser.
            if connection.usable:
                self._idle.append(connection)

    async def _take_idle(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        self._opened += 1
        return await self._open()


async def _serve(plan: dict[str, Any]) -> None:
    client = OpenLoop(plan)
    await client.warm_up()
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    send(await client.run())


def main(argv: list[str]) -> int:
    """Carry out the plan in the JSON file argv[0], and print the report of OpenLoop.run(); return the exit code."""
    run_loop(_serve(json.loads(Path(argv[0]).read_text())))
    return 0
