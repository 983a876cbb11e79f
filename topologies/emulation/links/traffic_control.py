"""Server of the program `tc` in a sandbox: executes tc(8) commands on interfaces whose link lab7 shapes.

Users poll queues by `tc -s qdisc show dev s0-eth1`, and shape links by `tc qdisc add dev h1-eth0 root netem ...`. In
lab7 such an interface has no qdisc of its own, because the link shapes the frames. So in a sandbox (the Linux
namespaces of a network) the program tc_client is mounted over the installed tc. It sends each command to this server,
which applies the command to the link, or prints the state of the link, in the output format of tc. If the kernel has no
netem, a tc command with netem on any other link makes it a shaped link. All other commands are executed by the
installed program.
"""

import contextlib
import json
import os
import shlex
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lab7.topologies.emulation import sandbox, tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.links import tc_client
from lab7.topologies.emulation.links.disciplines import COMMANDS, Chain, TcError, UnsupportedError
from lab7.topologies.emulation.links.interface import Interface
from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.watch import LabDied

OBJECTS = ("qdisc", "class", "filter")
# Options of tc(8) that change the form of its output only; a command with any other is the installed program's.
OPTIONS = (
    "-s",
    "-d",
    "-r",
    "-p",
    "-i",
    "-g",
    "-statistics",
    "-stats",
    "-details",
    "-raw",
    "-pretty",
    "-iec",
    "-graph",
    "-j",
    "-json",
)
REQUEST_MAX_BYTES = 65536
REQUEST_TIMEOUT_S = 10.0
# A network that ends waits no longer for the answer to a command.
STOP_TIMEOUT_S = 0.5
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
FOLLOWED = "netem (delay, jitter, loss, reorder, rate, limit), tbf, htb with one leaf class, pfifo and bfifo"

# Folders of the running servers, and the networks of this process, in the order of their start.
_folders: list[Path] = []
_networks: list[Any] = []


@contextlib.contextmanager
def serving(network: Any, workdir: Path) -> Iterator[None]:
    """Run the server of tc commands for a network during a `with` block, with tc_client mounted over the installed tc.

    Outside of a sandbox, do nothing.
    """
    if not sandbox.inside():
        yield
        return
    program = Path(os.path.realpath(tools.which("tc") or "tc"))
    folder = workdir / "tc"
    folder.mkdir()
    shutil.copy2(tools.PROGRAMS.get("tc", program), folder / tc_client.REAL)
    words = [sys.executable, "-ISB", tc_client.__file__, str(folder)]
    (folder / "tc").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    (folder / "tc").chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / tc_client.SOCKET))
        listener.listen()
        _networks.append(network)
        server = threading.Thread(target=_serve, args=(listener,), name="tc", daemon=True)
        server.start()
        _put(program, [*_folders, folder])
        try:
            yield
        finally:
            _put(program, [other for other in _folders if other != folder])
            _networks.remove(network)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            server.join(STOP_TIMEOUT_S)


def _put(program: Path, folders: Iterable[Path]) -> None:
    """Mount the program `tc` of each of these folders over the installed one.

    The last folder's is the one that is executed.
    """
    for _ in _folders:
        with contextlib.suppress(OSError):
            namespaces.unmount(program)
    _folders[:] = folders
    for folder in _folders:
        namespaces.bind_file(os.fspath(folder / "tc"), os.fspath(program))
        tools.PROGRAMS["tc"] = str(folder / tc_client.REAL)
    if not _folders:
        tools.PROGRAMS.pop("tc", None)


