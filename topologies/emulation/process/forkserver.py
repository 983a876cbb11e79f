"""Fork server: a process that has imported the services once and forks one child for each service of a host.

Starting Python and importing a service takes about 0.2 s of CPU time, and a topology has dozens of services. Forked
from a process that has imported the modules, each service starts in milliseconds and shares memory pages with the
others (gc.freeze keeps the garbage collector from touching, and so copying, them).

Why not multiprocessing's forkserver: it imports the caller's main script again in every child (a user's lab script
would build its network twice), and its children cannot be given another host's standard streams.

The protocol. One request per datagram on a SOCK_SEQPACKET socket, JSON with the child's stdin, stdout and stderr
attached as descriptors (SCM_RIGHTS):

    -> {"module": "lab7.services.http.origin", "argv": ["--port", "80"], "cwd": "/run/...",
        "namespaces": ["/proc/17/ns/net", ..]}
    <- {"pid": 23}                      with a pidfd of the child attached
    <- {"pid": 23, "exit_code": 0}      when it ends (negative: the signal that ended it)

A pidfd, unlike a process id, is never reused, so that the launcher can signal and watch a child without a race; it is
opened before the child can have been reaped. The server is the children's parent and reaps them; SIGCHLD wakes its
selector through a pipe (signal.set_wakeup_fd), so that requests and exits are handled by one loop, without threads,
which would not survive a fork.

Requests may be pipelined: replies come in the order of the requests.

Warm-up. Before the first fork, the server runs once the code that a service runs only at its start (building the
command-line parser, which the services keep; an event loop with a listening socket). Otherwise every child would run
that code for the first time, and write to pages that it could share.

A child resets its signal handling and becomes the leader of a session, since Ctrl-C is handled by the command line,
which stops its services in order. It has the kernel kill it with its parent, attaches the streams, closes all other
descriptors, enters the host's namespaces, runs main(argv), and exits with its result.

End of life. When the other end of the socket closes, however that process ended, the server kills its children and
ends; when the server itself is killed, the kernel kills them (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from lab7.topologies.emulation.process import main_function, namespaces

REQUEST_MAX_BYTES = 256 * 1024
# Modules, if installed, that services import only when their main() starts.
LATE_IMPORTS = ("concurrent.futures.thread", "queue", "uvloop")
SERVICES = "lab7.services."
# Module whose rehearse() runs the part of a service's start that all services have in common.
SHELL = "lab7.services.shell"


class _Server:
    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.children: set[int] = set()

    def serve(self) -> None:
        """Fork child processes on request and report their exits, until the launcher closes the socket or ends."""
        wake_read, wake_write = socket.socketpair()
        wake_write.setblocking(False)
        wake_read.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.channel:
                        if not self._handle_request():
                            return
                    else:
                        with contextlib.suppress(BlockingIOError):
                            wake_read.recv(4096)
                        self._reap()

    def _handle_request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self.channel, REQUEST_MAX_BYTES, 3)
        if not data:
            return False
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            _run_service(json.loads(data), descriptors, server)
        self.children.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        # The pidfd is opened before the child can have been reaped, so that the process id cannot have been reused.
        pidfd = os.pidfd_open(pid)
        self._send({"pid": pid}, [pidfd])
        os.close(pidfd)
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.children.discard(pid)
            self._send({"pid": pid, "exit_code": os.waitstatus_to_exitcode(status)})

    def _send(self, message: dict[str, int], descriptors: Sequence[int] = ()) -> None:
        data = [json.dumps(message).encode()]
        with contextlib.suppress(OSError):
            if descriptors:
                socket.send_fds(self.channel, data, list(descriptors))
            else:
                self.channel.sendmsg(data)

    def kill_all(self) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _run_service(request: dict[str, Any], descriptors: list[int], server: int) -> NoReturn:
    """Run a service in a forked child: attach the streams, enter the host's namespaces, call main(), and exit.

    The exit code is the result of main(), or 1 after an exception.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A separate session keeps Ctrl-C from the service: the command line alone handles Ctrl-C and stops services.
        os.setsid()
        namespaces.die_with_parent(server)
        namespaces.set_name(main_function.process_name(request["module"]))
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 64)
        if request["namespaces"]:
            namespaces.enter_files(request["namespaces"])
        os.chdir(request["cwd"])
        code = main_function.run(request["module"], request["argv"])
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _rehearse(names: Sequence[str]) -> None:
    """Execute the code that services run at their start, before any fork, so that all children share its memory pages.

    The code imports LATE_IMPORTS, parses --help with each service's parser, and runs an event loop and a service.
    """
    late: dict[str, Any] = {}
    for name in LATE_IMPORTS:
        with contextlib.suppress(ImportError):
            late[name] = importlib.import_module(name)
    loop_factory = getattr(late.get("uvloop"), "new_event_loop", None)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.sleep(0))
    for name in names:
        if name.startswith(SERVICES):
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
                sys.modules[name].main(["--help"])
    if SHELL in sys.modules:
        with contextlib.redirect_stdout(io.StringIO()):
            sys.modules[SHELL].rehearse()


def main(argv: list[str]) -> int:
    """Run the fork server: import the modules in argv[1:], then serve requests on the socket descriptor argv[0]."""
    # If the parent has ended already, its end of the socket is closed as well.
    namespaces.die_with_parent(os.getppid())
    loaded = []
    for module in argv[1:]:
        # A module that cannot be imported fails again in the child, whose error then is that of the service.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
            loaded.append(module)
    _rehearse(loaded)
    # gc.freeze(): a garbage collection in a child would otherwise copy every page of the imported modules.
    gc.collect()
    gc.freeze()
    server = _Server(socket.socket(fileno=int(argv[0])))
    try:
        server.serve()
    finally:
        server.kill_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
