"""Messages with file descriptors over a Unix socket (SOCK_SEQPACKET, SCM_RIGHTS), for the control of a running network.

By these messages, other processes of the same user control a running network (see protocol).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from lab7.topologies.emulation.control.protocol import PIECE_BYTES, REQUEST_MAX_BYTES, Assembler, ProtocolError, pieces
from lab7.topologies.emulation.errors import EmulationError

# Maximum number of descriptors in one message: SCM_MAX_FD of the kernel's include/net/scm.h.
DESCRIPTORS_MAX = 253


class ClosedError(EmulationError):
    """Error for a channel that its peer has closed, or whose peer does not read."""


class Channel:
    """Connection for messages with file descriptors; `limit_bytes` is the maximum length of a received message.

    The parameter `timeout_s` of methods limits each wait, in seconds; None waits without limit.
    """

    def __init__(self, sock: socket.socket, limit_bytes: int = REQUEST_MAX_BYTES) -> None:
        self._socket = sock
        self._limit_bytes = limit_bytes

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor of the socket, for poll(2)."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._socket.close()

    def shut(self) -> None:
        """Shut the connection down: another thread that waits on it wakes up, and closes it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = (), timeout_s: float | None = None) -> None:
        """Send a message with descriptors. Raises ClosedError if the peer has closed it, or does not read."""
        self._socket.settimeout(timeout_s)
        try:
            *some, last = pieces(message)
            for piece in some:
                self._socket.send(piece)
            if descriptors:
                socket.send_fds(self._socket, [last], list(descriptors))
            else:
                self._socket.send(last)
        except OSError as error:
            raise ClosedError(f"the connection has ended ({error.strerror or 'the other end does not read'})") from None

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], list[int]]:
        """Return the next message and its descriptors, which the caller closes.

        Raises ClosedError at the end of the connection, TimeoutError, and ProtocolError.
        """
        self._socket.settimeout(timeout_s)
        assembler = Assembler(self._limit_bytes)
        descriptors: list[int] = []
        try:
            while True:
                piece, came, flags, _ = socket.recv_fds(self._socket, PIECE_BYTES + 1, DESCRIPTORS_MAX)
                descriptors += came
                if flags & socket.MSG_TRUNC or len(descriptors) > DESCRIPTORS_MAX:
                    raise ProtocolError("a piece of the message is too long")
                if not piece:
                    raise ClosedError("the connection has ended")
                if (message := assembler.add(piece)) is not None:
                    return message, descriptors
        except TimeoutError:
            close_all(descriptors)
            raise
        except OSError as error:
            close_all(descriptors)
            raise ClosedError(f"the connection has ended ({error.strerror})") from None
        except EmulationError:
            close_all(descriptors)
            raise


def close_all(descriptors: Sequence[int]) -> None:
    """Close file descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
