"""Octets between a data connection and a file: a step at a time in a worker thread, or in turns on the event loop.

A step moves what can be moved without waiting for the peer, at most STEP_OCTETS, and returns whether all is done; the
event loop waits for the peer between steps. So a few threads serve all transfers, the slow ones as well, and a slow
disk keeps no session's commands waiting. Files of TYPE I go out by sendfile(2); what of them needs no disk goes in
turns that wait for nothing and are short, and so need no thread.
"""

import os
import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum, auto
from typing import Protocol

from services.ftp.files.jailed_tree import FileError
from services.ftp.limits import ASCII_OCTETS, RECEIVE_OCTETS, STEP_OCTETS, STEP_WAIT_MS
from services.ftp.server_dtp.converting import FromNetwork, to_network
from services.ftp.server_dtp.page_cache import is_cached
from services.ftp.server_dtp.upload import Upload

# What one sendfile(2) is asked for.
_SENDFILE_OCTETS = 8 * 1024 * 1024


class Turn(Enum):
    """How a turn ended: all is sent, the peer can take more later, or a worker thread has to take a step."""

    DONE = auto()
    MORE = auto()
    DISK = auto()


class Mover(Protocol):
    """What moves one transfer's octets; `octets` have been moved so far, on the data connection."""

    sends: bool
    octets: int

    def step(self, connection: socket.socket, patient: bool = True) -> bool:
        """Move some; returns True once all is moved. Raises OSError and FileError.

        `patient` waits a moment for the peer: where no other transfer wants the thread.
        """
        ...

    def finish(self) -> None:
        """All was moved: make it last. Raises FileError."""
        ...

    def give_up(self) -> None:
        """It broke off, or never began."""
        ...


class FileSender:
    """Sends a file from `offset` on as it is; `size` is its length, `in_memory` tells that it lies on no disk."""

    sends = True

    def __init__(self, descriptor: int, offset: int, size: int, in_memory: bool) -> None:
        self._file = descriptor
        self._offset = offset
        self._last = size - 1
        self._in_memory = in_memory
        self.octets = 0

    def turn(self, connection: socket.socket, most: int) -> Turn:
        """Send at most `most` octets if that needs no waiting. Raises OSError."""
        place = self._offset + self.octets
        if not (self._in_memory or is_cached(self._file, place, max(place, min(place + most - 1, self._last)))):
            return Turn.DISK
        try:
            sent = os.sendfile(connection.fileno(), self._file, place, most)
        except BlockingIOError:
            return Turn.MORE
        self.octets += sent
        return Turn.MORE if sent else Turn.DONE

    def step(self, connection: socket.socket, patient: bool = True) -> bool:
        before = self.octets
        while self.octets - before < STEP_OCTETS:
            try:
                sent = os.sendfile(connection.fileno(), self._file, self._offset + self.octets, _SENDFILE_OCTETS)
            except BlockingIOError:
                if not (patient and _soon(connection, select.POLLOUT)):
                    return False
                continue
            if sent == 0:
                return True
            self.octets += sent
        return False

    def finish(self) -> None:
        self.give_up()

    def give_up(self) -> None:
        os.close(self._file)


class PieceSender:
    """Sends pieces that are made as they are needed: a listing, or a file in TYPE A."""

    sends = True

    def __init__(self, pieces: Iterable[bytes], remark: str = "") -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._left = memoryview(b"")
        self.remark = remark
        self.octets = 0

    def step(self, connection: socket.socket, patient: bool = True) -> bool:
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
                if not (patient and _soon(connection, select.POLLOUT)):
                    return False
                continue
            self._left = self._left[sent:]
            self.octets += sent
        return False

    def finish(self) -> None:
        self.give_up()

    def give_up(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


class Receiver:
    """Receives a file, converting it from TYPE A where `is_ascii`."""

    sends = False

    def __init__(self, upload: Upload, is_ascii: bool) -> None:
        self._upload = upload
        self._conversion = FromNetwork() if is_ascii else None
        self._buffer: memoryview | None = None
        self.octets = 0

    def step(self, connection: socket.socket, patient: bool = True) -> bool:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(RECEIVE_OCTETS))
        before = self.octets
        while self.octets - before < STEP_OCTETS:
            try:
                count = connection.recv_into(self._buffer)
            except BlockingIOError:
                if not (patient and _soon(connection, select.POLLIN)):
                    return False
                continue
            if count == 0:
                return True
            self.octets += count
            self._write(self._buffer[:count])
        return False

    def _write(self, octets: memoryview) -> None:
        if self._conversion is not None:
            octets = memoryview(self._conversion.convert(bytes(octets)))
        self._upload.write(octets)

    def finish(self) -> None:
        if self._conversion is not None:
            try:
                self._upload.write(memoryview(self._conversion.rest()))
            except FileError:
                self.give_up()
                raise
        self._upload.commit()

    def give_up(self) -> None:
        # In TYPE A an offset in the file is none on the connection, so nobody could go on from it.
        self._upload.keep(resumable=self._conversion is None)


class Discarder:
    """Receives octets that nobody wants any more."""

    def __init__(self) -> None:
        self._room = bytearray(RECEIVE_OCTETS)

    def step(self, connection: socket.socket) -> bool:
        """Take what is there; returns True at the end."""
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


def ascii_pieces(descriptor: int, offset: int) -> Iterator[bytes]:
    """Yield a file as TYPE A sends it, from octet `offset` of what is sent on; closes the descriptor."""
    with open(descriptor, "rb", buffering=0) as file:
        while piece := file.read(ASCII_OCTETS):
            converted = to_network(piece)
            yield converted[offset:]
            offset = max(0, offset - len(converted))


def line_pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield lines as they are sent, some thousand at a time."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if len(gathered) == 1000:
            yield _lines(gathered)
            gathered = []
    if gathered:
        yield _lines(gathered)


def end_sending(connection: socket.socket) -> None:
    """Tell the peer that all was sent: in stream mode the end of the connection is the end of the file."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _lines(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


def _soon(connection: socket.socket, event: int) -> bool:
    """Wait a moment for the peer: on a fast link that spares the way through the event loop."""
    poll = select.poll()
    poll.register(connection.fileno(), event)
    return bool(poll.poll(STEP_WAIT_MS))
