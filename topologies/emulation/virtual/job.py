"""Job of a user-mode kernel: the command to run, and the kernel's own command line and environment.

The kernel's random number pool takes the kernel's command line as an input, so this command line is the same in every
run. Data that varies (the job, its folders) is in a file in the job's folder, which the kernel inherits as an open
descriptor. The command line names this folder by the constant path /proc/self/fd/NUMBER: hostfs opens the path on the
host, where /proc/self is the process of the kernel.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import lab7
from lab7.topologies.emulation.errors import MachineError

JOB_FD = 60
JOB_FOLDER = f"/proc/self/fd/{JOB_FD}/"
# Mount point of the job's folder in the kernel.
PLACE = "/run/lab7-job"
JOB, INIT, ENDED = "job.json", "init", "ended.json"
STDIN, STDOUT, STDERR = "stdin", "stdout", "stderr"
# BEATS is the heartbeat file: an octet is appended every BEAT_S of the kernel's clock, later at longer intervals.
# BEAT_S is several seconds, because each reading of the clock advances it by 32 ns (UML's TIMER_MULTIPLIER).
# A program that busy-waits for 1 s of the kernel's clock computes for a minute, which must not count as progress.
BEATS = "beats"
BEAT_S, BEAT_SHARE = 5.0, 1e-3
PACKAGE_ROOT = Path(lab7.__file__).resolve().parents[1]
GUEST = "lab7.topologies.emulation.virtual.guest"

MEMORY_MB = 1536
# Environment variable with the size of the kernel's memory in MB, for networks of hundreds of hosts (7 MB a host).
MEMORY_VARIABLE = "LAB7_VIRTUAL_MEMORY"
# Wall clock at boot, 2030-01-01T00:00:00Z: later than all files, so that no Last-Modified is in the future.
WALL_CLOCK_S = 1_893_456_000
HOME = "/run/home"
SAME_EVERYWHERE = {
    "HOME": HOME,
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
    "TZ": "UTC0",
    "PYTHONHASHSEED": "0",
    # Python writes no bytecode files: such files would be lost, and would change the inode numbers of other files.
    "PYTHONDONTWRITEBYTECODE": "1",
}
PERSONAL = ("LC_", "XDG_", "SSH_", "GIT_", "SUDO_")
PERSONAL_NAMES = frozenset(
    [
        "LANGUAGE",
        "HOSTNAME",
        "HOST",
        "MAIL",
        "EMAIL",
        "REPLYTO",
        "USERNAME",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ]
)
# Variables of the C library's allocator, of numerical libraries and of the interpreter, which change how programs run:
# a Dask worker has MALLOC_TRIM_THRESHOLD_ and OMP_NUM_THREADS, asyncio reads the clock more often when it is debugged.
RUNTIME = ("MALLOC_", "GLIBC_TUNABLES", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "DASK_")
RUNTIME_NAMES = frozenset(
    [
        "COLUMNS",
        "LINES",
        "PYTHONASYNCIODEBUG",
        "PYTHONDEVMODE",
        "PYTHONFAULTHANDLER",
        "PYTHONMALLOC",
        "PYTHONMALLOCSTATS",
        "PYTHONPROFILEIMPORTTIME",
        "PYTHONTRACEMALLOC",
        "PYTHONUNBUFFERED",
        "PYTHONVERBOSE",
    ]
)
# Seconds after boot at which the job starts, because some programs (ping) take a clock at 0 s as unset.
SETTLE_S = 10.0


@dataclass(frozen=True)
class Job:
    """A command to run in a user-mode kernel, with its folders, seed and time limit.

    folders    writable folders of the host -> their mount points in the kernel
    seed       seed of the kernel's entropy and wall clock; None: the host's entropy and clock
    limit_s    time limit in seconds of the kernel's clock
    virtual    the clock is virtual
    terminal   rows and columns of the terminal to which the job writes, None without a terminal
    stdin      octets of standard input, None for an empty input
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    folders: Mapping[str, str] = field(default_factory=dict)
    limit_s: float = 3600.0
    seed: int | None = None
    virtual: bool = True
    terminal: tuple[int, int] | None = None
    stdin: bytes | None = None

    def to_json(self) -> str:
        """Encode the job as JSON, for process 1 of the kernel (guest)."""
        settle_s = SETTLE_S if self.virtual else 0.0
        fixed = self.seed is not None
        return json.dumps(
            {
                **asdict(self),
                "folders": dict(self.folders),
                "stdin": self.stdin is not None,
                "environment": dict(self.environment),
                "settle_s": settle_s,
                "fixed_addresses": fixed,
            },
            indent=1,
        )


def memory_mb(outer: Mapping[str, str]) -> int:
    """Return the size of the kernel's memory in MB, at least MEMORY_MB. Raises MachineError for an invalid size.

    The size is an input of the random number pool: with another size, the same seed gives other packets.
    """
    given = outer.get(MEMORY_VARIABLE, str(MEMORY_MB))
    if not given.isdecimal() or int(given) < MEMORY_MB:
        raise MachineError(f"{MEMORY_VARIABLE}={given} is not a number of MB from {MEMORY_MB} on: write 8000 for 8 GB")
    return int(given)


def kernel_words(program: Path, job: Job, memory: int = MEMORY_MB) -> list[str]:
    """Return the kernel's command line; it depends only on `memory` (MB), `virtual`, and whether a seed is set."""
    words = [
        str(program),
        f"mem={memory}M",
        *("root=none", "rootfstype=hostfs", "rootflags=/", "ro"),
        *("quiet", "con=null", "con0=null,fd:1"),
        *(f"uml_dir={JOB_FOLDER}", "umid=uml"),
    ]
    if job.virtual:
        words.append("time-travel=inf-cpu")
    if job.virtual and job.seed is not None:
        words.append(f"time-travel-start={WALL_CLOCK_S * 1_000_000_000}")
    return [*words, "init=/bin/sh", "--", JOB_FOLDER + INIT]


def kernel_environment(job: Job, outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of the kernel program."""
    kept = {name: outer[name] for name in ("PATH", "HOME", "TMPDIR") if name in outer}
    return kept if job.seed is None else {**kept, "LAB7_ENTROPY": str(job.seed)}


def init_script(python: str = sys.executable) -> str:
    """Return the shell script that the kernel runs as process 1."""
    words = f"exec {shlex.quote(python)} -S -B -m {GUEST} {JOB_FOLDER}"
    return f"cd {shlex.quote(str(PACKAGE_ROOT))} && {words}\n"


def job_environment(outer: Mapping[str, str], seed: int | None) -> dict[str, str]:
    """Return the environment variables of a job: those of the caller, reduced if the job has a seed.

    With a seed, variables that could change packets are removed. The home folder (which contains start-up files of
    programs), language and time zone are then the same for every user of every machine. Packages installed for Python
    in the user's home are still found.
    """
    if seed is None:
        return dict(outer)
    kept = {
        name: value
        for name, value in outer.items()
        if not name.startswith((*PERSONAL, *RUNTIME)) and name not in PERSONAL_NAMES | RUNTIME_NAMES
    }
    if "HOME" in outer:
        kept.setdefault("PYTHONUSERBASE", f"{outer['HOME']}/.local")
    return kept | SAME_EVERYWHERE


def console_tail(lines: Sequence[str], count: int = 3) -> str:
    """Join the last lines of a console to one line for an error message."""
    kept = [line.strip() for line in lines if line.strip()]
    return " | ".join(kept[-count:])
