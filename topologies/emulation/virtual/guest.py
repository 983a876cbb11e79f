"""Process 1 of the user-mode kernel: it mounts a writable overlay over the host's root, runs the job, and powers off.

`python -m lab7.topologies.emulation.virtual.guest FOLDER`: FOLDER is the job's folder. The module uses the standard
library only, for a fast start.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Any

from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.virtual import alignment
from lab7.topologies.emulation.virtual.job import (
    BEAT_S,
    BEAT_SHARE,
    BEATS,
    ENDED,
    HOME,
    JOB,
    PACKAGE_ROOT,
    PLACE,
    STDERR,
    STDIN,
    STDOUT,
    WALL_CLOCK_S,
)

PAGES, PAGES_COPY, DAY_S = "lab7/topologies/www", "/run/www", 86_400
ROOT = "/run/root"
OLD_ROOT = "run/host"
SYS_PIVOT_ROOT = 155  # x86-64
# reboot(2)
POWER_OFF = 0x4321FEDC
# netdevice(7)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
# termios(3), VEOF.
END_OF_INPUT = b"\x04"
TUN_DEVICE = (10, 200)
# Maximum number of processes and threads in total, against a fork bomb.
THREADS_MAX = 4000
# Shortest timer in seconds: setitimer(2) counts microseconds, and 0 would stop the timer.
LEAST_TIMER_S = 1e-6
# Environment variable of emulation.sandbox (LAB7_SANDBOX); a kernel that is booted for one run counts as a sandbox.
SANDBOX_MARK = "LAB7_SANDBOX"


def _make_root(folder: str, folders: dict[str, str]) -> None:
    """Mount the host's root read-only below an overlay in memory, mount the job's folders writable, change root."""
    namespaces.mount("tmpfs", "/run", "tmpfs", data="mode=755")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/run/{name}")
    namespaces.mount("overlay", ROOT, "overlay", data="lowerdir=/,upperdir=/run/upper,workdir=/run/work")
    for kind, place, data in (
        ("proc", "/proc", None),
        ("sysfs", "/sys", None),
        ("devtmpfs", "/dev", None),
        ("devpts", "/dev/pts", "mode=620,ptmxmode=666"),
        ("tmpfs", "/dev/shm", "mode=1777"),
        ("tmpfs", "/run", "mode=755"),
    ):
        os.makedirs(ROOT + place, exist_ok=True)
        namespaces.mount(kind, ROOT + place, kind, data=data)
    # Folders are sorted by mount point, so that a folder within another one is mounted after that one.
    for source, target in sorted([(folder, PLACE), *folders.items()], key=lambda mount: mount[1]):
        os.makedirs(ROOT + target, exist_ok=True)
        namespaces.mount("host", ROOT + target, "hostfs", data=source)
    os.makedirs(f"{ROOT}/{OLD_ROOT}")
    os.chdir(ROOT)
    # pivot_root(2) instead of chroot(2), because a chrooted process may not create user namespaces.
    if ctypes.CDLL(None, use_errno=True).syscall(SYS_PIVOT_ROOT, b".", OLD_ROOT.encode()) != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")


def _set_up(fixed_addresses: bool) -> None:
    """Create device nodes, bring the loopback interface up, set the host name."""
    os.makedirs("/dev/net", exist_ok=True)
    if not os.path.exists("/dev/net/tun"):
        os.mknod("/dev/net/tun", 0o666 | stat.S_IFCHR, os.makedev(*TUN_DEVICE))
    os.chmod("/dev/net/tun", 0o666)
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists(f"/dev/{link}"):
            os.symlink(target, f"/dev/{link}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack_from("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    socket.sethostname("lab7")
    Path("/proc/sys/kernel/threads-max").write_text(str(THREADS_MAX))
    os.mkdir(HOME)
    if fixed_addresses:
        Path("/proc/sys/kernel/randomize_va_space").write_text("0")
        _date_pages()


def _date_pages() -> None:
    """Mount a copy of the web pages for origin servers, with one fixed modification time (Last-Modified).

    The modification times of the files vary between checkouts, and cannot be changed there, since the files may be the
    host's.
    """
    shutil.copytree(PACKAGE_ROOT / PAGES, PAGES_COPY)
    for place, _, names in os.walk(PAGES_COPY):
        for name in sorted(names):
            os.utime(Path(place, name), (WALL_CLOCK_S - DAY_S,) * 2)
    namespaces.mount(PAGES_COPY, str(PACKAGE_ROOT / PAGES), None, namespaces.MS_BIND)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    """Run the job to its end or time limit, reap orphans; return {code: exit code, overdue: limit exceeded}."""
    child = os.fork()
    if child == 0:
        _exec_job(job)
    overdue = False
    began_s = time.monotonic()
    # O_SYNC, because hostfs buffers writes until a sync, and the host reads this file while the job runs.
    beats = os.open(f"{PLACE}/{BEATS}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC | os.O_CLOEXEC)

    def beat(_number: int, _frame: object) -> None:
        nonlocal overdue
        passed_s = time.monotonic() - began_s
        if passed_s >= job["limit_s"]:
            overdue = True
            os.kill(-1, signal.SIGKILL)
            return
        os.write(beats, b".")
        left_s = max(job["limit_s"] - passed_s, LEAST_TIMER_S)
        signal.setitimer(signal.ITIMER_REAL, min(max(BEAT_S, BEAT_SHARE * passed_s), left_s))

    signal.signal(signal.SIGALRM, beat)
    signal.setitimer(signal.ITIMER_REAL, min(BEAT_S, job["limit_s"]))
    while True:
        ended, status = os.wait()
        if ended == child:
            break
    signal.setitimer(signal.ITIMER_REAL, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code if code >= 0 else 128 - code, "overdue": overdue}


def _exec_job(job: dict[str, Any]) -> None:
    """Execute the job's command in the forked child process, which it replaces; never returns."""
    try:
        for number, (path, flags) in enumerate(
            (
                (f"{PLACE}/{STDIN}" if job["stdin"] else "/dev/null", os.O_RDONLY),
                # O_SYNC, because hostfs buffers writes until close, and the host reads these files while the job runs.
                (f"{PLACE}/{STDOUT}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC),
                (f"{PLACE}/{STDERR}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC),
            )
        ):
            os.dup2(os.open(path, flags), number)
        os.setsid()
        if job["terminal"]:
            rows, columns = job["terminal"]
            _attach_terminal(rows, columns, with_input=not job["stdin"])
        os.chdir(job["directory"])
        environment = dict(job["environment"])
        if job["virtual"]:
            environment[SANDBOX_MARK] = os.readlink("/proc/self/ns/net")
            environment[alignment.VARIABLE] = "1"
        os.execvpe(job["command"][0], job["command"], environment)
    except OSError as error:
        print(f"lab7: {job['command'][0]} could not be run ({error.strerror})", file=sys.stderr)
    os._exit(127)


def _attach_terminal(rows: int, columns: int, with_input: bool) -> None:
    """Continue this program in a child on a pseudo-terminal.

    The parent copies the output, and exits with the child's code. Output is copied unprocessed, since the host's
    terminal translates line ends. with_input: standard input is the terminal as well, at end of file, since virtual
    time would stand still while the user types.
    """
    primary, secondary = os.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    settings = termios.tcgetattr(secondary)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(secondary, termios.TCSANOW, settings)
    child = os.fork()
    if child == 0:
        os.close(primary)
        os.setsid()
        fcntl.ioctl(secondary, termios.TIOCSCTTY, 0)
        for number in range(0 if with_input else 1, 3):
            os.dup2(secondary, number)
        return
    os.close(secondary)
    os.write(primary, END_OF_INPUT)
    with contextlib.suppress(OSError):
        # read() raises EIO when the last process that has the terminal open has ended.
        while piece := os.read(primary, 65_536):
            os.write(1, piece)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def main(argv: list[str]) -> None:
    """Run as process 1 of the kernel, from boot to power-off."""
    try:
        # The job is read before this kernel's /proc is mounted, because its path leads through the host's /proc.
        job = json.loads(Path(argv[0], JOB).read_text())
        _make_root(argv[0], job["folders"])
        _set_up(job["fixed_addresses"])
        time.sleep(job["settle_s"])
        began_s = time.monotonic()
        ended = _run(job)
        took_s = time.monotonic() - began_s
        os.sync()
        partial = Path(PLACE, f"{ENDED}.part")
        partial.write_text(json.dumps({**ended, "took_s": took_s}))
        partial.rename(Path(PLACE, ENDED))
    except Exception as error:
        print(f"init: {type(error).__name__}: {error}", flush=True)
    finally:
        os.sync()
        ctypes.CDLL(None).reboot(POWER_OFF)


if __name__ == "__main__":
    main(sys.argv[1:])
