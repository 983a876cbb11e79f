"""Closed connections of all services are freed at once: no object of theirs waits for the garbage collector."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback.clients import PATIENCE_S, prepare, running
from tests.loopback.crowd import HOST
from tests.loopback.test_slow_connections import CASES, held

# The service without automatic collection: SIGUSR1 collects, SIGUSR2 writes the types of what a collection found.
COLLECTING = """
import gc, runpy, signal, sys

def write(*_):
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = {type(found) for found in gc.garbage}
    names = sorted(kind.__name__ for kind in kinds if kind.__module__.startswith("lab7.services."))
    print("FOUND", *names, file=sys.stderr, flush=True)

gc.disable()
signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
signal.signal(signal.SIGUSR2, write)
# As of the words WRAPPER PYTHON -m MODULE OPTIONS.
sys.argv = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
CONNECTIONS = 5
SETTLE_S = 0.5


def _half_open(process: subprocess.Popen[str], port: int, opening: bytes) -> None:
    # The connection of the client before may not be closed yet.
    time.sleep(SETTLE_S)
    before = held(process.pid).descriptors
    opened = [socket.create_connection((HOST, port)) for _ in range(CONNECTIONS)]
    for connection in opened:
        connection.send(opening or b"\r\n")
    _wait(lambda: held(process.pid).descriptors >= before + CONNECTIONS)
    for connection in opened:
        connection.close()
    _wait(lambda: held(process.pid).descriptors <= before)


def _wait(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_true() and time.monotonic() < until:
        time.sleep(0.05)
    assert is_true()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_no_object_of_a_closed_connection_waits_for_the_collector(tmp_path: Path, name: str) -> None:
    prepare(tmp_path)
    case = CASES[name]
    wrapper, errors = tmp_path / "wrapper.py", tmp_path / "stderr"
    wrapper.write_text(COLLECTING)
    with running(tmp_path, case.command, [sys.executable, str(wrapper)], errors) as (process, ports):
        port = ports[case.place]
        # The first connections fill caches, and import what is imported late.
        case.ask(port)
        _half_open(process, port, case.opening)
        process.send_signal(signal.SIGUSR1)
        case.ask(port)
        _half_open(process, port, case.opening)
        process.send_signal(signal.SIGUSR2)
        _wait(lambda: "FOUND" in errors.read_text())
    assert errors.read_text() == "FOUND\n"
