"""Guard process of a user-mode kernel: starts and kills the kernel, and removes its folder, even if lab7 is killed.

    lab7     holds one end of a pipe
      guard  in a session of its own: waits for the end of the kernel, or of the pipe
        linux    killed by the kernel of the host when the guard dies (PR_SET_PDEATHSIG)
          its processes, traced by linux: they die with linux (PTRACE_O_EXITKILL)

`python guard.py LIFELINE FOLDER JOB_FD COMMAND ...`: LIFELINE is the pipe's descriptor; the kernel inherits FOLDER open
as descriptor JOB_FD. When the kernel exits, the guard writes the kernel's exit code to FOLDER/exit; when the pipe is
closed, the guard removes FOLDER. The module uses the standard library only, for a fast start.
"""

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1
# personality(2)
PERSONALITY_READ, ADDR_NO_RANDOMIZE = 0xFFFFFFFF, 0x0040000
FAILED = 127
EXIT = "exit"


def _exec_kernel(guard: int, folder: str, job_fd: int, command: list[str]) -> None:
    """Execute the kernel program in the forked child process, which it replaces; never returns."""
    try:
        os.setpgid(0, 0)
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _fix_addresses(libc)
        if os.getppid() != guard:
            os._exit(FAILED)
        # The limit of open files is raised, because hostfs keeps a descriptor for each open file.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(opened, job_fd, inheritable=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
    os._exit(FAILED)


def _fix_addresses(libc: ctypes.CDLL) -> None:
    """Disable address space randomisation of the kernel's program, if the host permits it.

    The kernel counts the gap between its program and its heap, which is random (up to 1 GB), as memory, and derives the
    sizes of its hash tables from the amount of memory, for example of the table of IP identifications.
    """
    known = libc.personality(PERSONALITY_READ)
    if known >= 0:
        # An error is ignored, because seccomp of a container may forbid personality(2).
        libc.personality(known | ADDR_NO_RANDOMIZE)


def main(argv: list[str]) -> int:
    """Start one kernel, and wait for its exit or the end of the pipe from lab7; then kill it and clean up."""
    lifeline, folder, job_fd, command = int(argv[0]), argv[1], int(argv[2]), argv[3:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        guard = os.getpid()
        kernel = os.fork()
        if kernel == 0:
            os.close(lifeline)
            _exec_kernel(guard, folder, job_fd, command)
        # setpgid() is called in parent and child, so that the process group exists whichever runs first.
        with contextlib.suppress(OSError):
            os.setpgid(kernel, kernel)
        select.select([os.pidfd_open(kernel), lifeline], [], [])
        with contextlib.suppress(ProcessLookupError):
            # The whole process group is killed, because the kernel has helper processes.
            os.killpg(kernel, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(kernel, 0)[1])
        with open(f"{folder}/{EXIT}.part", "w") as file:
            file.write(str(code))
        os.rename(file.name, f"{folder}/{EXIT}")
        # read() returns at end of file, when lab7 has exited, because nothing is ever written to the pipe.
        os.read(lifeline, 1)
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
