"""Control server of a running network, for other lab7 commands of the user: a thread per client, on a Unix socket.

The server checks the user id of each client, limits the number of clients, the length of messages and the time of
waits, and answers every error with an error reply. Only the request `down` stops the network; a slow or silent client
delays no other client.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab7.topologies.emulation.control.channel import DESCRIPTORS_MAX, Channel, ClosedError, close_all
from lab7.topologies.emulation.control.jobs import run_job
from lab7.topologies.emulation.control.notices import Notices
from lab7.topologies.emulation.control.operations import Operations
from lab7.topologies.emulation.control.protocol import ENVIRONMENT, STREAMS, ProtocolError, check_request
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import LabDied

CLIENTS_MAX = 100
REQUEST_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 30.0
# Interval in s at which the server checks whether a subscriber is still connected.
NOTICE_PAUSE_S = 0.5
STOP_TIMEOUT_S = 5.0
PEER_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class ControlServer:
    """Server of one network's control socket; a context manager.

    about: fields of the reply to `info` in addition to the network's description; shell: command that runs Mininet's
    command-line interface, and reads a description of the network from the descriptor appended as its last word; stop:
    function that takes the network down.
    """

    def __init__(
        self,
        bed: Testbed,
        listener: socket.socket,
        about: Mapping[str, Any],
        shell: Sequence[str],
        stop: Callable[[], None],
    ) -> None:
        self.notices = Notices()
        self._operations = Operations(bed, self.notices)
        self._listener = listener
        self._about = dict(about)
        self._shell = list(shell)
        self._stop = stop
        self._since = time.time()
        self._channels: set[Channel] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._acceptor = threading.Thread(target=self._accept, name="control", daemon=True)

    def __enter__(self) -> ControlServer:
        self._acceptor.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop accepting connections, end all connections, and wait for the commands of clients to end."""
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._acceptor.join(STOP_TIMEOUT_S)
        self._listener.close()
        with self._lock:
            channels, threads = list(self._channels), list(self._threads)
        for channel in channels:
            channel.shut()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - time.monotonic()))
        os.close(self._wake)

    def _accept(self) -> None:
        self._listener.setblocking(False)
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while not self._closing:
            poll.poll()
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                self._admit(Channel(connection), connection)

    def _admit(self, channel: Channel, connection: socket.socket) -> None:
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
        refusal = ""
        if PEER_CREDENTIALS.unpack(peer)[1] != os.geteuid():
            refusal = "the network belongs to another user"
        elif len(self._threads) >= CLIENTS_MAX:
            refusal = f"the network has {CLIENTS_MAX} clients already: close one"
        if refusal:
            with channel, contextlib.suppress(ClosedError):
                channel.send({"error": refusal}, timeout_s=0.0)
            return
        thread = threading.Thread(target=self._serve, args=(channel,), name="control client", daemon=True)
        with self._lock:
            self._threads.add(thread)
            self._channels.add(channel)
        thread.start()

    def _serve(self, channel: Channel) -> None:
        descriptors: list[int] = []
        try:
            message, descriptors = channel.receive(REQUEST_TIMEOUT_S)
            operation = check_request(message)
            if descriptors and (operation not in ("exec", "attach") or len(descriptors) != STREAMS):
                raise ProtocolError(f"the operation {operation} takes no descriptors")
            taken, descriptors = descriptors, []
            self._perform(operation, message, taken, channel)
        except (ClosedError, TimeoutError):
            pass
        except (EmulationError, LabDied, OSError) as error:
            with contextlib.suppress(ClosedError):
                reply = {"error": str(error), "argument": isinstance(error, ArgumentError)}
                channel.send(reply, timeout_s=REPLY_TIMEOUT_S)
        except Exception as error:
            with contextlib.suppress(ClosedError):
                channel.send({"error": f"the request failed: {type(error).__name__}: {error}"}, timeout_s=1.0)
        finally:
            close_all(descriptors)
            channel.close()
            with self._lock:
                self._channels.discard(channel)
                self._threads.discard(threading.current_thread())

    def _perform(self, operation: str, message: Mapping[str, Any], streams: list[int], channel: Channel) -> None:
        if operation in ("exec", "attach"):
            self._run(operation, message, streams, channel)
        elif operation == "subscribe":
            channel.send({"ok": True}, timeout_s=REPLY_TIMEOUT_S)
            self._notify(channel)
        elif operation == "taps":
            self._give_taps(message["ends"], channel)
        elif operation == "connect":
            found = self._operations.connect(message["host"], message["address"], message["port"])
            try:
                channel.send({"ok": True}, [found], REPLY_TIMEOUT_S)
            finally:
                os.close(found)
        else:
            channel.send({"ok": True, **self._changed(operation, message)}, timeout_s=REPLY_TIMEOUT_S)
            if operation == "down":
                self._stop()

    def _changed(self, operation: str, message: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "link":
            return self._operations.set_link(message["link"], message["set"], message["only_from"])
        if operation == "cable":
            return self._operations.set_cable(message["link"], up=message["up"])
        if operation == "service":
            return self._operations.service(message["host"], message["action"])
        return self._described() if operation == "info" else {}

    def _described(self) -> dict[str, Any]:
        return {**self._about, "since": self._since, **self._operations.describe()}

    def _run(self, operation: str, message: Mapping[str, Any], streams: list[int], channel: Channel) -> None:
        terminal = message["terminal"]
        environment = {name: text for name, text in message["environment"].items() if name in ENVIRONMENT}
        if (terminal is None) != bool(streams):
            close_all(streams)
            raise ProtocolError("a command needs either streams or a terminal")
        if operation == "exec":
            try:
                words = [*self._operations.host(message["host"]).entering(), *message["words"]]
            except EmulationError:
                close_all(streams)
                raise
            run_job(channel, words, streams, terminal=terminal, environment=environment)
            return
        # The description may be longer than an argument.
        with open(os.memfd_create("network"), "w+", encoding="utf-8") as description:
            json.dump(self._described(), description)
            description.seek(0)
            number = description.fileno()
            words = [*self._shell, str(number)]
            run_job(channel, words, streams, terminal=terminal, environment=environment, keep=[number])

    def _give_taps(self, ends: Sequence[str], channel: Channel) -> None:
        """Send packet sockets to a client, in the order of the interfaces, in several messages.

        `more` is false in the last one.
        """
        found = self._operations.open_taps(ends)
        try:
            for first in range(0, len(found), DESCRIPTORS_MAX):
                some = found[first : first + DESCRIPTORS_MAX]
                channel.send({"ok": True, "more": first + len(some) < len(found)}, some, REPLY_TIMEOUT_S)
            if not found:
                channel.send({"ok": True, "more": False}, timeout_s=REPLY_TIMEOUT_S)
        finally:
            close_all(found)

    def _notify(self, channel: Channel) -> None:
        """Send notices (messages about events) to a subscriber until it disconnects.

        A subscriber that does not read its notices is disconnected.
        """
        with self.notices.subscribed() as subscription:
            while not self._closing:
                notice = subscription.next(NOTICE_PAUSE_S)
                if notice is not None:
                    channel.send(notice, timeout_s=REPLY_TIMEOUT_S)
                # A subscriber sends nothing after its request: if the socket is readable, the client has disconnected.
                elif _is_readable(channel):
                    return


def _is_readable(channel: Channel) -> bool:
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    return bool(poll.poll(0))
