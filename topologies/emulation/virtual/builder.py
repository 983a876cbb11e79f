"""Build of the user-mode Linux kernel for virtual time from the distribution's kernel source package.

    python -m lab7.topologies.emulation.virtual.builder [--shared]

The inputs of a build, in the order of their use, and a test at its end:

    /usr/src/linux-source-6.1.tar.xz   unpacked, without files that no configuration for user-mode Linux reads
    kernel/*.patch                     applied; a patch that does not apply ends the build
    kernel/config                      the whole configuration
    a boot in virtual time             an hour of sleep, then a netem: only a kernel that passes is kept

In virtual time, the kernel's clock is simulated, and advances only while all processes are idle. The kernel is built in
a temporary folder and renamed into place, so that an interrupted build leaves no kernel; the next build removes the
temporary folder. A lock ensures that one build runs at a time. --shared: build for all users of this machine.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual import kernel
from lab7.topologies.emulation.virtual.job import PACKAGE_ROOT, Job
from lab7.topologies.emulation.virtual.kernel import Kernel
from lab7.topologies.emulation.virtual.machine import Machine

SOURCES = Path("/usr/src")
# Preferred kernel release, for which the patches were made; without it the newest is used, and patches may fail.
TRIED = "linux-source-6.1"
SOURCE_NAME = re.compile(r"linux-source-(\d+(?:\.\d+)+)\.tar\.(?:xz|bz2|gz)")
# Patterns of source files that are not unpacked, because they are never compiled; Kconfig files are needed.
LEFT_OUT = (
    "*/Documentation/*/*",
    "*/arch/[!ux]*/*.[chS]",
    "*/arch/[!ux]*/*.dts*",
    *(f"*/drivers/{name}/*.[ch]" for name in ("gpu", "media", "staging", "scsi", "infiniband", "iio")),
    *(f"*/drivers/net/{name}/*.[ch]" for name in ("ethernet", "wireless")),
    "*/sound/*.[ch]",
    "*/tools/testing/*",
)
# Build time, user and host are fixed, because the kernel's banner is an input of its random number pool.
BUILD_IDENTITY = {
    "KBUILD_BUILD_TIMESTAMP": "2023-01-01",
    "KBUILD_BUILD_USER": "lab7",
    "KBUILD_BUILD_HOST": "lab7",
    "LC_ALL": "C",
}
UNFINISHED = ".building-"
LOG = "build.log"
NICE = 5
NEEDED_MB = 2000
CHECK_SLEEP_S = 3600
CHECK_LIMIT_S = 120.0


def find_source() -> Path:
    """Return the path of the distribution's Linux source archive.

    Raises MachineError that names the package to install.
    """
    sources = [
        (file, match) for file in SOURCES.glob("linux-source-*.tar.*") if (match := SOURCE_NAME.fullmatch(file.name))
    ]
    if not sources:
        raise MachineError(
            f"there is no kernel source in {SOURCES}: `lab7 doctor --fix` installs it, or `sudo apt-get install "
            f"{TRIED}` (on another release its linux-source)"
        )
    return max(sources, key=lambda source: (source[0].name.startswith(f"{TRIED}."), _number(source[1][1])))[0]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def check_machine(place: Path) -> None:
    """Check that the tools and disk space for a build are present. Raises MachineError."""
    if reason := kernel.unsupported():
        raise MachineError(reason)
    programs = packages.of_groups(packages.VIRTUAL)
    missing = sorted({one.package for one in programs if tools.which(one.name) is None and not Path(one.name).exists()})
    if missing:
        raise MachineError(
            f"building the kernel needs more programs: run `lab7 doctor --fix`, or `sudo apt-get install "
            f"{' '.join(missing)}`"
        )
    free_mb = shutil.disk_usage(place).free // 1_000_000
    if free_mb < NEEDED_MB:
        raise MachineError(
            f"building the kernel needs {NEEDED_MB} MB in {place}, but {free_mb} MB are free: delete files there"
        )


def build(place: Path) -> Kernel:
    """Build the kernel in the folder `place`, unless it exists there; return the Kernel. Raises MachineError."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot store a kernel in {place} ({error.strerror})") from error
    with _locked(place):
        existing = kernel.find()
        if existing is not None and place in existing.program.parents:
            return existing
        check_machine(place)
        source = find_source()
        began_s = time.monotonic()
        with _folder(place) as folder:
            kernel_built = _build(folder, source, place / LOG)
            about = {
                "version": kernel_built.version,
                "source": source.name,
                "built_in_s": round(time.monotonic() - began_s),
            }
            return _keep(folder, kernel_built, about, place)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    with open(place / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another build of the kernel is in progress; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _folder(place: Path) -> Iterator[Path]:
    """Yield a temporary folder for a build, after removing the folders of builds that were killed.

    The caller holds the lock.
    """
    for left in place.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(folder: Path, source: Path, log: Path) -> Kernel:
    log.write_text("")
    _say(f"unpacking {source}")
    _run(["tar", "-xf", str(source), "-C", str(folder), *(f"--exclude={pattern}" for pattern in LEFT_OUT)], folder, log)
    tree = next(entry for entry in folder.iterdir() if (entry / "Kconfig").exists())
    for patch in kernel.patches():
        # --fuzz=0, because a patch with fuzzy context may apply in the wrong place.
        words = ["patch", "--strip=1", "--fuzz=0", "--batch", "--forward", f"--input={patch}"]
        _run(words, tree, log, f"{patch.name} does not apply to {source.name}: it is made for {TRIED}")
    make = ["make", "ARCH=um", f"-j{os.cpu_count() or 1}"]
    _run([*make, f"KCONFIG_ALLCONFIG={kernel.CONFIGURATION}", "allnoconfig"], tree, log)
    _check_configuration(tree / ".config")
    _say("compiling (a few minutes)")
    _run([*make, "linux"], tree, log)
    version = _run([*make, "-s", "kernelversion"], tree, log).split()[-1]
    program = folder / kernel.PROGRAM
    _run(["strip", "-o", str(program), str(tree / kernel.PROGRAM)], tree, log)
    kernel_built = Kernel(program, version, kernel.recipe_hash())
    _say("booting it in virtual time")
    check(kernel_built)
    return kernel_built


def wanted_options(text: str) -> dict[str, str]:
    """Parse the text of a kernel configuration; return the value of each option, keyed by its name (CONFIG_...)."""
    rows = [line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_")]
    return dict(rows)


def _check_configuration(file: Path) -> None:
    """Raise MachineError unless the configuration of the built kernel has every option of the requested one."""
    got = wanted_options(file.read_text())
    wanted = wanted_options(kernel.CONFIGURATION.read_text())
    if off := [name for name, value in wanted.items() if got.get(name, "n") != value]:
        raise MachineError(f"this kernel source lacks options that {TRIED} has: {', '.join(off)}")


def check(made: Kernel) -> None:
    """Test a kernel: boot, sleep an hour of virtual time, shape a link. Raises MachineError if that fails."""
    words = f"sleep {CHECK_SLEEP_S} && exec {sys.executable} -m lab7.topologies.emulation.links.netem"
    job = Job(("sh", "-c", words), dict(os.environ), str(PACKAGE_ROOT), seed=1, limit_s=2.0 * CHECK_SLEEP_S)
    with Machine(made, job) as machine:
        ended = machine.wait(CHECK_LIMIT_S)
        output = (machine.folder / "stderr").read_text(errors="replace").strip()
    if ended.code != 0 or ended.took_s < CHECK_SLEEP_S:
        raise MachineError(f"the built kernel cannot shape links ({output or f'exit code {ended.code}'})")


def _keep(folder: Path, made: Kernel, about: dict[str, object], place: Path) -> Kernel:
    whole = folder / "whole"
    whole.mkdir()
    made.program.rename(whole / kernel.PROGRAM)
    (whole / kernel.ABOUT).write_text(json.dumps(about) + "\n")
    # mkdtemp() creates a private folder, but a kernel may be for all users.
    whole.chmod(0o755)
    target = place / f"{made.recipe}-{made.version}"
    shutil.rmtree(target, ignore_errors=True)
    whole.rename(target)
    return Kernel(target / kernel.PROGRAM, made.version, made.recipe)


def _run(words: list[str], directory: Path, log: Path, refusal: str = "") -> str:
    """Run one step of the build, append its output to the file `log`, and return the output.

    Raises MachineError with the first error line.
    """
    with open(log, "ab+") as kept:
        begin = kept.seek(0, os.SEEK_END)
        code = _run_to_its_end(["nice", "-n", str(NICE), *words], directory, kept)
        kept.seek(begin)
        output = kept.read().decode(errors="replace")
    if code != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        first = next((line for line in lines if "rror" in line or "No space" in line), lines[-1] if lines else "")
        raise MachineError(f"{refusal or f'the kernel could not be built: {words[0]} failed'} ({first}; see {log})")
    return output


def _run_to_its_end(words: list[str], directory: Path, output: IO[bytes]) -> int:
    """Run a program and return its exit code; if this process is interrupted, kill the program and its descendants."""
    with subprocess.Popen(
        words,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **BUILD_IDENTITY},
        start_new_session=True,
    ) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"kernel: {what}", flush=True)


def main(argv: list[str]) -> int:
    """Build the kernel for virtual time unless it exists; return the exit code."""
    if argv not in ([], ["--shared"]):
        print("usage: python -m lab7.topologies.emulation.virtual.builder [--shared]", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        kernel_built = build(kernel.SHARED if argv else kernel.user_folder())
    except EmulationError as error:
        print(f"lab7: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("lab7: stopped; all files of this build were removed", file=sys.stderr)
        return 130
    _say(f"{kernel_built.version}, recipe {kernel_built.recipe}: {kernel_built.program}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
