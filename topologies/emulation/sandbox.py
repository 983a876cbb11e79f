"""Sandbox of Linux namespaces in which lab7 re-executes itself, so that the kernel cleans up at the end.

Design. The sandbox has new network, mount, PID, UTS and IPC namespaces, and for an ordinary user also a user namespace.
Three processes are then alive:

    lab7 (outer)    waits, forwards SIGTERM, SIGHUP and SIGINT, exits with the exit code of init
      init          process 1 of the PID namespace: reaps orphans; killed by the kernel when the outer lab7 dies
        lab7        the same command line again

Clean-up needs no code. When any of the three dies, process 1 dies, and then the kernel kills every process of the PID
namespace and frees every interface, mount and namespace, also after SIGKILL or a crash. unshare(CLONE_NEWPID) moves
only later children into the new PID namespace, which is why process 1 is forked. Process 1 has to reap orphans, which
an ordinary command does not do, so it is a process of its own.

Rights. Root needs no user namespace. An ordinary user becomes root in a new user namespace: with the user's subordinate
id ranges if newuidmap(1) grants them, so that third-party servers can change their user id; otherwise with one mapped
id, in which case a server that needs another id fails with its own message. newuidmap must run outside the new
namespace, so a child forked beforehand runs it once the namespace exists. If the kernel or AppArmor refuses, the error
message names the remedy.

Inside. Mounts are private; /proc is of the new PID namespace, /run is in memory, /sys shows the new network. The
environment variable LAB7_SANDBOX holds the identity of the network namespace. By comparing it with its own namespace,
lab7 recognises that it is inside; a process that has only inherited the variable is not misled.

Signals and exit codes. The outer process and process 1 wait for signals by sigwaitinfo(2) instead of handlers, so that
no signal is lost between two calls. The SIGINT of Ctrl-C is not forwarded, since a terminal sends it to the whole
foreground process group. If an inner process is killed by another signal (SIGKILL for lack of memory, SIGSEGV), the
outer process prints a message, saves the captures of an unfinished result, and exits with 3.

Sources: unshare(1), newuidmap(1), user_namespaces(7), pid_namespaces(7). From a shell: `python -P -m
lab7.topologies.emulation.sandbox COMMAND [ARG ...]`; without -P, Python imports modules from the current directory
first.
"""

import contextlib
import errno
import getpass
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.process import control_group, namespaces, softirq
from lab7.topologies.emulation.watch import LabDied, how_it_ended, shorten

Salvage = Callable[[Path, str], bool]
MARK = "LAB7_SANDBOX"
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
WAITED_FOR = (signal.SIGCHLD, *FORWARDED)
# Signals that end a command without an error report: sent by the user, or for a closed pipe.
USUAL = (*FORWARDED, signal.SIGQUIT, signal.SIGPIPE)
SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, for instance by a terminal
CANNOT = 3
# File with the path of the result folder in progress, written in the sandbox and read by the outer process.
UNFINISHED = Path("/run/lab7-unfinished")
SUBUID_FILE = Path("/etc/subuid")
SUBGID_FILE = Path("/etc/subgid")
# Switches that keep user namespaces from ordinary users, with the values that forbid and allow: AppArmor's of Ubuntu
# 23.10 and later, with which user namespaces have no capabilities, and that of older Debian.
SWITCHES = (
    (Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), "1", "0"),
    (Path("/proc/sys/kernel/unprivileged_userns_clone"), "0", "1"),
)
# Limits of the numbers of namespaces (namespaces(7)).
LIMITS = tuple(Path(f"/proc/sys/user/max_{kind}_namespaces") for kind in ("user", "net", "mnt", "pid", "uts", "ipc"))


def inside() -> bool:
    """Return whether this process is in a lab7 sandbox: LAB7_SANDBOX must name the current network namespace."""
    return os.environ.get(MARK) == _network_namespace()


def enter(salvage: Salvage | None = None) -> None:
    """Execute this command line again in a sandbox, and exit with its exit code; inside a sandbox, do nothing.

    salvage: function called with the result folder of the unfinished run (see `unfinished`) and the reason, if the
    command in the sandbox was killed; it returns whether the folder has captured packets. Raises MachineError if the
    kernel refuses a sandbox.
    """
    if not inside():
        sys.stdout.flush()
        sys.stderr.flush()
        sys.exit(run([sys.executable, *sys.orig_argv[1:]], salvage))


