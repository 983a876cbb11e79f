"""Transfers between a data connection and a file: senders and receivers that proceed in steps.

A step transfers as many octets as it can without waiting for the peer, at most STEP_OCTETS, and returns whether the
transfer is complete; between steps, the event loop waits until the socket is ready. So a few threads serve all
transfers, even those of slow peers, and a slow disk delays no commands. Files in TYPE I are sent by sendfile(2); octets
in the page cache are sent in short turns on the event loop itself (sendfile_loop.py), without a thread.
"""

import os
import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum, auto
from typing import Protocol

from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.limits import ASCII_OCTETS, RECEIVE_OCTETS, STEP_OCTETS, STEP_WAIT_MS
from lab7.services.ftp.server_dtp.ascii_mode import AsciiDecoder, encode_ascii
from lab7.services.ftp.server_dtp.page_cache import is_cached
from lab7.services.ftp.server_dtp.upload import Upload

# Maximum octets of one call of sendfile(2).
_SENDFILE_OCTETS = 8 * 1024 * 1024


class Turn(Enum):
    """Result of FileSender.turn(): file complete, socket not writable for now, or disk read needed."""

    DONE = auto()
    MORE = auto()
    DISK = auto()


class Transfer(Protocol):
    """Interface of the sender or receiver of one transfer; `octets` counts the octets sent or received so far."""

    sends: bool
    octets: int

    def step(self, connection: socket.socket, waits_for_peer: bool = True) -> bool:
        """Transfer some octets; return True once all are transferred. Raises OSError and FileError.

        If the socket is not ready, return False at once; with `waits_for_peer`, only after a wait of STEP_WAIT_MS. The
        wait occupies the worker thread, so it is used only while no other transfer needs the thread.
        """
        ...

    def finish(self) -> None:
        """Complete the file after the last octet: close it, or put an upload in place. Raises FileError."""
        ...

    def abandon(self) -> None:
        """Release the file of a transfer that failed or never started. A resumable incomplete upload is kept."""
        ...


class FileSender:
    """Sender of a file in TYPE I by sendfile(2), from octet `offset` on; `in_memory`: the file needs no disk access."""

    sends = True

    def __init__(self, descriptor: int, offset: int, size: int, in_memory: bool) -> None:
        self._file = descriptor
        self._offset = offset
        self._last = size - 1
        self._in_memory = in_memory
        self.octets = 0

    def turn(self, connection: socket.socket, most: int) -> Turn:
        """Send at most `most` octets, without waiting for the peer or the disk; return a Turn. Raises OSError."""
        place = self._offset + self.octets
        if not (self._in_memory or is_cached(self._file, place, max(place, min(place + most - 1, self._last)))):
            return Turn.DISK
        try:
            sent = os.sendfile(connection.fileno(), self._file, place, most)
        except BlockingIOError:
            return Turn.MORE
        self.octets += sent
        return Turn.MORE if sent else Turn.DONE

    def step(self, connection: socket.socket, waits_for_peer: bool = True) -> bool:
        before = self.octets
        while self.octets - before < STEP_OCTETS:
            try:
                sent = os.sendfile(connection.fileno(), self._file, self._offset + self.octets, _SENDFILE_OCTETS)
            except BlockingIOError:
                if not (waits_for_peer and _wait_for_peer(connection, select.POLLOUT)):
                    return False
                continue
            if sent == 0:
                return True
            self.octets += sent
        return False

    def finish(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        os.close(self._file)


class PieceSender:
    """Sender of octets that an iterator generates: the lines of a listing, or a file encoded in TYPE A."""

    sends = True

    def __init__(self, pieces: Iterable[bytes], remark: str = "") -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._left = memoryview(b"")
        self.remark = remark
        self.octets = 0

    def step(self, connection: socket.socket, waits_for_peer: bool = True) -> bool:
        before = self.octets
        while self.octets - before < STEP_OCTETS:
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return True
                self._left = memoryview(piece)
                continue
            try:
                sent = connection.send(self._left)
            except BlockingIOError:
                if not (waits_for_peer and _wait_for_peer(connection, select.POLLOUT)):
                    return False
                continue
            self._left = self._left[sent:]
            self.octets += sent
        return False

    def finish(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


class Receiver:
    """Receiver of an upload; decodes TYPE A if `is_ascii` is set."""

    sends = False

    def __init__(self, upload: Upload, is_ascii: bool) -> None:
        self._upload = upload
        self._decoder = AsciiDecoder() if is_ascii else None
        self._buffer: memoryview | None = None
        self.octets = 0

    def step(self, connection: socket.socket, waits_for_peer: bool = True) -> bool:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(RECEIVE_OCTETS))
        before = self.octets
        while self.octets - before < STEP_OCTETS:
            try:
                count = connection.recv_into(self._buffer)
            except BlockingIOError:
                if not (waits_for_peer and _wait_for_peer(connection, select.POLLIN)):
                    return False
                continue
            if count == 0:
                return True
            self.octets += count
            self._write(self._buffer[:count])
        return False

    def _write(self, octets: memoryview) -> None:
        if self._decoder is not None:
            octets = memoryview(self._decoder.decode(bytes(octets)))
        self._upload.write(octets)

    def finish(self) -> None:
        if self._decoder is not None:
            try:
                self._upload.write(memoryview(self._decoder.finish()))
            except FileError:
                self.abandon()
                raise
        self._upload.commit()

    def abandon(self) -> None:
        # In TYPE A offsets in the file differ from offsets on the connection, so REST could not resume the upload.
        self._upload.keep(resumable=self._decoder is None)


class Discarder:
    """Receiver that discards the octets of a failed upload."""

    def __init__(self) -> None:
        self._room = bytearray(RECEIVE_OCTETS)

    def step(self, connection: socket.socket) -> bool:
        """Discard the octets received so far; return True at the end of the connection."""
        taken = 0
        while taken < STEP_OCTETS:
            try:
                count = connection.recv_into(self._room)
            except BlockingIOError:
                return False
            if count == 0:
                return True
            taken += count
        return False


class AsciiPieces:
    """Iterator over a file encoded in TYPE A, from octet `offset` of the encoded file on; close() closes the file.

    It is not a generator: close() of a generator that was never started runs no code, and would leave the file open.
    """

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._offset = offset

    def __iter__(self) -> "AsciiPieces":
        return self

    def __next__(self) -> bytes:
        piece = os.read(self._descriptor, ASCII_OCTETS)
        if not piece:
            raise StopIteration
        encoded = encode_ascii(piece)
        offset, self._offset = self._offset, max(0, self._offset - len(encoded))
        return encoded[offset:]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def line_pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield the encoded lines of a listing, a thousand at a time."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if len(gathered) == 1000:
            yield _lines(gathered)
            gathered = []
    if gathered:
        yield _lines(gathered)


def end_sending(connection: socket.socket) -> None:
    """Shut the connection down for writing, which is the end of the file in stream mode."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _lines(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


def _wait_for_peer(connection: socket.socket, event: int) -> bool:
    """Wait up to STEP_WAIT_MS until the socket is ready; return False on a timeout.

    Such a short wait costs less than a return to the event loop.
    """
    poll = select.poll()
    poll.register(connection.fileno(), event)
    return bool(poll.poll(STEP_WAIT_MS))
