"""Services and programs on loopback for tests without a network: one process each, stopped at the end of the test."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab7 import services
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.process.launcher import READY, READY_TIMEOUT_S, readable

HOST = "127.0.0.1"
PORT = "{port}"
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02
# What the source of a module has that can be started.
MAIN = "\ndef main("


@dataclass(frozen=True)
class RunningService:
    """Running service: its command line, process, and ports in the order in which it printed them."""

    command: str
    process: subprocess.Popen[bytes]
    ports: tuple[int, ...]
    errors: Path
    host: str = HOST

    @property
    def port(self) -> int:
        """First port of the service."""
        return self.ports[0]

    @property
    def output(self) -> str:
        """Text that the service has written so far to standard error; of a program, to standard output as well."""
        return self.errors.read_text(errors="replace")


class ServiceStarter:
    """Callable that starts services, and context manager that stops them at the end of the `with` block."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = Path()
        self._count = 0

    def __enter__(self) -> ServiceStarter:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lab7-service-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(self, command: str | Sequence[str], *arguments: str, cwd: str | Path | None = None) -> RunningService:
        """Start a service of lab7 by its module (`http.origin --root www`), or a program; return when it is ready.

        A service listens on a free port of 127.0.0.1. In the command line of a program, `{port}` is replaced by a free
        TCP port. Raises EmulationError with the last line of the output.
        """
        words = [*(shlex.split(command) if isinstance(command, str) else command), *arguments]
        self._count += 1
        errors = self._folder / f"{self._count}.err"
        if any(PORT in word for word in words):
            return self._program(words, errors, cwd)
        _check_module(words)
        module = words[0] if words[0].startswith(f"{services.__name__}.") else f"{services.__name__}.{words[0]}"
        start = module_command(module, *words[1:], "--listen", HOST, "--port", "0")
        process = self._start(start, errors, cwd)
        return RunningService(shlex.join(words), process, _await_ready(words, process, errors), errors)

    def _program(self, words: list[str], errors: Path, cwd: str | Path | None) -> RunningService:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        words = [word.replace(PORT, str(port)) for word in words]
        # Nothing reads a pipe of a program, which would stop when the pipe is full.
        process = self._start(words, errors, cwd, output=subprocess.STDOUT)
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            with socket.socket() as client:
                if client.connect_ex((HOST, port)) == 0:
                    return RunningService(shlex.join(words), process, (port,), errors)
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise _not_ready(words, process, errors, f"accept connections to port {port}")
            time.sleep(POLL_S)

    def _start(
        self, words: Sequence[str], errors: Path, cwd: str | Path | None, output: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        try:
            with errors.open("wb") as sink:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=sink if output == subprocess.STDOUT else output,
                    stderr=sink,
                    cwd=cwd,
                )
        except OSError as error:
            raise EmulationError(f"`{shlex.join(words)}` cannot be started ({error.strerror})") from error
        self._stack.callback(_stop, process)
        return process


def _await_ready(words: Sequence[str], process: subprocess.Popen[bytes], errors: Path) -> tuple[int, ...]:
    """Return the ports in a service's first line of output, `READY ADDRESS:PORT ...`."""
    assert process.stdout is not None
    answered = readable(process.stdout, READY_TIMEOUT_S)
    line = process.stdout.readline() if answered else b""
    if answered and not line:
        # The process has closed its output, as one does that ends: its exit status follows.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    if not line.startswith(READY):
        raise _not_ready(words, process, errors, "print READY")
    addresses = [word for word in line.decode(errors="replace").split()[1:] if ":" in word]
    return tuple(int(address.rpartition(":")[2]) for address in addresses)


def _not_ready(words: Sequence[str], process: subprocess.Popen[bytes], errors: Path, what: str) -> EmulationError:
    status = process.poll()
    _stop(process)
    lines = errors.read_text(errors="replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if status is not None:
        how = f"ended with exit status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
        return EmulationError(f"`{shlex.join(words)}` {how}, and did not {what}{last}")
    return EmulationError(f"`{shlex.join(words)}` did not {what} within {READY_TIMEOUT_S:g} s{last}")


def _check_module(words: Sequence[str]) -> None:
    """Raise ArgumentError unless the first word of a command line is a service of lab7.

    The message says that any other program must have `{port}` in its command line.
    """
    name = words[0].removeprefix(f"{services.__name__}.") if words else ""
    folder = Path(services.__path__[0])
    known = {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__main__").removesuffix(".__init__")
        for path in folder.rglob("*.py")
        if MAIN in path.read_text(encoding="utf-8")
    }
    if name not in known:
        raise ArgumentError(
            f"lab7 has no service {name!r}{did_you_mean(name, known)}: give a module of {services.__name__}, such as "
            f"http.origin or dns.authoritative, or a program whose command line has {PORT}"
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
