"""A listening socket on asyncio: accepts connections and passes each to a ConnectionSet for admission.

    connections = ConnectionSet(loop, ConnectionLimits(1000), refusal)
    listener = Listener(loop, listening_socket, factory, connections)     # factory(slot) returns a protocol

Out of file descriptors, it evicts a connection and pauses: the listening socket stays readable, so accepting again at
once would take the processor and nothing else.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

from services.connections import ConnectionSet, Slot

# Connections accepted in one turn of the event loop, before the open ones have theirs.
ACCEPTS_PER_TURN = 128
# Seconds until the next accept() without descriptors: an evicted connection has given its own back by then.
ACCEPT_AGAIN_S = 0.02

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[[Slot], asyncio.BaseProtocol]


class Listener:
    """One listening socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        factory: Factory,
        connections: ConnectionSet,
        tls: ssl.SSLContext | None = None,
        handshake_s: float | None = None,
    ) -> None:
        """Start to accept; `listening` is bound, listens and does not block."""
        self._loop, self._listening, self._factory, self._connections = loop, listening, factory, connections
        self._tls, self._handshake_s = tls, handshake_s
        self._opening: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Stop to accept; open connections stay open, unfinished TLS handshakes are cancelled."""
        if self._listening.fileno() < 0:
            return
        self._loop.remove_reader(self._listening)
        if self._again is not None:
            self._again.cancel()
        self._listening.close()
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # accept(2) passes on pending network errors of the new connection, such as ECONNABORTED.
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    continue
                self._connections.evict_any()
                self._pause()
                return
            accepted.setblocking(False)
            slot = self._connections.admit(accepted, str(peer[0]), self._tls is not None)
            if slot is not None:
                task = self._loop.create_task(self._open(accepted, slot))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    def _pause(self) -> None:
        """Stop to accept for ACCEPT_AGAIN_S, until a descriptor is free."""
        self._loop.remove_reader(self._listening)
        self._again = self._loop.call_later(ACCEPT_AGAIN_S, self._loop.add_reader, self._listening, self._accept)

    async def _open(self, accepted: socket.socket, slot: Slot) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._factory(slot), accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
            )
        except (OSError, asyncio.CancelledError):
            # The handshake failed (ssl.SSLError is an OSError), or close() cancelled it.
            self._drop(accepted, slot)
        except Exception as error:
            self._drop(accepted, slot)
            self._loop.call_exception_handler({"message": "a connection could not be served", "exception": error})

    @staticmethod
    def _drop(accepted: socket.socket, slot: Slot) -> None:
        slot.release()
        accepted.close()
