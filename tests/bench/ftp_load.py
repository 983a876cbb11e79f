"""Many FTP sessions that load at once, for far less than any server here takes: one thread, octets counted in.

Each session gets one file again and again, as ftplib does: PASV, RETR, the octets, 226. What comes is dropped by the
kernel (MSG_TRUNC, tcp(7)), not copied: a hundred threads that copied it took longer than the servers that sent it, and
so measured themselves.
"""

import select
import socket
from collections.abc import Callable

# One recv(2) drops so many at most.
ROOM_OCTETS = 1024 * 1024
_ROOM = bytearray(ROOM_OCTETS)
_REPLY_OCTETS = 4096
# Nothing at all has come for so long: a server hangs.
_SILENCE_S = 20.0

Watch = Callable[[socket.socket, Callable[[], None]], None]


def drop(connection: socket.socket) -> int:
    """Take what has come and drop it; returns how much that was, 0 at the end."""
    return connection.recv_into(_ROOM, ROOM_OCTETS, socket.MSG_TRUNC)


class Session:
    """One logged-in session that gets `files` files, one after the other."""

    def __init__(self, control: socket.socket, name: str, files: int, watch: Watch) -> None:
        self._control, self._watch = control, watch
        self._retr = f"RETR {name}\r\n".encode()
        self._left = files
        self._replies = b""
        self._data: socket.socket | None = None
        # Of one transfer: the octets have ended, and the server has said so.
        self._has_ended = self._is_confirmed = False
        self.octets = 0
        watch(control, self._take_replies)

    @property
    def is_done(self) -> bool:
        """Whether all files have come."""
        return self._left == 0

    def begin(self) -> None:
        """Ask for the next file."""
        self._has_ended = self._is_confirmed = False
        self._control.send(b"PASV\r\n")

    def _take_replies(self) -> None:
        octets = self._control.recv(_REPLY_OCTETS)
        if not octets:
            raise ConnectionError("the server closed a control connection")
        *replies, self._replies = (self._replies + octets).split(b"\r\n")
        for reply in replies:
            self._take_reply(reply)

    def _take_reply(self, reply: bytes) -> None:
        if reply.startswith(b"227"):
            self._data = socket.create_connection(_address(reply))
            self._watch(self._data, self._take_data)
            self._control.send(self._retr)
        elif reply.startswith(b"226"):
            self._is_confirmed = True
            self._go_on()
        elif not reply.startswith((b"125", b"150")):
            raise RuntimeError(f"not expected: {reply!r}")

    def _take_data(self) -> None:
        if self._data is None:
            return
        count = drop(self._data)
        self.octets += count
        if not count:
            # Closing it ends the watch as well (epoll(7)).
            self._data.close()
            self._data, self._has_ended = None, True
            self._go_on()

    def _go_on(self) -> None:
        if self._has_ended and self._is_confirmed:
            self._left -= 1
            if self._left:
                self.begin()


def load(controls: list[socket.socket], name: str, files: int) -> int:
    """Get `files` files over each control connection, all at once; returns the octets that came."""
    acts: dict[int, Callable[[], None]] = {}
    with select.epoll() as poll:

        def watch(connection: socket.socket, act: Callable[[], None]) -> None:
            poll.register(connection, select.EPOLLIN)
            acts[connection.fileno()] = act

        sessions = [Session(control, name, files, watch) for control in controls]
        for session in sessions:
            session.begin()
        while not all(session.is_done for session in sessions):
            ready = poll.poll(_SILENCE_S)
            if not ready:
                raise TimeoutError("nothing comes any more")
            for number, _ in ready:
                acts[number]()
    return sum(session.octets for session in sessions)


def _address(reply: bytes) -> tuple[str, int]:
    numbers = [int(number) for number in reply[reply.index(b"(") + 1 : reply.index(b")")].split(b",")]
    return ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]
