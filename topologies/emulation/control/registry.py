"""Registry of running networks: each has a control socket, named after the network, in a folder of the user.

The folder is `lab7` in the user's runtime directory (/run/user/UID, pam_systemd(8)), or /tmp/lab7-UID if there is none;
LAB7_RUNTIME_DIR sets another one. The folder belongs to the user and is closed to other users (mode 0700), the sockets
have mode 0600, and the server checks the user id of each peer (SO_PEERCRED, unix(7)).

A socket is bound before lab7 enters its sandbox (separate Linux namespaces), which has a /run of its own. The lab7
command that is executed again inside the sandbox inherits the socket's descriptor. A socket file without a listener
(ECONNREFUSED) is left over from a killed lab7; the next command that finds it removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lab7.topologies.emulation.control.protocol import NAME
from lab7.topologies.emulation.errors import ArgumentError, MachineError

VARIABLE = "LAB7_RUNTIME_DIR"
# Descriptor, process id and name of a published network, for the command in the sandbox.
MARK = "LAB7_CONTROL"
SUFFIX = ".sock"
LOCK = ".lock"
BACKLOG = 64
CONNECT_TIMEOUT_S = 2.0
NAMES_MAX = 1000
# Descriptors of the sockets that this process has published itself.
_published: set[int] = set()


@dataclass(frozen=True)
class Published:
    """Entry of a network in the registry: name, listening socket, and id of the lab7 process outside the sandbox.

    inherited: this process runs inside the sandbox, and has inherited the socket from the process outside.
    """

    name: str
    listener: socket.socket
    pid: int
    inherited: bool = False


def folders() -> list[Path]:
    """Return the folders that may contain control sockets of this user; a new socket is created in the first folder."""
    if given := os.environ.get(VARIABLE):
        return [Path(given)]
    uid = os.geteuid()
    runtime = Path("/run/user", str(uid))
    found = [runtime / "lab7"] if _is_own(runtime) else []
    return [*found, Path(f"/tmp/lab7-{uid}")]


def _is_own(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _is_private(folder: Path) -> bool:
    return _is_own(folder) and not stat.S_IMODE(folder.lstat().st_mode) & 0o077


def _own_folder() -> Path:
    """Return the user's folder for control sockets, created if missing.

    Raises MachineError if other users may access it.
    """
    folder = folders()[0]
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as error:
        raise MachineError(
            f"the folder {folder} for control sockets cannot be made ({error.strerror}): set {VARIABLE} to another one"
        ) from None
    if not _is_private(folder):
        raise MachineError(
            f"the folder {folder} for control sockets is not this user's alone: remove it, or set {VARIABLE}"
        )
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Lock the folder of control sockets for a `with` block; yield a descriptor of the folder."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(lock)
        os.close(place)


@contextlib.contextmanager
def published(name: str, *, exact: bool) -> Iterator[Published]:
    """Add a network to the registry for a `with` block, and yield its entry.

    Inside a sandbox, the entry made outside is yielded. exact: the user has chosen the name, and it is an error if the
    name is in use; otherwise a number is appended to a name in use. Raises EmulationError.
    """
    inherited = _inherited()
    if inherited is not None:
        yield inherited
        return
    if not NAME.fullmatch(name):
        raise ArgumentError(
            f"{name!r} cannot be the name of a network: at most 40 letters, digits and _.+-, beginning with a letter"
        )
    folder = _own_folder()
    with _locked(folder) as place:
        chosen = _free_name(folder, name, exact=exact)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A path by way of the folder's descriptor is short, whatever the length of the folder's path (unix(7)).
        listener.bind(f"/proc/self/fd/{place}/{chosen}{SUFFIX}")
        path = folder / f"{chosen}{SUFFIX}"
        path.chmod(0o600)
        listener.listen(BACKLOG)
        made = path.stat().st_ino
    descriptor = listener.fileno()
    os.set_inheritable(descriptor, True)
    _published.add(descriptor)
    os.environ[MARK] = f"{descriptor} {os.getpid()} {chosen}"
    try:
        yield Published(chosen, listener, os.getpid())
    finally:
        os.environ.pop(MARK, None)
        _published.discard(descriptor)
        listener.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == made:
                path.unlink()


def is_inherited() -> bool:
    """Return whether the lab7 process outside of this sandbox has already added this network to the registry."""
    words = os.environ.get(MARK, "").split(" ")
    return len(words) == 3 and int(words[0]) not in _published


def _inherited() -> Published | None:
    """Return the registry entry made outside of this sandbox; None if there is none."""
    if not is_inherited():
        return None
    words = os.environ.pop(MARK).split(" ")
    descriptor = int(words[0])
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
    except OSError:
        return None
    os.set_inheritable(descriptor, False)
    return Published(words[2], socket.socket(fileno=descriptor), int(words[1]), inherited=True)


def _free_name(folder: Path, name: str, *, exact: bool) -> str:
    """Return a name for a network that is not in use: the given name, or with the first free number appended.

    Raises EmulationError if `exact` is set and the given name is in use.
    """
    for number in count(1):
        chosen = name if number == 1 else f"{name[:35]}-{number}"
        if not _is_taken(folder / f"{chosen}{SUFFIX}"):
            return chosen
        if exact or number > NAMES_MAX:
            break
    raise ArgumentError(f"a network {name} is up already: choose another --name, or stop it by `lab7 down {name}`")


def _is_taken(path: Path) -> bool:
    """Return whether a running network listens on the control socket; a socket file without a listener is removed."""
    if not path.exists():
        return False
    connection = _connected(path)
    if connection is not None:
        connection.close()
        return True
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return False


def _connected(path: Path) -> socket.socket | None:
    """Return a connection to a control socket, None if no process listens on it.

    Raises MachineError for a full backlog.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(CONNECT_TIMEOUT_S)
    try:
        place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{place}/{path.name}")
        finally:
            os.close(place)
    except (ConnectionRefusedError, FileNotFoundError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise MachineError(f"the network {path.stem} does not answer ({error.strerror or 'time-out'})") from None
    return connection


def names() -> list[str]:
    """Return the names of all running networks, sorted; remove sockets without a listener."""
    found = set()
    for folder in folders():
        if not _is_private(folder):
            continue
        with _locked(folder):
            for path in sorted(folder.glob(f"*{SUFFIX}"))[:NAMES_MAX]:
                with contextlib.suppress(MachineError):
                    if _is_taken(path):
                        found.add(path.name.removesuffix(SUFFIX))
    return sorted(found)


def connect(name: str) -> socket.socket | None:
    """Return a connection to the control socket of a network, None if the network is not running.

    Raises MachineError.
    """
    if not NAME.fullmatch(name):
        return None
    for folder in folders():
        path = folder / f"{name}{SUFFIX}"
        if _is_private(folder) and path.exists() and (connection := _connected(path)) is not None:
            return connection
    return None
