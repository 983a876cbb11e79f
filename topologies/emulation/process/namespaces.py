"""Functions for Linux namespaces, such as unshare(2) and setns(2), which the os module of Python 3.11 lacks.

Sources: unshare(2), setns(2), mount(2), prctl(2), user_namespaces(7). Left out: clone3(2), which forks by itself and
would bypass the interpreter's fork handlers.
"""

import ctypes
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab7.topologies.emulation.watch import interrupts_deferred

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

# Namespaces of a host, as named in /proc/PID/ns; the mount namespace is entered last.
HOST = ("net", "uts", "mnt")

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_TIMERSLACK = 29

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces (CLONE_NEW... or-ed). Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace of an open descriptor; `kind` is one CLONE_NEW... constant, or 0 for any. Raises OSError."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount a file system; mount(2). Raises OSError that names the target."""
    arguments = [None if value is None else os.fsencode(value) for value in (source, target, kind)]
    options = None if data is None else os.fsencode(data)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options), f"mount {target}")


def unmount(target: Path) -> None:
    """Detach a mount: it disappears at once and is released when no process uses it; umount2(2). Raises OSError."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def die_with_parent(parent: int) -> None:
    """Request that the kernel kills this process (SIGKILL) when the thread that forked it ends.

    parent: process id of that thread. If the parent ended before this call, the kernel sends no signal, and this
    process kills itself.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl PDEATHSIG")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def set_name(name: str) -> None:
    """Set the name of this process as ps and top show it; prctl(2) keeps 15 octets."""
    _check(_libc.prctl(PR_SET_NAME, os.fsencode(name)), "prctl NAME")


def tight_timers() -> None:
    """Request timers with 1 ns of slack instead of the 50 us of ordinary processes."""
    _check(_libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1)), "prctl TIMERSLACK")


def enter(pid: int, kinds: Iterable[str] = HOST) -> None:
    """Enter the namespaces of another process, named as in /proc/PID/ns, in the given order. Raises OSError."""
    enter_files(files_of(pid, kinds))


def files_of(pid: int, kinds: Iterable[str] = HOST) -> list[str]:
    """Return the files of a process's namespaces; proc_pid_ns(5)."""
    return [f"/proc/{pid}/ns/{kind}" for kind in kinds]


def enter_files(files: Iterable[str]) -> None:
    """Enter the namespaces of these files, in the given order. Raises OSError."""
    # All files are opened first: they may have no path in the mount namespace that is entered.
    descriptors = [os.open(file, os.O_RDONLY | os.O_CLOEXEC) for file in files]
    for descriptor in descriptors:
        setns(descriptor, 0)
        os.close(descriptor)


@contextmanager
def within_network(pid: int) -> Iterator[None]:
    """Switch this thread to the network namespace of a process for a `with` block (pid 0: stay); setns(2).

    Processes started in the block inherit that namespace. Raises OSError.
    """
    if not pid:
        yield
        return
    # A signal's exception during the switch back would leave this thread in the wrong network namespace.
    with interrupts_deferred():
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(pid, ("net",))
            yield
        finally:
            setns(home, CLONE_NEWNET)
            os.close(home)


def unshare_host(hostname: str, *, network: bool = True) -> None:
    """Move the calling process into a new mount and UTS namespace, and by default a new network namespace."""
    unshare((CLONE_NEWNET if network else 0) | CLONE_NEWNS | CLONE_NEWUTS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    socket.sethostname(hostname)


def bind_file(source: str, target: str) -> None:
    """Bind-mount `source` over `target` in this mount namespace, following symbolic links of `target`."""
    # mount(2) follows symbolic links; a path is resolved only for the file that is missing.
    if not os.path.exists(target):
        target = os.path.realpath(target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))
    mount(source, target, None, MS_BIND)