def _serve(listener: socket.socket) -> None:
    """Accept connections of tc_client and answer one command after another, until the listening socket is shut down."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        # A death ends the network; the client then runs the installed program.
        with connection, contextlib.suppress(OSError, LabDied):
            connection.settimeout(REQUEST_TIMEOUT_S)
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            request = b""
            while len(request) < REQUEST_MAX_BYTES and (piece := connection.recv(REQUEST_MAX_BYTES)):
                request += piece
            words = [os.fsdecode(word) for word in request.split(b"\0")[:-1]]
            answer = reply(_namespace_of(CREDENTIALS.unpack(peer)[0]), words)
            if answer is None:
                connection.sendall(tc_client.PASS)
                continue
            code, output, errors = answer
            connection.sendall(tc_client.DONE + f"{code}\0{output}\0{errors}".encode())


def _namespace_of(pid: int) -> int:
    """Return the inode number that identifies the network namespace of a process; 0 stands for this process."""
    return os.stat(f"/proc/{pid or 'self'}/ns/net").st_ino


def reply(namespace: int, words: Sequence[str]) -> tuple[int, str, str] | None:
    """Execute a tc command for a network namespace; return (exit code, output, errors).

    Returns None if the installed tc(8) is to execute the command, because it is not about a shaped link.
    """
    rest = [word for word in words if word not in OPTIONS]
    kind = next((name for name in OBJECTS if rest and name.startswith(rest[0].lower())), "")
    command = COMMANDS.get(rest[1] if len(rest) > 1 else "")
    if not kind or command is None:
        return None
    device = rest[rest.index("dev") + 1] if "dev" in rest[:-1] else ""
    with_figures = any(word in ("-s", "-statistics", "-stats") for word in words)
    try:
        ends = [end for end in _ends(namespace) if device in ("", end.name)]
        if command == "show":
            return _show(kind, [end for end in ends if _is_own(end)], device, words, with_figures)
        return _change(ends[0], [kind, *rest[1:]]) if device and ends else None
    except UnsupportedError as refusal:
        place = f"{ends[0].node.name}: " if ends else ""
        said = f"{place}`tc {' '.join(words)}` has no effect: a link follows {FOLLOWED}, but not {refusal}"
        # A script seldom looks at what tc says.
        sys.stderr.write(f"lab7: warning: {said}\n")
        return 2, "", f"{said}\n"
    except (TcError, EmulationError) as refusal:
        return 2, "", f"{refusal}\n"
    except (ValueError, IndexError, KeyError) as failure:
        return 2, "", f"`tc {' '.join(words)}` cannot be read: {failure}\n"


def _ends(namespace: int) -> list[Interface]:
    """Return the interfaces in a network namespace that are ends of links of the running networks."""
    links = [link for network in _networks for link in network.links]
    ends = [end for link in links for end in (link.intf1, link.intf2) if end is not None and end.link is link]
    numbers = {node: _namespace_of(node.network_pid()) for node in {end.node for end in ends}}
    return [end for end in ends if numbers[end.node] == namespace]


def _is_own(end: Interface) -> bool:
    """Return whether tc(8) shows the link's shape on an interface: the link shapes frames, not by a rate trace."""
    shape = end.link.shape(end)
    return end.link.shapes_itself and shape is not None and shape.trace is None


def _show_json(ends: Sequence[Interface], device: str, words: Sequence[str], with_figures: bool) -> str:
    names = {end.name for end in ends}
    pid = ends[0].node.network_pid()
    others = [] if device else json.loads(tools.output(["tc", *words], pid))
    rows = [row for row in others if row.get("dev") not in names]
    for end in ends:
        rows += end.link.chain(end).rows("" if device else end.name, *_figures(end, with_figures))
    return json.dumps(rows) + "\n"


def _figures(end: Interface, wanted: bool) -> tuple[Any, tuple[int, int]]:
    return (end.queue(), _sent(end)) if wanted else (None, (0, 0))


def _show(
    kind: str, ends: Sequence[Interface], device: str, words: Sequence[str], with_figures: bool
) -> tuple[int, str, str] | None:
    if not ends:
        return None
    if kind == "qdisc" and {"-j", "-json"} & set(words):
        return 0, _show_json(ends, device, words, with_figures), ""
    text = "" if device else _without(ends, words)
    for end in ends:
        chain = end.link.chain(end)
        figures = _figures(end, with_figures and kind != "filter")
        if kind == "qdisc":
            text += chain.text(end.name if not device else "", *figures)
        elif kind == "class":
            text += chain.class_text(*figures)
    return 0, text, ""


def _without(ends: Sequence[Interface], words: Sequence[str]) -> str:
    """Return the output of the installed tc(8) for a command, without the lines about the given interfaces."""
    names, kept, keep = {end.name for end in ends}, [], True
    for line in tools.output(["tc", *words], ends[0].node.network_pid()).splitlines(keepends=True):
        if not line.startswith(" "):
            found = line.split()
            keep = not ("dev" in found[:-1] and found[found.index("dev") + 1] in names)
        kept += [line] if keep else []
    return "".join(kept)


def _sent(end: Interface) -> tuple[int, int]:
    """Return the number of octets and of packets that an interface has sent, from /proc/PID/net/dev."""
    pid = end.node.network_pid() or "self"
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == end.name:
            return int(figures.split()[8]), int(figures.split()[9])
    return 0, 0


def _change(end: Interface, words: Sequence[str]) -> tuple[int, str, str] | None:
    link = end.link
    if not link.shapes_itself and (link.kernel_shapes or "netem" not in words):
        _note(end, words)
        return None
    if words[0] == "filter":
        raise UnsupportedError("filters")
    if (shape := link.shape(end)) is not None and shape.trace is not None:
        raise UnsupportedError("a change of a link with a trace")
    chain = link.chain(end).change(words)
    link.set_shape(end, chain.shape(), chain)
    return 0, "", ""


def _note(end: Interface, words: Sequence[str]) -> None:
    """Record the effect of a tc command that the kernel executes on an unshaped link.

    A later tc command may add a netem below the disciplines recorded here.
    """
    with contextlib.suppress(TcError):
        end.link.note(end, end.link.chain(end).change(words) if words[0] != "filter" else Chain())