def run(command: Sequence[str], salvage: Salvage | None = None) -> int:
    """Run a command in a new sandbox; return its exit code (128 + signal number after a forwarded signal).

    Raises MachineError if the kernel refuses a sandbox, or if `ip` is missing. The calling process itself moves into
    the new namespaces, so it can call this function only once.
    """
    tools.search_system_folders()
    tools.require("ip")
    softirq.share_descriptors()
    _unshare_all()
    report, report_fd = os.pipe()
    with _signals_blocked() as blocked_before:
        init = os.fork()
        if init == 0:
            os.close(report)
            _run_init(command, blocked_before, report_fd)
        os.close(report_fd)
        status, received = _wait(init)
    control_group.remove_all()
    killed_by = os.read(report, 64)
    if (died := _describe_kill(command, status, killed_by)) is not None:
        _tell_kill(died, salvage)
        return CANNOT
    # The inner process died of a forwarded signal before it could print the reason, so the outer process prints it.
    if killed_by and -int(killed_by) in received:
        _tell_kill(f"stopped by {signal.Signals(-int(killed_by)).name}", salvage)
    return _exit_code(status)


def _tell_kill(died: str, salvage: Salvage | None) -> None:
    """Print the reason why the command in the sandbox was killed, after its captured packets have been saved."""
    folder = _unfinished_folder()
    kept = folder is not None and salvage is not None and salvage(folder, died)
    # After SIGHUP the terminal may be closed, and print() raises OSError.
    with contextlib.suppress(OSError):
        print(f"lab7: {died}{f'; packets captured until then are in {folder}' if kept else ''}", file=sys.stderr)


def _describe_kill(command: Sequence[str], status: int, report: bytes) -> str | None:
    """Return a sentence about a process of the sandbox that was killed; None if the command has ended normally.

    It uses the wait status, and the report of process 1.
    """
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and -code not in USUAL:
        return f"process 1 of the sandbox {how_it_ended(code)}"
    if report and -int(report) not in USUAL:
        return f"the process in the sandbox that runs `{shorten(shlex.join(command))}` {how_it_ended(int(report))}"
    return None


def _unfinished_folder() -> Path | None:
    try:
        text = UNFINISHED.read_text()
    except OSError:
        return None
    return Path(text) if text else None


def unfinished(folder: Path | None) -> None:
    """Register the result folder of the run in progress, None for no run, so that its captures are saved after a kill.

    This has no effect outside of a sandbox.
    """
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


# Hint in the error messages for a machine on which namespaces are not permitted.
WITHOUT = "`lab7 run --time virtual` needs no namespaces"


def _refusal(error: OSError) -> str:
    """Return an error message about namespaces that cannot be created, with the kernel setting that forbids them."""
    if error.errno == errno.ENOSPC:
        # unshare(2): the limit of namespaces of some kind is reached, which is 0 where an administrator forbids them.
        limits = [path for path in LIMITS if path.exists() and path.read_text().strip() == "0"]
        named = " ".join(f"{path.parent.name}.{path.name}=10000" for path in limits) or "user.max_user_namespaces=10000"
        return (
            f"this machine does not allow more namespaces: run `sudo sysctl {named}` once"
            f"{'' if limits else ', or end other programs that use namespaces'}; {WITHOUT}"
        )
    for switch, forbids, allows in SWITCHES:
        if switch.exists() and switch.read_text().strip() == forbids:
            return (
                f"this machine does not allow user namespaces to ordinary users: run `sudo sysctl kernel.{switch.name}="
                f"{allows}` once, or run lab7 with sudo; {WITHOUT}"
            )
    return f"namespaces cannot be created on this machine ({error.strerror}): run lab7 with sudo; {WITHOUT}"


def _unshare_as_user(flags: int) -> None:
    """Move this process into new namespaces, including a user namespace in which this user is root."""
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
        # End of file on the pipe means that unshare(2) failed in the parent, or that the parent has died.
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
    """Return (arguments for newuidmap, arguments for newgidmap); None if this user has no subordinate id range."""
    uids, gids = _subordinate_range(SUBUID_FILE, uid), _subordinate_range(SUBGID_FILE, uid)
    if uids is None or gids is None or not tools.which("newuidmap") or not tools.which("newgidmap"):
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
        completed = subprocess.run([tool, str(pid), *arguments], capture_output=True, check=False)
        if completed.returncode != 0:
            return 1
    return 0


