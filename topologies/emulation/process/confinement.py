"""Confinement of a user's program in a host: another user id, a separate root file system, and resource limits.

    # the command line that runs the program confined
    words = confined(["python3", "my_server.py", "--port", "80"], folder=Path.cwd(), writable=[host.workdir])

With `--replace`, a student's program takes the place of a program in an experiment, and is not trusted. The program
must neither read the files of the user of lab7, nor change captures and results, nor reach other processes, nor outlive
the host:

    user         an id of its own without capabilities; no_new_privs, so that no set-user-ID program gives it more
    files        a chroot in memory with /usr, /etc and the interpreter, the program's folder (a copy, which it may
                 change) and the paths on its command line; nothing of /home, /root, results and other folders
    processes    a PID namespace: it sees and signals its own processes only, and all die with the first
    resources    limits of memory, processes, open files, file size and CPU time (LIMITS), and of the chroot's size
    network      that of the host; ports below 1024 may be bound there

If the user namespace maps one id only (an ordinary user without subordinate ids), the program keeps that id, without
capabilities, and the other measures are the same. Sources: chroot(2), pid_namespaces(7), capabilities(7), prctl(2),
setrlimit(2).
"""

import argparse
import ctypes
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.process.interpreter import ROOT, module_command
from lab7.topologies.emulation.process.namespaces import MS_BIND, MS_PRIVATE, MS_REC, mount

# User and group id of confined programs: within the 65,536 ids of a sandbox, used by no package of a distribution.
CONFINED_ID = 64_999
# NEW_ROOT is the mount point of the new root; PROGRAM_FOLDER in NEW_ROOT is the program's current directory and HOME.
NEW_ROOT = Path("/run/lab7-confined")
PROGRAM_FOLDER = Path("/home/program")
# Folders of the system that are mounted for every program; symbolic links such as /bin -> usr/bin are copied.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt")
# PUBLIC: lab7's services, which a program may import, or run with other flags. HIDDEN: folder with the hidden claims of
# assignments, which is covered by an empty file system, because an installation has it beside libraries that a program
# may import.
PUBLIC = (ROOT / "lab7" / "services", ROOT / "lab7" / "__init__.py")
HIDDEN = ROOT / "lab7" / "experiments"
DEVICES = ("null", "zero", "full", "random", "urandom")
# Maximum octets and files of a program's folder that is copied whole; of a larger folder, some files are copied.
COPY_BYTES_MAX = 64 << 20
COPY_FILES_MAX = 5_000
MEMORY_FILES = "size=128m,mode=0755"
LIMITS = {
    resource.RLIMIT_AS: 2 << 30,
    resource.RLIMIT_FSIZE: 64 << 20,
    resource.RLIMIT_NPROC: 256,
    resource.RLIMIT_NOFILE: 4_096,
    resource.RLIMIT_CPU: 1_800,
    resource.RLIMIT_CORE: 0,
}
_PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 24, 28, 38
# SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP and their locks: user 0 has no capabilities after execve(2).
_SECUREBITS = 0x0F
_CAPABILITIES_MAX = 64
_ABSOLUTE = re.compile(r"(?:^|(?<=[=:,@]))/[^=:,@\0]+")


def confined(
    words: Sequence[str], folder: Path, writable: Iterable[Path] = (), user_id: int = CONFINED_ID
) -> list[str]:
    """Return the command line that runs `words` as another user, in a separate file system with a copy of `folder`.

    `writable`: folders that the program may change; `user_id`: user and group id of the program and owner of
    `writable`.
    """
    options = [f"--folder={folder}", f"--user-id={user_id}", *(f"--writable={path}" for path in writable)]
    return module_command("lab7.topologies.emulation.process.confinement", *options, "--", *words)


