"""Worker processes of a service that share one port with SO_REUSEPORT; the kernel distributes clients among them.

The main process binds the port and starts the workers with its own command line. Each worker holds the read end of a
pipe whose write end only the main process has: at end of file on the pipe, a worker ends, since the main process has
ended.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import lab7
from lab7.services.errors import ServiceError
from lab7.services.flags import integer

# Environment variable with the descriptor of a pipe, by which a worker notices the end of the main process.
_VARIABLE = "LAB7_WORKER"
_ROOT = Path(lab7.__file__).resolve().parents[1]
# Maximum number of processes: far more than the processors of the machines that this runs on.
PROCESSES_MAX = 64
# Workers do not use `python -m`, which would import a file socket.py of the current directory.
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class WorkerProcesses:
    """Worker processes of a service, which share its port with the main process.

    The main process starts and stops them; a worker ends when the main process has ended.
    """

    def __init__(self, module: str, count: int, arguments: Sequence[str]) -> None:
        """Prepare `count` processes of a service, the main process among them.

        Each worker runs the Python module `module` with `arguments`, the command line of the main process.
        """
        self._module = module
        self._watched_pipe = os.environ.get(_VARIABLE)
        self._workers_wanted = 0 if self._watched_pipe is not None else count - 1
        self._arguments = arguments
        self._workers: list[asyncio.subprocess.Process] = []
        self._pipe: int | None = None
        # True if the sockets need SO_REUSEPORT.
        self.reuse_port = self._watched_pipe is not None or self._workers_wanted > 0

    async def start(self, port: int) -> None:
        """Start the workers on `port` and wait for the READY line of each; raises ServiceError if one does not start.

        If this process is itself a worker, only start to watch for the end of the main process.
        """
        if self._watched_pipe is not None:
            asyncio.get_running_loop().add_reader(int(self._watched_pipe), os.kill, os.getpid(), signal.SIGTERM)
        if not self._workers_wanted:
            return
        read_end, self._pipe = os.pipe()
        environment = {**os.environ, _VARIABLE: str(read_end)}
        command = [sys.executable, "-P", "-c", _START, str(_ROOT), self._module, *self._arguments, "--port", str(port)]
        for _ in range(self._workers_wanted):
            self._workers.append(
                await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.PIPE, env=environment, pass_fds=(read_end,)
                )
            )
        os.close(read_end)
        for process in self._workers:
            line = await process.stdout.readline() if process.stdout is not None else b""
            if not line.startswith(b"READY"):
                await self.stop()
                raise ServiceError("a worker process did not start")

    def reload(self) -> None:
        """Send SIGHUP to the worker processes, so that each reloads its configuration files."""
        for process in self._workers:
            if process.returncode is None:
                process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Stop the worker processes and wait until they have exited."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        for process in self._workers:
            await process.wait()


def add_processes_flag(flags: argparse.ArgumentParser) -> None:
    """Add the flag --processes, the number of server processes that share the port."""
    flags.add_argument(
        "--processes",
        type=integer(1, PROCESSES_MAX),
        default=1,
        metavar="N",
        help="number of server processes, which share the port (default: 1)",
    )