def _run_init(command: Sequence[str], blocked_before: Iterable[int], report_fd: int) -> None:
    """Run as process 1 of the sandbox: prepare the mounts, start the command, reap processes until it exits.

    Never returns. blocked_before: signals to block in the command; report_fd: descriptor to report the signal that
    killed the command.
    """
    code = 3
    try:
        # The parent is outside of this PID namespace, so getppid(2) returns 0.
        namespaces.die_with_parent(0)
        if _is_without_reader(report_fd):
            os._exit(code)
        _prepare()
        environment = dict(os.environ, **{MARK: _network_namespace()})
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
            os.execvpe(command[0], list(command), environment)
        status, _ = _wait(child)
        code = _exit_code(status)
        if (died := os.waitstatus_to_exitcode(status)) < 0:
            os.write(report_fd, str(died).encode())
    except OSError as error:
        print(f"lab7: the sandbox could not be prepared: {error.strerror}; run lab7 with sudo", file=sys.stderr)
    except (EmulationError, LabDied) as error:
        print(f"lab7: the sandbox could not be prepared: {error}", file=sys.stderr)
    finally:
        os._exit(code)


def _is_without_reader(pipe: int) -> bool:
    """Return whether a pipe has no reader left, because the reading process has ended; poll(2)."""
    poll = select.poll()
    poll.register(pipe, 0)
    return bool(poll.poll(0))


def _prepare() -> None:
    """Mount /proc, /run and, if permitted, /sys of the new namespaces; make all mounts private.

    /run is in memory. The machine's control groups stay reachable (see control_group).
    """
    namespaces.mount("none", "/", None, namespaces.MS_REC | namespaces.MS_PRIVATE)
    namespaces.mount("proc", "/proc", "proc")
    groups = control_group.machine_groups()
    namespaces.mount("tmpfs", "/run", "tmpfs", data="mode=755")
    control_group.bind(groups)
    # Some containers do not permit mounting /sys, whose class/net then shows another namespace's interfaces.
    with contextlib.suppress(OSError):
        namespaces.mount("sysfs", "/sys", "sysfs")
    # Frames that a bridge forwards must not pass through iptables rules of the switches' namespace, such as a NAT's.
    for protocol in ("arp", "ip", "ip6"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/bridge/bridge-nf-call-{protocol}tables").write_text("0")
    # sshd needs its folder, which is empty and which the distribution's service creates.
    for folder in ("/run/netns", "/run/sshd"):
        Path(folder).mkdir()
    tools.batch("ip", ["link set dev lo up"])


@contextlib.contextmanager
def _signals_blocked() -> Iterator[set[int]]:
    """Block signals during a `with` block, in which _wait() receives them by sigwaitinfo(2).

    Yield the set blocked before.
    """
    blocked_before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)}
    try:
        yield blocked_before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def _wait(pid: int) -> tuple[int, set[int]]:
    """Wait for the end of one child process, forward signals to it, and reap others; return (wait status, signals)."""
    signals: set[int] = set()
    while True:
        received = signal.sigwaitinfo(WAITED_FOR)
        if received.si_signo != signal.SIGCHLD:
            signals.add(received.si_signo)
            # SIGINT by Ctrl-C is not forwarded: the terminal has sent it to the whole foreground group.
            # SIGHUP is forwarded: the terminal sends it to the session leader alone, which may be this process.
            if received.si_code != SI_KERNEL or received.si_signo == signal.SIGHUP:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, received.si_signo)
            continue
        # One SIGCHLD may stand for several children that have exited.
        while (ended := _reap()) is not None:
            if ended[0] == pid:
                return ended[1], signals


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
    """Run the command given as arguments in a sandbox; return its exit code."""
    if len(sys.argv) < 2:
        print("usage: python -P -m lab7.topologies.emulation.sandbox COMMAND [ARG ...]", file=sys.stderr)
        return 2
    try:
        return run(sys.argv[1:])
    except MachineError as error:
        print(f"lab7: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