def main(argv: Sequence[str] | None = None) -> int:
    """Confine and run a program; return its exit code (128 plus the number of the signal that killed it)."""
    parser = argparse.ArgumentParser(
        prog="python -m lab7.topologies.emulation.process.confinement", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder of the program, its current directory")
    parser.add_argument("--writable", type=Path, action="append", default=[], help="folder that the program may change")
    parser.add_argument("--user-id", type=int, default=CONFINED_ID, help="user and group id of the program")
    parser.add_argument("words", nargs="+", help="command line of the program")
    options = parser.parse_args(argv)
    program = tools.which(options.words[0]) or str(options.folder / options.words[0])
    _allow_low_ports()
    namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWIPC)
    first = os.fork()
    if first:
        return _exit_code(first)
    # From here on this process is number 1 of the PID namespace, whose processes all die when number 1 dies.
    namespaces.die_with_parent(0)
    os.setsid()
    _make_root(options, program)
    os.chroot(NEW_ROOT)
    os.chdir(PROGRAM_FOLDER)
    child = os.fork()
    if child:
        return _reap(child)
    _drop_rights(options.user_id)
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TZ", "PYTHONHASHSEED")},
        "HOME": str(PROGRAM_FOLDER),
        "TMPDIR": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    try:
        os.execvpe(options.words[0], options.words, environment)
    except OSError as error:
        print(f"{options.words[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


def _allow_low_ports() -> None:
    """Permit all users of this network namespace to bind any port; ip_unprivileged_port_start of ip-sysctl."""
    try:
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    except OSError as error:
        print(f"ports below 1024 cannot be bound here ({error.strerror})", file=sys.stderr, flush=True)


def _make_root(options: argparse.Namespace, program: str) -> None:
    """Mount the new root file system, which contains only the folders and devices that the program may use."""
    NEW_ROOT.mkdir(parents=True, exist_ok=True)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("lab7", str(NEW_ROOT), "tmpfs", 0, MEMORY_FILES)
    for name in SYSTEM:
        _show(Path(name))
    for name in ("proc", "dev", "tmp", "var/tmp", "dev/shm"):
        (NEW_ROOT / name).mkdir(parents=True, exist_ok=True)
    mount("proc", str(NEW_ROOT / "proc"), "proc")
    for name in DEVICES:
        _bind(Path("/dev") / name, NEW_ROOT / "dev" / name)
    for name in ("tmp", "var/tmp", "dev/shm"):
        (NEW_ROOT / name).chmod(0o1777)
    for path in (*_interpreter_folders(program), *PUBLIC):
        _show(path)
    if (hidden := NEW_ROOT / str(HIDDEN).lstrip("/")).exists():
        mount("lab7", str(hidden), "tmpfs", 0, "size=0")
    _copy_program(options.folder, options.words, options.user_id)
    for path in _paths_in(options.words):
        _show_argument(path, options.user_id)
    for path in options.writable:
        _give(path, options.user_id)
        _show(path)


def _show(path: Path) -> None:
    """Bind-mount a path of the machine in the new root file system, under the same path."""
    target = NEW_ROOT / str(path).lstrip("/")
    if path.is_symlink() and str(path) in SYSTEM:
        target.symlink_to(os.readlink(path))
    elif path.exists() and not os.path.ismount(target):
        _bind(path, target)


def _bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(str(source), str(target), None, MS_BIND | MS_REC)


def _interpreter_folders(program: str) -> list[Path]:
    """Return the folders that a program needs in addition to the system's folders (SYSTEM).

    These are the folder of the program's file and, for an interpreter in a folder such as bin, the folder above with
    its libraries.
    """
    found = []
    for path in (Path(program), Path(program).resolve()):
        prefix = path.parent.parent if path.parent.name in ("bin", "sbin", "shims") else path.parent
        if path.exists() and not str(path).startswith(SYSTEM) and prefix != Path("/"):
            found.append(prefix)
    return found


def _paths_in(words: Sequence[str]) -> list[Path]:
    """Return the existing absolute paths on a command line.

    For a script, its folder, which has the modules that it imports.
    """
    found = [Path(text) for word in words for text in _ABSOLUTE.findall(word)]
    found = [path.parent if path.suffix == ".py" and _is_small(path.parent) else path for path in found]
    return [path for path in found if path.exists() and len(path.parts) > 2 and not str(path).startswith("/proc")]


def _show_argument(path: Path, user_id: int) -> None:
    """Mount a path of the command line in the new root; a small one that other users cannot read is copied instead."""
    readable = path.stat().st_mode & (0o005 if path.is_dir() else 0o004)
    if readable or (path.is_dir() and not _is_small(path)):
        _show(path)
        return
    target = NEW_ROOT / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        _copy_folder(path, target)
    else:
        _copy_file(str(path), str(target))
    _give(target, user_id)


def _copy_program(folder: Path, words: Sequence[str], user_id: int) -> None:
    """Copy the program's folder, or a part of a large one, into the new root for the confined user.

    If the folder is larger than COPY_BYTES_MAX or COPY_FILES_MAX, only two kinds of files are copied: those directly in
    the folder, and those in the folders of relative paths on the command line. Of a small folder, the whole content is
    copied, and the folders of relative paths that lead out of it by a symbolic link.
    """
    target = NEW_ROOT / str(PROGRAM_FOLDER).lstrip("/")
    target.mkdir(parents=True)
    relative = [Path(word) for word in words if not word.startswith(("/", "-")) and (folder / word).is_file()]
    places = [path.parent for path in relative if ".." not in path.parts]
    if _is_small(folder):
        _copy_folder(folder, target)
        places = [place for place in places if not (target / place).resolve().is_relative_to(target)]
    else:
        places = [Path(), *places]
    left = COPY_BYTES_MAX
    for place in dict.fromkeys(places):
        _make_folder(target, place)
        for path in sorted((folder / place).iterdir()):
            if path.is_file() and path.stat().st_size <= left:
                _copy_file(str(path), str(target / place / path.name))
                left -= path.stat().st_size
    _give(target, user_id)


def _make_folder(target: Path, place: Path) -> None:
    """Create the folder `place` below `target`; dangling symbolic links on the way are replaced by folders."""
    for part in reversed([place, *place.parents]):
        if (target / part).is_symlink():
            (target / part).unlink()
    (target / place).mkdir(parents=True, exist_ok=True)


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy_file)


