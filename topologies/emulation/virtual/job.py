"""The job of a kernel: what is run in it, and the kernel's own command line. Pure: no process, no file.

The kernel's pool of random numbers takes its command line as an input, so that one is the same in every run: what
differs (folders, the job) is in a file, in a folder that the kernel finds open as a descriptor (hostfs resolves
/proc/self as the process that the kernel is).
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

JOB_FD = 60
JOB_FOLDER = f"/proc/self/fd/{JOB_FD}/"
# Where a job finds that folder.
PLACE = "/run/lab7-job"
JOB, INIT, ENDED, STDOUT, STDERR = "job.json", "init", "ended.json", "stdout", "stderr"
# Grows by an octet as the kernel's clock moves: each five seconds, later each thousandth of what has passed, which
# are a few thousand octets in a week. Reading the clock moves it by 32 ns (TIMER_MULTIPLIER of arch/um), so that a
# program which spins for a second computes for a minute: that must not count as moving.
BEATS = "beats"
BEAT_S, BEAT_SHARE = 5.0, 1e-3
PACKAGE_ROOT = Path(__file__).resolve().parents[3]
GUEST = "topologies.emulation.virtual.guest"

MEMORY_MB = 1536
# The wall clock when the kernel boots, 2030-01-01T00:00:00Z: after all files that it reads, so that none is from the
# future (RFC 9110 section 8.8.2.1 on Last-Modified).
WALL_CLOCK_S = 1_893_456_000
HOME = "/run/home"
SAME_EVERYWHERE = {
    "HOME": HOME,
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
    "TZ": "UTC0",
    "PYTHONHASHSEED": "0",
    # What is written is in memory and gone with the kernel, and takes numbers of files that others would get.
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
# A clock at 0 s is "not yet" for some programs (ping); until then nothing is started.
SETTLE_S = 10.0


@dataclass(frozen=True)
class Job:
    """A command line to run in a kernel.

    folders: of the host, which it may write, and where it finds each. seed: fixes the kernel's entropy and the wall
    clock; None: the host's. limit_s: when it is ended, in the kernel's own seconds. virtual: whether its clock is.
    terminal: rows and columns of the terminal that its output goes to, None where it goes elsewhere.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    folders: Mapping[str, str] = field(default_factory=dict)
    limit_s: float = 3600.0
    seed: int | None = None
    virtual: bool = True
    terminal: tuple[int, int] | None = None

    def to_json(self) -> str:
        """The job as process 1 reads it."""
        settle_s = SETTLE_S if self.virtual else 0.0
        fixed = self.seed is not None
        return json.dumps(
            {
                **asdict(self),
                "folders": dict(self.folders),
                "environment": dict(self.environment),
                "settle_s": settle_s,
                "fixed_addresses": fixed,
            },
            indent=1,
        )


def kernel_words(program: Path, job: Job) -> list[str]:
    """The kernel's command line; of the job it knows no more than which clock it has."""
    words = [
        str(program),
        f"mem={MEMORY_MB}M",
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
    """The environment of the kernel itself."""
    kept = {name: outer[name] for name in ("PATH", "HOME", "TMPDIR") if name in outer}
    return kept if job.seed is None else {**kept, "LAB7_ENTROPY": str(job.seed)}


def init_script(python: str = sys.executable) -> str:
    """What the kernel's shell runs as process 1."""
    words = f"exec {shlex.quote(python)} -S -B -m {GUEST} {JOB_FOLDER}"
    return f"cd {shlex.quote(str(PACKAGE_ROOT))} && {words}\n"


def handed_on(outer: Mapping[str, str], seed: int | None) -> dict[str, str]:
    """The environment for a job: the caller's; where the run is seeded, without what could change a frame.

    A program's start-up files lie in the home folder, its language and its zone are variables: those are the same for
    every user of every machine. Packages that a user has installed for Python alone are still found.
    """
    if seed is None:
        return dict(outer)
    kept = {
        name: value for name, value in outer.items() if not name.startswith(PERSONAL) and name not in PERSONAL_NAMES
    }
    if "HOME" in outer:
        kept.setdefault("PYTHONUSERBASE", f"{outer['HOME']}/.local")
    return kept | SAME_EVERYWHERE


def said(lines: Sequence[str], count: int = 3) -> str:
    """The last lines of a console, as a part of a sentence."""
    kept = [line.strip() for line in lines if line.strip()]
    return " | ".join(kept[-count:])
