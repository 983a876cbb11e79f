"""A sandbox: namespaces in which lab7 runs itself again, so that the kernel removes everything when it ends.

New network, mount, PID, UTS and IPC namespaces; for an ordinary user also a user namespace, with the user's
sub-id ranges where newuidmap(1) grants them (so that real servers can change user), else with one id.
Three processes are then alive:

    lab7 (outer)    waits, passes SIGTERM, SIGHUP and SIGINT on, exits as the inner one did
      init          process 1 of the PID namespace: reaps orphans; killed by the kernel when the outer one dies
        lab7        the same command line again

When any of the three dies, process 1 dies, and with it every process, interface, mount and namespace. Where that is by
a signal of no person's (SIGKILL for want of memory, SIGSEGV), the next outer one says so and exits with 3.
Sources: unshare(1), newuidmap(1), user_namespaces(7), pid_namespaces(7).

From a shell: `python -P -m topologies.emulation.sandbox COMMAND [ARG ...]`; without -P, Python imports what lies in the
current directory before anything else.
"""

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from topologies.emulation import tools
from topologies.emulation.errors import MachineError
from topologies.emulation.process import namespaces, softirq
from topologies.emulation.watch import how_it_ended, shorten

MARK = "LAB7_SANDBOX"
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
WAITED_FOR = (signal.SIGCHLD, *FORWARDED)
# Which signals end a command by the will of a person, or because the reader of its output has left.
USUAL = (*FORWARDED, signal.SIGQUIT, signal.SIGPIPE)
SI_KERNEL = 0x80  # asm-generic/siginfo.h: a terminal's, for instance
CANNOT = 3
# Where the command inside says which folder it is writing its result to; the outer process sees the same /run.
UNFINISHED = Path("/run/lab7-unfinished")
SUBUID_FILE = Path("/etc/subuid")
SUBGID_FILE = Path("/etc/subgid")
# Ubuntu 23.10 and later: user namespaces exist but come without any capability.
APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


def inside() -> bool:
    """Whether this process runs in a lab7 sandbox (its network namespace is the one that was made for it)."""
    return os.environ.get(MARK) == _network_namespace()


def enter(salvage: Callable[[Path], None] | None = None) -> None:
    """Run this process's own command line again in a sandbox and exit as it exits; inside one, do nothing.

    salvage: called with the folder of an unfinished result (see `unfinished`) when the command there has been killed.
    Raises MachineError where the kernel refuses.
    """
    if not inside():
        sys.stdout.flush()
        sys.stderr.flush()
        sys.exit(run([sys.executable, *sys.orig_argv[1:]], salvage))


def run(command: Sequence[str], salvage: Callable[[Path], None] | None = None) -> int:
    """Run a command in a new sandbox; returns its exit code (128 + signal number when a person's signal ended it).

    Raises MachineError where the kernel refuses or `ip` is missing. The calling process moves into the new
    namespaces as well, so it can call this once only.
    """
    tools.search_system_folders()
    tools.require("ip")
    softirq.pass_on()
    _unshare_all()
    told, telling = os.pipe()
    with _passed_on() as former:
        init = os.fork()
        if init == 0:
            _be_init(command, former, telling)
        os.close(telling)
        status = _wait(init)
    if (died := _death(command, status, os.read(told, 64))) is None:
        return _exit_code(status)
    folder = _unfinished_folder()
    if folder is not None and salvage is not None:
        salvage(folder)
    print(f"lab7: {died}{f'; what was captured until then is in {folder}' if folder else ''}", file=sys.stderr)
    return CANNOT


