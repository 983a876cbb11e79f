"""More processes of the same service on the same port: each has its sockets, and the kernel shares out what comes.

The first one binds the port and starts the others with its own command line, which end when it ends: each holds the
reading end of a pipe whose writing end only the first one has.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from services.errors import ServiceError

# Tells a process that it is one of several, and the descriptor that ends when the first one does.
_VARIABLE = "LAB7_DNS_SIBLING"
_MODULE = "services.dns.authoritative"
_ROOT = Path(__file__).resolve().parents[3]
# `python -m` would put the current directory in front of the import path: a file socket.py there would be executed.
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    f"runpy.run_module({_MODULE!r}, run_name='__main__', alter_sys=True)"
)


class Siblings:
    """The other processes of a service, or, in one of those, what ends it with the first one."""

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        self._first = os.environ.get(_VARIABLE)
        self._others = 0 if self._first is not None else count - 1
        self._arguments = arguments
        self._running: list[asyncio.subprocess.Process] = []
        self._pipe: int | None = None
        # Whether the port is to be shared.
        self.share = self._first is not None or self._others > 0

    async def start(self, port: int) -> None:
        """Start the others and wait until they are ready; raises ServiceError when one is not."""
        if self._first is not None:
            asyncio.get_running_loop().add_reader(int(self._first), os.kill, os.getpid(), signal.SIGTERM)
        if not self._others:
            return
        reading, self._pipe = os.pipe()
        environment = {**os.environ, _VARIABLE: str(reading)}
        command = [sys.executable, "-P", "-c", _START, str(_ROOT), *self._arguments, "--port", str(port)]
        for _ in range(self._others):
            self._running.append(
                await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.PIPE, env=environment, pass_fds=(reading,)
                )
            )
        os.close(reading)
        for process in self._running:
            line = await process.stdout.readline() if process.stdout is not None else b""
            if not line.startswith(b"READY"):
                await self.stop()
                raise ServiceError("another process of the server did not start")

    def hang_up(self) -> None:
        """Pass SIGHUP on to the others, each of which reads its zones itself."""
        for process in self._running:
            if process.returncode is None:
                process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End the others."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        for process in self._running:
            await process.wait()