def _copy_file(source: str, target: str) -> str:
    """Copy a regular file; do nothing for sockets, pipes and devices."""
    if os.path.isfile(source):
        shutil.copy2(source, target)
    return target


def _is_small(folder: Path) -> bool:
    files = octets = 0
    for place, _, names in os.walk(folder):
        for name in names:
            files += 1
            octets += os.lstat(os.path.join(place, name)).st_size
            if files > COPY_FILES_MAX or octets > COPY_BYTES_MAX:
                return False
    return True


def _give(folder: Path, user_id: int) -> None:
    """Change the owner of a folder and its contents to the confined user, if the user namespace maps that user id."""
    try:
        os.lchown(folder, user_id, user_id)
    except OSError:
        return
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(place, name), user_id, user_id)


def _drop_rights(user_id: int) -> None:
    """Set resource limits, change to the confined user, and drop all groups and capabilities."""
    for kind, limit in LIMITS.items():
        _, hard = resource.getrlimit(kind)
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES_MAX):
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0)
    try:
        os.setgroups([])
        os.setresgid(user_id, user_id, user_id)
        os.setresuid(user_id, user_id, user_id)
    except OSError:
        # If only one id is mapped, the securebits keep the program without capabilities after execve(2).
        pass
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl NO_NEW_PRIVS")
    os.umask(0o022)


def _reap(child: int) -> int:
    """Reap child processes until the program has ended, and return its exit code; the others die with this process."""
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(_code(status))


def _exit_code(pid: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _code(os.waitpid(pid, 0)[1])


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
