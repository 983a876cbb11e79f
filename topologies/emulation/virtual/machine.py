"""Boot of a user-mode Linux kernel for one job (a command to run in it), shutdown, and clean-up in any case.

    with Machine(kernel.require(), job) as machine:
        ended = machine.wait()

`job` is the Job with the command. Clean-up happens even if this process is killed. No privileges on the host are
needed: the kernel is a program, and its processes are processes of this user.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.virtual import guard, job
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.kernel import Kernel
from lab7.topologies.emulation.watch import how_it_ended

CONSOLE = "console"
# Maximum time in seconds for boot and shutdown of the kernel, on a busy machine.
BOOT_TIMEOUT_S = 120.0
POLL_S = 0.05
# Folders for the kernel's memory file, in order of preference.
MEMORY_PLACES = ("/dev/shm", "/tmp", "/var/tmp")
# Console messages of an ordinary shutdown, which are not shown as errors.
QUIET = ("reboot: Power down", "reboot: System halted")


class OverdueError(MachineError):
    """Error for a job that exceeded its time limit, in seconds of the host's or the kernel's clock."""


@dataclass(frozen=True)
class Ended:
    """Result of a job: exit code, duration on the kernel's clock (took_s) and on the host's, from boot (real_s)."""

    code: int
    took_s: float
    real_s: float


class Machine:
    """A running user-mode kernel with its job; a context manager that removes processes and files at the end.

    folder: the job's folder on the host, which exists while the kernel runs, and is mounted at job.PLACE in the kernel;
    first: command prefix, such as nice.
    """

    def __init__(self, kernel: Kernel, of: Job, first: Sequence[str] = ()) -> None:
        self.kernel, self.job = kernel, of
        self._first = list(first)
        self.folder = Path()
        self._stack = contextlib.ExitStack()
        self._began_s = 0.0

    def __enter__(self) -> "Machine":
        with contextlib.ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="lab7-kernel-", dir=_folders_place()))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            (self.folder / job.JOB).write_text(self.job.to_json())
            (self.folder / job.INIT).write_text(job.init_script())
            if self.job.stdin is not None:
                (self.folder / job.STDIN).write_bytes(self.job.stdin)
            read_end, self._lifeline = os.pipe()
            stack.callback(self._stop)
            self._began_s = time.monotonic()
            try:
                self._guard = self._start(read_end)
            finally:
                os.close(read_end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self, lifeline: int) -> subprocess.Popen[bytes]:
        memory = memory_folder()
        kernel_words = job.kernel_words(self.kernel.program, self.job, job.memory_mb(os.environ))
        words = [sys.executable, "-I", "-S", "-B", guard.__file__, str(lifeline), str(self.folder), str(job.JOB_FD)]
        with open(self.folder / CONSOLE, "wb") as console:
            return subprocess.Popen(
                [*self._first, *words, *kernel_words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**job.kernel_environment(self.job, os.environ), "TMPDIR": memory},
                pass_fds=(lifeline,),
                # The guard has a separate session, so that Ctrl-C of the terminal reaches only this process.
                start_new_session=True,
            )

    def _stop(self) -> None:
        os.close(self._lifeline)
        if hasattr(self, "_guard"):
            self._guard.wait()

    @property
    def pid(self) -> int:
        """Process id of the guard, which starts and kills the kernel, and leads a session of its own."""
        return self._guard.pid

    def real_s(self) -> float:
        """Return the seconds since the start of the kernel on the host's clock."""
        return time.monotonic() - self._began_s

    def used_s(self) -> float:
        """Return the CPU time of the kernel and its living processes, in seconds; proc(5)."""
        return sum(_used_s(int(name), self.pid) for name in os.listdir("/proc") if name.isdigit())

    def poll(self) -> Ended | None:
        """Return the result of the job, None while the job runs.

        Raises MachineError if the kernel ended without a result.
        """
        exited = self._guard.poll() is not None or (self.folder / guard.EXIT).exists()
        ended = self._read_ended()
        if ended is not None or not exited:
            return ended
        output = self.console_tail()
        raise MachineError(f"{self._how_it_ended()} before its job ended{f': {output}' if output else ''}")

    def _how_it_ended(self) -> str:
        """Return a phrase about the exit of the kernel, or of the guard process if the kernel has no exit code."""
        try:
            code = int((self.folder / guard.EXIT).read_text())
        except (OSError, ValueError):
            return f"the guard of the kernel of virtual time {how_it_ended(self._guard.poll())}"
        return f"the kernel of virtual time {how_it_ended(code)}"

    def _read_ended(self) -> Ended | None:
        try:
            ended = json.loads((self.folder / job.ENDED).read_text())
        except OSError:
            return None
        if ended["overdue"]:
            raise OverdueError(f"not ended after {self.job.limit_s:g} s of virtual time")
        return Ended(int(ended["code"]), float(ended["took_s"]), self.real_s())

    def wait(self, limit_s: float | None, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """Wait for the end of the job, and return its result; meanwhile, call the function `meanwhile` repeatedly.

        limit_s: maximum time in seconds of the host's clock, after which OverdueError is raised. Raises MachineError.
        """
        while True:
            ended = self.poll()
            meanwhile()
            if ended is not None:
                return ended
            if limit_s is not None and self.real_s() > limit_s:
                raise OverdueError(f"not ended after {limit_s:g} s of real time")
            # The result file is polled, since not every file system reports new files; each wait has a time limit.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(POLL_S)

    def console(self) -> list[str]:
        """Return the console lines of the kernel and process 1 so far."""
        try:
            lines = (self.folder / CONSOLE).read_text(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip() not in QUIET]

    def console_tail(self) -> str:
        """Return the last lines of the console for an error message."""
        return job.console_tail(self.console())


def memory_folder(outer: Mapping[str, str] = os.environ) -> str:
    """Return a folder for the kernel's memory file: $TMPDIR, else the first with enough space. Raises MachineError.

    A memory file that cannot grow to the whole size would end the kernel by SIGBUS at any moment.
    """
    if given := outer.get("TMPDIR"):
        return given
    free_mb, needed_mb = {}, job.memory_mb(outer)
    for place in MEMORY_PLACES:
        with contextlib.suppress(OSError):
            free_mb[place] = shutil.disk_usage(place).free // 2**20
            if free_mb[place] >= needed_mb and os.access(place, os.W_OK | os.X_OK):
                return place
    free = " and ".join(f"{megabytes} MB in {place}" for place, megabytes in free_mb.items())
    raise MachineError(
        f"the kernel of virtual time needs {needed_mb} MB for its memory, but only {free} are free: name "
        "a folder with more space by TMPDIR (for a container: --shm-size 2g)"
    )


def _folders_place() -> str | None:
    """Return the parent folder for job folders: /dev/shm if writable, since a sync there costs nothing.

    Returns None otherwise, which stands for the default folder of temporary files.
    """
    place = "/dev/shm"
    return place if os.access(place, os.W_OK | os.X_OK) else None


def _used_s(pid: int, session: int) -> float:
    """Return the CPU time in seconds of a process and its reaped children; 0 if it is in another session."""
    try:
        # In /proc/PID/stat the second field is the program's name in parentheses, which may contain spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if int(fields[3]) == session else 0.0
