"""The sendfile loop: cached octets are sent in turns on the event loop, others by worker threads."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from random import Random

import pytest

from lab7.services.eventlog import EventLog
from lab7.services.ftp.server_dtp import transfer as server_dtp_transfer
from lab7.services.ftp.server_dtp.data_connection import DataConnection, DataSettings
from lab7.services.ftp.server_dtp.page_cache import is_cached, is_in_memory
from lab7.services.ftp.server_dtp.transfer import FileSender, Turn
from lab7.services.ftp.server_pi.failures import Cause, Failed
from tests.loopback.ftp.support import HOST

LARGE = os.urandom(4096) * 1024


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path / "large"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    own, other = socket.socketpair()
    with own, other:
        own.setblocking(False)
        yield own, other


def sender(path: Path, offset: int = 0, in_memory: bool = False) -> FileSender:
    return FileSender(os.open(path, os.O_RDONLY), offset, len(LARGE), in_memory)


def test_a_turn_sends_its_share_and_no_more(large: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    moved = sender(large, offset=7, in_memory=True)
    assert moved.turn(pair[0], 1000) is Turn.MORE
    assert moved.octets == 1000
    assert pair[1].recv(2000) == LARGE[7:1007]
    moved.abandon()


def test_a_peer_that_takes_nothing_is_not_waited_for(large: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    moved = sender(large, in_memory=True)
    before = -1
    while moved.octets != before:
        before = moved.octets
        assert moved.turn(pair[0], 1 << 20) is Turn.MORE
    assert 0 < moved.octets < len(LARGE)
    moved.abandon()


def test_a_disk_is_not_waited_for(
    large: Path, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_dtp_transfer, "is_cached", lambda *_: False)
    moved = sender(large)
    assert moved.turn(pair[0], 1000) is Turn.DISK
    assert moved.octets == 0
    moved.abandon()


def test_what_the_system_holds_is_told_from_what_lies_on_the_disk_alone(large: Path) -> None:
    descriptor = os.open(large, os.O_RDWR)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError:
        pytest.skip("this file system cannot tell")
    assert is_cached(descriptor, 0, len(LARGE) - 1)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    assert not is_cached(descriptor, 0, 1000)
    # Both ends alone.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    assert os.pread(descriptor, 1000, 0) + os.pread(descriptor, 1000, len(LARGE) - 1000) == LARGE[:1000] + LARGE[-1000:]
    assert is_cached(descriptor, 0, 999)
    assert not is_cached(descriptor, 0, len(LARGE) - 1)
    os.close(descriptor)


def test_a_file_system_in_memory_is_known() -> None:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("nothing is mounted at /dev/shm")
    assert is_in_memory(os.stat("/dev/shm").st_dev)
    assert not is_in_memory(os.stat("/proc").st_dev)


def transfer(moved: FileSender, reads: bool = True, stall_s: float = 20.0) -> tuple[Failed | None, bytes]:
    """Send over a passive data connection; return the failure, if any, and the octets received."""

    async def both() -> tuple[Failed | None, bytes]:
        with ThreadPoolExecutor(1) as workers:
            plan = DataSettings(
                asyncio.get_running_loop(), workers, EventLog(None, time.time), Random(1), stall_s=stall_s
            )
            data = DataConnection(plan, (HOST, 0), HOST, lambda: None)
            address = data.listen()
            assert address is not None
            reader, writer = await asyncio.open_connection(*address)
            sending = asyncio.create_task(data.transfer(moved, None, lambda: False))
            if not reads:
                return await sending, b""
            came = await reader.read(-1)
            writer.close()
            return await sending, came

    return asyncio.run(both())


def test_turns_and_steps_follow_each_other_without_a_gap(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = cycle((True, True, False))
    monkeypatch.setattr(server_dtp_transfer, "is_cached", lambda *_: next(answers))
    monkeypatch.setattr(server_dtp_transfer, "STEP_OCTETS", 100_000)
    monkeypatch.setattr(server_dtp_transfer, "_SENDFILE_OCTETS", 50_000)
    assert transfer(sender(large)) == (None, LARGE)


def test_a_peer_that_takes_nothing_in_its_turns_ends_the_transfer(large: Path) -> None:
    large.write_bytes(b"")
    os.truncate(large, 1 << 30)
    failed, _ = transfer(sender(large, in_memory=True), reads=False, stall_s=0.05)
    assert failed == Failed(Cause.STALLED)