def _death(command: Sequence[str], status: int, told: bytes) -> str | None:
    """The sentence on a process of the sandbox that was killed, by the wait status of process 1 and what that told."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and -code not in USUAL:
        return f"process 1 of the sandbox {how_it_ended(code)}"
    if told:
        return f"the process in the sandbox that runs `{shorten(shlex.join(command))}` {how_it_ended(int(told))}"
    return None


def _unfinished_folder() -> Path | None:
    try:
        text = UNFINISHED.read_text()
    except OSError:
        return None
    return Path(text) if text else None


def unfinished(folder: Path | None) -> None:
    """Say to which folder a result is being written; None: to none any more. Nothing happens outside of a sandbox."""
    if inside():
        UNFINISHED.write_text(str(folder.resolve()) if folder else "")


def _network_namespace() -> str:
    return os.readlink("/proc/self/ns/net")


def _unshare_all() -> None:
    flags = (
        namespaces.CLONE_NEWNET
        | namespaces.CLONE_NEWNS
        | namespaces.CLONE_NEWPID
        | namespaces.CLONE_NEWUTS
        | namespaces.CLONE_NEWIPC
    )
    try:
        if os.geteuid() == 0:
            namespaces.unshare(flags)
        else:
            _unshare_as_user(flags)
    except OSError as error:
        raise MachineError(_refusal(error)) from error


# Where no namespaces are to be had, on x86-64.
WITHOUT = "`lab7 run --time virtual` needs no namespaces"


def _refusal(error: OSError) -> str:
    if APPARMOR_SWITCH.exists() and APPARMOR_SWITCH.read_text().strip() == "1":
        return (
            "this machine forbids user namespaces to ordinary users: run "
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` once, or run lab7 with sudo; " + WITHOUT
        )
    return f"this machine does not let lab7 make namespaces ({error.strerror}): run lab7 with sudo; {WITHOUT}"


def _unshare_as_user(flags: int) -> None:
    """Unshare with a user namespace in which this user is root."""
    uid, gid = os.geteuid(), os.getegid()
    maps = _subordinate_maps(uid, gid)
    if maps is None:
        namespaces.unshare(flags | namespaces.CLONE_NEWUSER)
        _map_one_id(uid, gid)
        return
    # newuidmap must run outside the new user namespace, so a child forked beforehand calls it.
    go_read, go_write = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(go_write)
        # Nothing to read but the end: the parent was refused its namespaces, or has died.
        os._exit(_write_maps(os.getppid(), *maps) if os.read(go_read, 1) else 1)
    os.close(go_read)
    try:
        namespaces.unshare(flags | namespaces.CLONE_NEWUSER)
        os.write(go_write, b"g")
    finally:
        os.close(go_write)
        mapped = os.waitstatus_to_exitcode(os.waitpid(mapper, 0)[1]) == 0
    if not mapped:
        _map_one_id(uid, gid)


def _map_one_id(uid: int, gid: int) -> None:
    # user_namespaces(7): setgroups must be denied before an unprivileged process may write its gid_map.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _subordinate_maps(uid: int, gid: int) -> tuple[list[str], list[str]] | None:
    """Arguments for newuidmap and newgidmap, or None where this user has no sub-id range."""
    uids, gids = _subordinate_range(SUBUID_FILE, uid), _subordinate_range(SUBGID_FILE, uid)
    if uids is None or gids is None or not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        return None
    return ["0", str(uid), "1", "1", *uids], ["0", str(gid), "1", "1", *gids]


def _subordinate_range(file: Path, uid: int) -> tuple[str, str] | None:
    try:
        owners = {str(uid), getpass.getuser()}
        rows = [line.split(":") for line in file.read_text().splitlines()]
    except (OSError, KeyError):
        return None
    return next(((row[1], row[2]) for row in rows if len(row) == 3 and row[0] in owners), None)


def _write_maps(pid: int, uids: list[str], gids: list[str]) -> int:
    for tool, arguments in (("newuidmap", uids), ("newgidmap", gids)):
        done = subprocess.run([tool, str(pid), *arguments], capture_output=True, check=False)
        if done.returncode != 0:
            return 1
    return 0


def _be_init(command: Sequence[str], former: Iterable[int], telling: int) -> None:
    """Process 1: prepare the mounts, start the command, reap until it ends. Never returns.

    former: the signals that the command finds blocked; telling: where to write how the command was killed.
    """
    code = 3
    try:
        namespaces.die_with_parent()
        _prepare()
        environment = dict(os.environ, **{MARK: _network_namespace()})
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
            os.execvpe(command[0], list(command), environment)
        status = _wait(child)
        code = _exit_code(status)
        if (died := os.waitstatus_to_exitcode(status)) < 0 and -died not in USUAL:
            os.write(telling, str(died).encode())
    except OSError as error:
        print(f"lab7: the sandbox could not be prepared: {error.strerror}; run lab7 with sudo", file=sys.stderr)
    finally:
        os._exit(code)


def _prepare() -> None:
    """Private mounts: /proc of this PID namespace, /run in memory, and /sys of this network where allowed."""
    namespaces.mount("none", "/", None, namespaces.MS_REC | namespaces.MS_PRIVATE)
    namespaces.mount("proc", "/proc", "proc")
    namespaces.mount("tmpfs", "/run", "tmpfs", data="mode=755")
    # Refused in some containers: /sys/class/net then shows another namespace's interfaces.
    with contextlib.suppress(OSError):
        namespaces.mount("sysfs", "/sys", "sysfs")
    Path("/run/netns").mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)


@contextlib.contextmanager
def _passed_on() -> Iterator[set[int]]:
    """Signals wait for `_wait` to take them, instead of ending this process; gives those that were blocked before."""
    former = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)}
    try:
        yield former
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _wait(pid: int) -> int:
    """Wait for one child, passing signals on to it and reaping all others that end before; returns its wait status."""
    while True:
        received = signal.sigwaitinfo(WAITED_FOR)
        # A terminal sends its signals to the whole foreground group: the inner process has them already.
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != SI_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, received.si_signo)
            continue
        # One signal may stand for several children.
        while (ended := _reap()) is not None:
            if ended[0] == pid:
                return ended[1]


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main() -> int:
    """Run the command line's command in a sandbox."""
    if len(sys.argv) < 2:
        print("usage: python -P -m topologies.emulation.sandbox COMMAND [ARG ...]", file=sys.stderr)
        return 2
    try:
        return run(sys.argv[1:])
    except MachineError as error:
        print(f"lab7: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
