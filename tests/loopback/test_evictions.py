"""A connection that is evicted as soon as it is made, before its task has run, is closed like any other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.loopback.clients import AUTHORITATIVE, FTP, MAILBOXES, MTA, ORIGIN, PATIENCE_S, REPOSITORY, prepare
from tests.loopback.crowd import HOST

# The service, in which each connection is evicted at the end of connection_made().
EVICTING = """
import importlib, sys
from lab7.services import connections

begin = connections.Listener.__init__

def evicting(self, loop, listening, factory, *rest):
    def make(slot):
        protocol = factory(slot)
        made = protocol.connection_made
        def connection_made(transport):
            made(transport)
            if slot.on_evict is not None:
                slot.evict()
        protocol.connection_made = connection_made
        return protocol
    begin(self, loop, listening, make, *rest)

connections.Listener.__init__ = evicting
module = sys.argv.pop(1)
sys.exit(importlib.import_module(module).main(sys.argv[1:]))
"""
COMMANDS = {
    "imap": f"lab7.services.mail.imap.__main__ {MAILBOXES}",
    "pop3": f"lab7.services.mail.pop3.__main__ {MAILBOXES}",
    "mta": MTA,
    "ftp": FTP,
    "origin": ORIGIN,
    "authoritative": AUTHORITATIVE,
}
CONNECTIONS = 20
# Descriptors that uvloop opens with the first connection.
OWN_OF_LOOP = 1


def _descriptors(process: subprocess.Popen[str]) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_closed_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    prepare(tmp_path)
    words = [sys.executable, "-W", "default::ResourceWarning", "-c", EVICTING, *COMMANDS[name].split()]
    errors = tmp_path / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [*words, "--listen", HOST, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        ) as process,
    ):
        ready = process.stdout.readline() if process.stdout else ""
        assert ready.startswith("READY "), errors.read_text()
        port, before = int(ready.split()[2].rpartition(":")[2]), _descriptors(process)
        for _ in range(CONNECTIONS):
            with socket.create_connection((HOST, port), PATIENCE_S) as peer:
                while peer.recv(4096):
                    continue
        until = time.monotonic() + PATIENCE_S
        while _descriptors(process) > before + OWN_OF_LOOP and time.monotonic() < until:
            time.sleep(0.05)
        after = _descriptors(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert after <= before + OWN_OF_LOOP
    assert errors.read_text() == ""
